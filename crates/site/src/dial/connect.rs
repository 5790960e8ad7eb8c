//! The `CONNECT` exchange with an HTTP proxy: the request, and an answer that is read in pieces and bounded.

use sallyport_protocol::Secret;

use crate::login;

/// The longest header of an answer; a longer one is no proxy's.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// What the proxy said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The way is open.
    Open,
    /// 407.
    NeedsCredentials,
    /// Another status.
    Refused { status: u16, reason: String },
    /// Not an HTTP answer.
    Malformed(&'static str),
}

/// The request; secret because it may carry a password.
pub(super) fn request(authority: &str, credentials: Option<&(String, Secret)>) -> Secret {
    let mut text = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Connection: keep-alive\r\n");
    if let Some((username, password)) = credentials {
        text.push_str("Proxy-Authorization: ");
        text.push_str(login::basic(username, password).expose());
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    Secret::new(text)
}

/// The answer so far.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    header: Vec<u8>,
}

impl Exchange {
    /// Takes the next bytes; `Some` once the answer is complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<Answer> {
        self.header.extend_from_slice(bytes);
        let end = self.header.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        match end {
            Some(end) => {
                let answer = status_line(self.header.get(..end).unwrap_or_default());
                let surplus = self.header.len() > end;
                Some(match answer {
                    // The server speaks only after our TLS greeting: bytes before it come from somebody else.
                    Answer::Open if surplus => Answer::Malformed("it sent data before the connection was opened"),
                    answer => answer,
                })
            }
            None if self.header.len() > HEADER_BYTES_MAX => Some(Answer::Malformed("its answer's header is too long")),
            None if !b"HTTP/1.".starts_with(self.header.get(..7).unwrap_or(&self.header)) => {
                Some(Answer::Malformed("its answer is not HTTP"))
            }
            None => None,
        }
    }
}

fn status_line(header: &[u8]) -> Answer {
    const MALFORMED: Answer = Answer::Malformed("its answer is not HTTP");
    let Ok(text) = std::str::from_utf8(header.split(|byte| *byte == b'\r').next().unwrap_or_default()) else {
        return MALFORMED;
    };
    let Some((version, rest)) = text.split_once(' ') else { return MALFORMED };
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    if !version.starts_with("HTTP/1.") || code.len() != 3 {
        return MALFORMED;
    }
    match code.parse::<u16>() {
        Ok(200..=299) => Answer::Open,
        Ok(407) => Answer::NeedsCredentials,
        Ok(status) => {
            let reason = reason.chars().filter(|c| !c.is_control()).take(100).collect();
            Answer::Refused { status, reason }
        }
        Err(_) => MALFORMED,
    }
}
