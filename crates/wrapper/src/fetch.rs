//! One request over the wrapper's own dialling: enough to download a program or the rest of an archive, to ask a
//! question, and to send a bundle.
//!
//! It speaks HTTP/1.0, so that the body is plain bytes up to its length or the end of the connection; whether they are
//! the right ones is for the caller's checksum to say.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use sallyport_protocol::Secret;
use sallyport_site::dial::{self, Dialer};
use sallyport_site::{ServerAddress, Settings, login, tls};

/// How long the server may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The longest header of an answer.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// The most header lines of an answer.
const HEADERS_MAX: usize = 64;
/// The most bytes of a refusal's body.
const REFUSAL_BYTES_MAX: u64 = 64 * 1024;

/// How to reach the server and log in.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) address: ServerAddress,
    pub(crate) dialer: Dialer,
    pub(crate) trust: Arc<ClientConfig>,
    pub(crate) username: String,
    pub(crate) password: Secret,
}

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Dial(#[from] dial::Error),
    #[error(transparent)]
    Tls(#[from] tls::Failure),
    #[error("{0}")]
    Refused(sallyport_protocol::Refusal),
    #[error("the server has no such download")]
    NotFound,
    #[error("what is there is what the server has")]
    NotModified,
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("the server's answer is not understood: {0}")]
    Malformed(&'static str),
}

/// An answer whose body is still to be read.
pub(crate) struct Answer {
    head: Head,
    early: io::Cursor<Vec<u8>>,
    stream: StreamOwned<ClientConnection, TcpStream>,
    left: Option<u64>,
}

impl Door {
    /// The server of these settings, reached by `dialer`.
    pub(crate) fn new(settings: &Settings, dialer: Dialer, trust: Arc<ClientConfig>) -> Self {
        Self {
            address: settings.server_address.clone(),
            dialer,
            trust,
            username: settings.username.clone(),
            password: settings.password.clone(),
        }
    }

    /// Opens a TLS connection to the server; reads and writes on it fail after a time of silence.
    pub(crate) fn open(&self) -> Result<(StreamOwned<ClientConnection, TcpStream>, dial::Route), Error> {
        let dial::Dialled { stream, route } = self.dialer.dial(self.address.host(), self.address.port())?;
        Self::limit(&stream)?;
        Ok((tls::connect(stream, self.address.host(), &self.trust)?, route))
    }

    /// Has reads and writes fail after a time of silence.
    pub(crate) fn limit(stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))
    }

    /// The header that carries the credentials. Secret.
    pub(crate) fn authorization(&self) -> Secret {
        Secret::new(format!("Authorization: {}\r\n", login::basic(&self.username, &self.password).expose()))
    }

    /// Asks for `path`; gives the answer if it is a success. With `present`, the entity tag of what is there, the answer
    /// may be [`Error::NotModified`].
    pub(crate) fn get(&self, path: &str, present: Option<&str>) -> Result<Answer, Error> {
        self.ask(path, &present.map(|tag| format!("If-None-Match: \"{tag}\"\r\n")).unwrap_or_default())
    }

    /// Asks for `path` from a byte on; the answer says whether it is only the rest.
    pub(crate) fn get_from(&self, path: &str, from: u64) -> Result<Answer, Error> {
        self.ask(path, &if from == 0 { String::new() } else { format!("Range: bytes={from}-\r\n") })
    }

    /// Sends what `body` holds to `path`; gives an error unless the answer is a success.
    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Result<(), Error> {
        succeeded(self.send("POST", path, self.authorization().expose(), Some(body))?).map(|_| ())
    }

    fn ask(&self, path: &str, condition: &str) -> Result<Answer, Error> {
        let headers = Secret::new(format!("{}{condition}", self.authorization().expose()));
        succeeded(self.send("GET", path, headers.expose(), None)?)
    }

    /// One request with these header lines; gives the answer, whatever its status.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &str, body: Option<&[u8]>) -> Result<Answer, Error> {
        let (mut stream, _) = self.open()?;
        let length = body.map(|body| format!("Content-Length: {}\r\n", body.len())).unwrap_or_default();
        let request = Secret::new(format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nUser-Agent: sallyport-wrapper/{}\r\n{headers}{length}Connection: close\r\n\r\n",
            self.address.authority(),
            env!("CARGO_PKG_VERSION"),
        ));
        stream.write_all(request.expose().as_bytes())?;
        stream.write_all(body.unwrap_or_default())?;
        stream.flush()?;
        let (head, early) = read_head(&mut stream)?;
        Ok(Answer { left: head.length, head, early: io::Cursor::new(early), stream })
    }
}

/// The answer if it is a success.
fn succeeded(mut answer: Answer) -> Result<Answer, Error> {
    match answer.head.status {
        200..=206 => Ok(answer),
        304 => Err(Error::NotModified),
        404 => Err(Error::NotFound),
        status => {
            let mut body = Vec::new();
            // A body that breaks off still leaves the status to go by.
            let _ = (&mut answer).take(REFUSAL_BYTES_MAX).read_to_end(&mut body);
            Err(Error::Refused(login::refusal(status, &body)))
        }
    }
}

impl Answer {
    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    /// A header's value; the name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the body is only the rest, as was asked for.
    pub(crate) fn is_partial(&self) -> bool {
        self.head.status == 206
    }

    /// How long the body is, if the server said so.
    pub(crate) fn length(&self) -> Option<u64> {
        self.head.length
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.left.map_or(buffer.len(), |left| buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        let Some(buffer) = buffer.get_mut(..room).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let mut count = self.early.read(buffer)?;
        if count == 0 {
            count = match self.stream.read(buffer) {
                // Servers that speak HTTP/1.0 may end without a farewell of TLS; a length or checksum tells truncation.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                other => other?,
            };
        }
        if let Some(left) = &mut self.left {
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            *left -= count as u64;
        }
        Ok(count)
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    length: Option<u64>,
}

fn read_head(stream: &mut impl Read) -> Result<(Head, Vec<u8>), Error> {
    let mut bytes = Vec::new();
    let mut chunk = [0u8; 2048];
    loop {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err(Error::Malformed("it ended before its header did"));
        }
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if let Some((head, end)) = parse_head(&bytes)? {
            return Ok((head, bytes.split_off(end)));
        }
        if bytes.len() > HEADER_BYTES_MAX {
            return Err(Error::Malformed("its header is too long"));
        }
    }
}

/// The head and where it ends; `None` while it is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, Error> {
    let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut lines);
    let end = match response.parse(bytes) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Error::Malformed("it is not HTTP")),
    };
    let headers: Vec<(String, String)> = response
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).trim().to_owned()))
        .collect();
    let value = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    if value("transfer-encoding").is_some() {
        return Err(Error::Malformed("something between here and the server does not understand HTTP/1.0"));
    }
    let length = match value("content-length").map(str::parse) {
        Some(Ok(length)) => Some(length),
        Some(Err(_)) => return Err(Error::Malformed("its length is no number")),
        None => None,
    };
    let status = response.code.ok_or(Error::Malformed("it has no status"))?;
    Ok(Some((Head { status, headers, length }, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_in_pieces() {
        let text = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nX-Sallyport-Sha256: ab \r\n\r\nhello";
        for cut in 1..text.len() - 5 {
            assert!(parse_head(&text[..cut]).unwrap().is_none(), "{cut}");
        }
        let (head, rest) = read_head(&mut &text[..]).unwrap();
        assert_eq!((head.status, head.length, rest.as_slice()), (200, Some(5), &b"hello"[..]));
        assert!(head.headers.contains(&("x-sallyport-sha256".to_owned(), "ab".to_owned())));
    }

    #[test]
    fn other_answers_are_refused() {
        assert!(matches!(parse_head(b"SSH-2.0\r\n\r\n"), Err(Error::Malformed(_))));
        assert!(matches!(
            parse_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Err(Error::Malformed(_))
        ));
        assert!(matches!(parse_head(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), Err(Error::Malformed(_))));
        let endless = [&b"HTTP/1.1 200 OK\r\nX: "[..], &vec![b'x'; 100_000]].concat();
        assert!(matches!(read_head(&mut &endless[..]), Err(Error::Malformed(_))));
    }
}
