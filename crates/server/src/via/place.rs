//! Where a service is, and where people find it: pure.

use http::Uri;
use sallyport_connectors::http::Address;

use crate::http::who::COOKIE;

/// A service and its address on this server.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    address: Address,
    /// Begins and ends with `/`.
    prefix: String,
}

impl Place {
    /// A service whose requests come below `prefix`.
    pub(crate) fn new(address: Address, prefix: String) -> Self {
        Self { address, prefix }
    }

    /// The service's origin.
    pub(crate) fn origin(&self) -> String {
        self.address.origin()
    }

    /// The target of a request for what lies `rest` below the prefix; `None` where that would leave the base address.
    pub(crate) fn target(&self, rest: &str, query: Option<&str>) -> Option<String> {
        let dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        if rest.split(['/', '\\']).any(dots) {
            return None;
        }
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        Some(format!("{}{rest}{query}", self.address.base()))
    }

    /// Where a `Location` leads, as people see it. What lies elsewhere stays as the service says.
    pub(crate) fn location(&self, value: &str) -> String {
        let (value, fragment) = match value.find('#') {
            Some(at) => value.split_at(at),
            None => (value, ""),
        };
        if value.starts_with('/') && !value.starts_with("//") {
            return format!("{}{fragment}", self.inside(value));
        }
        let absolute = match value.strip_prefix("//") {
            Some(_) => format!("{}:{value}", if self.address.is_encrypted() { "https" } else { "http" }),
            None => value.to_owned(),
        };
        match self.path_here(&absolute) {
            Some(path) => format!("{}{fragment}", self.inside(&path)),
            None => format!("{value}{fragment}"),
        }
    }

    /// A `Set-Cookie` that goes to this service and to nobody else; `None` where it may not be set.
    pub(crate) fn cookie(&self, value: &str) -> Option<String> {
        let mut parts = value.split(';');
        let pair = parts.next()?.trim();
        let name = pair.split_once('=')?.0.trim();
        if name.is_empty() || name.eq_ignore_ascii_case(COOKIE) {
            return None;
        }
        let (mut cookie, mut path) = (pair.to_owned(), None);
        for part in parts {
            let (attribute, of) = part.trim().split_once('=').unwrap_or((part.trim(), ""));
            match attribute.to_ascii_lowercase().as_str() {
                "domain" => {}
                "path" => path = of.strip_prefix(self.address.base()),
                _ => cookie.push_str(&format!("; {}", part.trim())),
            }
        }
        Some(format!("{cookie}; Path={}{}", self.prefix, path.unwrap_or_default()))
    }

    /// Path and query of an absolute address, if it is this service's.
    fn path_here(&self, absolute: &str) -> Option<String> {
        let uri: Uri = absolute.parse().ok()?;
        let (encrypted, usual) = match uri.scheme_str()? {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return None,
        };
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
        let is_here = encrypted == self.address.is_encrypted()
            && host.eq_ignore_ascii_case(self.address.host())
            && uri.port_u16().unwrap_or(usual) == self.address.port();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        is_here.then(|| path.to_owned())
    }

    fn inside(&self, path: &str) -> String {
        let base = self.address.base();
        match path.strip_prefix(base) {
            Some(rest) => format!("{}{rest}", self.prefix),
            None if path == base.trim_end_matches('/') => self.prefix.clone(),
            // It left what the connection is for.
            None => format!("{}{path}", self.address.origin()),
        }
    }
}
