//! The head of a service's answer, and what of it reaches the person: pure.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::Place;
use super::ask::{connection_words, is_of_the_connection};

/// The longest head that is read, in bytes.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The most headers.
const HEADERS_MAX: usize = 128;

/// The page gets an origin of its own: it can neither ask the console's API nor read what the console keeps.
const SANDBOX: HeaderValue = HeaderValue::from_static(
    "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads; frame-ancestors 'none'",
);

/// What speaks for the whole origin, which is the console's, or asks a browser for credentials to it.
const NOT_THEIRS: [&str; 14] = [
    "clear-site-data",
    "strict-transport-security",
    "public-key-pins",
    "alt-svc",
    "service-worker-allowed",
    "origin-agent-cluster",
    "accept-ch",
    "critical-ch",
    "nel",
    "report-to",
    "reporting-endpoints",
    "set-cookie2",
    "www-authenticate",
    "proxy-authenticate",
];

/// How an answer's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Empty,
    Length(u64),
    Chunked,
    /// With the connection.
    UntilEnd,
    /// It is no body but the other protocol.
    Switched,
}

/// A head that was read.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
}

/// What the bytes so far are.
#[derive(Clone, Debug)]
pub(super) enum Parsed {
    /// Not a whole head.
    More,
    /// One before the answer itself, and its length in bytes.
    Interim { go_on: bool, bytes: usize },
    /// The answer, and the head's length in bytes.
    Whole { answer: Box<Answer>, bytes: usize },
}

/// Reads a head. `bodiless`: the request was HEAD; `upgrades`: it asked for a WebSocket.
pub(super) fn parse(bytes: &[u8], bodiless: bool, upgrades: bool) -> Result<Parsed, String> {
    let mut space = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut space);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() >= HEAD_BYTES_MAX => {
            return Err(format!("the head of its answer is longer than {HEAD_BYTES_MAX} bytes"));
        }
        Ok(httparse::Status::Partial) => return Ok(Parsed::More),
        Err(error) => return Err(format!("its answer is no HTTP: {error}")),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or("its answer has no status")?;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Parsed::Interim { go_on: status == StatusCode::CONTINUE, bytes: length });
    }
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for header in response.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|error| format!("its answer: {error}"))?;
        let value = HeaderValue::from_bytes(header.value).map_err(|error| format!("its answer: {name}: {error}"))?;
        headers.append(name, value);
    }
    let framing = framing(status, &headers, bodiless, upgrades)?;
    Ok(Parsed::Whole { answer: Box::new(Answer { status, headers, framing }), bytes: length })
}

fn framing(status: StatusCode, headers: &HeaderMap, bodiless: bool, upgrades: bool) -> Result<Framing, String> {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return if upgrades { Ok(Framing::Switched) } else { Err("it speaks another protocol unasked".to_owned()) };
    }
    if bodiless || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Framing::Empty);
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        return match coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none() {
            true => Ok(Framing::Chunked),
            false => Err("its answer has a transfer coding other than `chunked`".to_owned()),
        };
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter().map(|value| {
        let digits =
            value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|text| text.parse::<u64>().ok()).ok_or("the length of its answer is no number")
    });
    let Some(first) = lengths.next() else { return Ok(Framing::UntilEnd) };
    let first = first?;
    for other in lengths {
        if other? != first {
            return Err("its answer has two lengths".to_owned());
        }
    }
    Ok(Framing::Length(first))
}

impl Answer {
    /// The headers for the person. `open`: pages of any origin may read it, as its address alone is the credential.
    pub(super) fn outward(&self, place: &Place, open: bool) -> HeaderMap {
        let named = connection_words(&self.headers);
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 4);
        for (name, value) in &self.headers {
            let dropped = is_of_the_connection(name)
                || NOT_THEIRS.contains(&name.as_str())
                || name.as_str().starts_with("access-control-")
                || named.iter().any(|word| word == name.as_str());
            if !dropped && let Some(value) = rewritten(name, value, place) {
                headers.append(name.clone(), value);
            }
        }
        match self.framing {
            Framing::Length(length) => {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            }
            Framing::Empty if self.status != StatusCode::NO_CONTENT => {}
            _ => {
                headers.remove(header::CONTENT_LENGTH);
            }
        }
        if self.framing == Framing::Switched {
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        // Beside the service's own, which can only forbid more.
        headers.append(header::CONTENT_SECURITY_POLICY, SANDBOX);
        if open {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
        }
        headers
    }
}

/// A header's value as people see it; `None` where it is not for them.
fn rewritten(name: &HeaderName, value: &HeaderValue, place: &Place) -> Option<HeaderValue> {
    let text = || String::from_utf8(value.as_bytes().to_vec()).ok();
    let changed = |text: String| HeaderValue::from_bytes(text.as_bytes()).ok();
    if *name == header::SET_COOKIE {
        return place.cookie(&text()?).and_then(changed);
    }
    if *name == header::LOCATION || *name == header::CONTENT_LOCATION {
        return text().map(|text| place.location(&text)).and_then(changed);
    }
    Some(value.clone())
}
