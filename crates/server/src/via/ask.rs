//! What of a person's request reaches the service: pure.

use http::{HeaderMap, HeaderName, Method, header};

use super::Place;
use crate::http::who::COOKIE;
use crate::tunnel::is;

/// What belongs to one connection between two neighbours (RFC 9110, section 7.6.1).
const OF_THE_CONNECTION: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// What says who the person is, where they come from, or is this server's own.
const KEPT_HERE: [&str; 9] = [
    "host",
    "authorization",
    "proxy-authorization",
    "cookie",
    "origin",
    "referer",
    "forwarded",
    "x-real-ip",
    "sallyport-environment",
];

/// How a request's body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sends {
    Nothing,
    /// As many bytes as the head says.
    Length,
    Chunked,
}

/// A request, apart from its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// Path and query at the service.
    pub(crate) target: String,
    /// As [`sallyport_protocol::HttpOrder`] has them.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) sends: Sends,
    /// Whether the person's side waits for a word before it sends the body.
    pub(crate) expects: bool,
    /// Whether it asks for a WebSocket.
    pub(crate) upgrades: bool,
}

/// Why a request is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAsked {
    Method,
    Path,
}

impl Asked {
    /// Reads the request's head.
    pub(crate) fn new(
        place: &Place,
        method: &Method,
        (rest, query): (&str, Option<&str>),
        headers: &HeaderMap,
    ) -> Result<Self, NotAsked> {
        if matches!(*method, Method::CONNECT | Method::TRACE) {
            return Err(NotAsked::Method);
        }
        let target = place.target(rest, query).ok_or(NotAsked::Path)?;
        let named = connection_words(headers);
        let upgrades = *method == Method::GET
            && named.iter().any(|word| word == "upgrade")
            && is(headers, &header::UPGRADE, "websocket");
        let sends =
            match (headers.contains_key(header::TRANSFER_ENCODING), headers.contains_key(header::CONTENT_LENGTH)) {
                (true, _) => Sends::Chunked,
                (false, true) => Sends::Length,
                (false, false) => Sends::Nothing,
            };
        let mut kept: Vec<(String, String)> = headers
            .iter()
            .filter(|(name, _)| passes(name) && !named.iter().any(|word| word == name.as_str()))
            .map(|(name, value)| (name.to_string(), latin(value.as_bytes())))
            .collect();
        let mut add = |name: HeaderName, value: String| kept.push((name.to_string(), value));
        if let Some(cookies) = cookies(headers) {
            add(header::COOKIE, cookies);
        }
        if headers.contains_key(header::ORIGIN) {
            // The page was the service's: it was reached with a credential that no other page has.
            add(header::ORIGIN, place.origin());
        }
        if sends == Sends::Chunked {
            add(header::TRANSFER_ENCODING, "chunked".to_owned());
        }
        if upgrades {
            add(header::UPGRADE, "websocket".to_owned());
        }
        let expects = is(headers, &header::EXPECT, "100-continue");
        Ok(Self { method: method.clone(), target, headers: kept, sends, expects, upgrades })
    }
}

fn passes(name: &HeaderName) -> bool {
    let text = name.as_str();
    !is_of_the_connection(name)
        && !KEPT_HERE.contains(&text)
        && !text.starts_with("x-forwarded-")
        && !text.starts_with("sec-fetch-")
}

/// The headers that a `Connection` header names.
pub(super) fn connection_words(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|word| word.trim().to_ascii_lowercase()).collect()
}

/// Whether a header belongs to one connection alone.
pub(super) fn is_of_the_connection(name: &HeaderName) -> bool {
    OF_THE_CONNECTION.contains(&name.as_str())
}

/// All cookies but the console's.
fn cookies(headers: &HeaderMap) -> Option<String> {
    let all =
        headers.get_all(header::COOKIE).iter().map(|value| latin(value.as_bytes())).collect::<Vec<_>>().join("; ");
    let is_ours = |cookie: &&str| cookie.split('=').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(COOKIE));
    let kept: Vec<&str> =
        all.split(';').map(str::trim).filter(|cookie| !cookie.is_empty() && !is_ours(cookie)).collect();
    (!kept.is_empty()).then(|| kept.join("; "))
}

fn latin(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
