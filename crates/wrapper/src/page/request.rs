//! One HTTP request: a bounded head, no body.

use std::io::{self, Read};

/// The longest head; a browser's is about one kilobyte.
const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 64;
/// Reads of one head: whoever sends it byte by byte is no browser.
const READS_MAX: u32 = 64;

/// What was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    query: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// Reads one; `None` if it is none or has no end.
    pub(super) fn read(stream: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        let mut chunk = [0; 2048];
        for _ in 0..READS_MAX {
            let count = stream.read(&mut chunk)?;
            head.extend_from_slice(chunk.get(..count).unwrap_or_default());
            match Self::parse(&head) {
                Ok(None) if count > 0 && head.len() <= HEAD_BYTES_MAX => {}
                Ok(request) => return Ok(request),
                Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    fn parse(head: &[u8]) -> Result<Option<Self>, httparse::Error> {
        let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut lines);
        if request.parse(head)?.is_partial() {
            return Ok(None);
        }
        let target = request.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Ok(Some(Self {
            method: request.method.unwrap_or_default().to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: request
                .headers
                .iter()
                .map(|header| {
                    (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).trim().to_owned())
                })
                .collect(),
        }))
    }

    /// A header that is there once; the name in small letters.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let first = found.next()?;
        found.next().is_none().then_some(first.1.as_str())
    }

    /// Whether a header is there at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known == name)
    }

    /// A value of the query; the page writes none that would have to be decoded.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// A cookie.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let all = self.header("cookie")?;
        all.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
    }
}

#[cfg(test)]
impl Request {
    pub(super) fn of(text: &str) -> Self {
        Self::parse(text.as_bytes()).unwrap().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_in_pieces_and_bounded() {
        let text = b"GET /api/log?level=error&lines=5 HTTP/1.1\r\nHost: a\r\nCookie: x=1; y=2\r\n\r\n";
        let request = Request::read(&mut text[..10].chain(&text[10..])).unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/api/log"));
        assert_eq!(
            (request.value("level"), request.value("lines"), request.value("x")),
            (Some("error"), Some("5"), None)
        );
        assert_eq!((request.cookie("y"), request.cookie("z")), (Some("2"), None));
        let endless = [&b"GET / HTTP/1.1\r\nX: "[..], &vec![b'x'; 1 << 20]].concat();
        assert_eq!(Request::read(&mut &endless[..]).unwrap(), None);
        assert_eq!(Request::read(&mut &b"\x16\x03\x01"[..]).unwrap(), None);
    }

    #[test]
    fn a_header_that_stands_twice_counts_as_none() {
        let request = Request::of("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
        assert_eq!((request.header("host"), request.has("host")), (None, true));
    }
}
