//! The head of a request: pure. Everything that comes from elsewhere is checked, so that nothing can be one header and
//! become two.

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, header};
use sallyport_protocol::Secret;

/// A header that is added to every request.
#[derive(Clone, Debug)]
pub(super) struct Added {
    pub(super) name: HeaderName,
    pub(super) value: Secret,
}

impl Added {
    /// Checks both.
    pub(super) fn new(name: &str, value: Secret) -> Result<Self, String> {
        let checked: HeaderName = name.parse().map_err(|_| format!("`{name}` cannot be the name of a header"))?;
        if is_ours(&checked) {
            return Err(format!("the header `{name}` is set by the agent itself"));
        }
        if HeaderValue::from_bytes(value.expose().as_bytes()).is_err() {
            return Err(format!("the value of header `{name}` has characters that a header cannot have"));
        }
        Ok(Self { name: checked, value })
    }
}

/// The bytes of a head. Of `headers`, those that are added, and what belongs to the connection itself, are left out.
pub(super) fn write(
    authority: &str,
    added: &[Added],
    method: &str,
    target: &str,
    headers: &[(String, String)],
) -> Result<Vec<u8>, String> {
    let method: Method = method.parse().map_err(|_| "its method is none".to_owned())?;
    if matches!(method, Method::CONNECT | Method::TRACE) {
        return Err(format!("its method {method} is not passed on"));
    }
    let target: PathAndQuery = target.parse().map_err(|_| "its path cannot be sent".to_owned())?;
    if !target.as_str().starts_with('/') {
        return Err("its path does not begin with `/`".to_owned());
    }
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    let mut line = |name: &str, value: &[u8]| {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    let mut upgrades = false;
    for (name, value) in headers {
        let name: HeaderName = name.parse().map_err(|_| "it has a header whose name is none".to_owned())?;
        upgrades |= name == header::UPGRADE;
        if is_ours(&name) || added.iter().any(|added| added.name == name) {
            continue;
        }
        let bytes: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        let value = bytes.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
        let value = value.ok_or_else(|| format!("its header `{name}` has characters that a header cannot have"))?;
        line(name.as_str(), value.as_bytes());
    }
    for Added { name, value } in added {
        line(name.as_str(), value.expose().as_bytes());
    }
    line("connection", if upgrades { b"Upgrade" } else { b"close" });
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

/// What the agent says for its own connection to the target.
fn is_ours(name: &HeaderName) -> bool {
    *name == header::HOST || *name == header::CONNECTION
}
