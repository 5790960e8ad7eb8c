//! Where the server is: `https://host:port`, one host and one port, nothing else.

use std::fmt;
use std::str::FromStr;

/// The port that is meant when an address names none.
pub const HTTPS_PORT: u16 = 443;

/// The server's address as settings hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    host: String,
    port: u16,
}

impl ServerAddress {
    /// The name or IP address to dial; without brackets for IPv6.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to dial.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What stands in a `Host` header: the port is left out when it is 443.
    pub fn authority(&self) -> String {
        let host = bracketed(&self.host);
        if self.port == HTTPS_PORT { host } else { format!("{host}:{}", self.port) }
    }

    /// The address of a path on the server, such as `https://host:8443/connect/release`.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.authority())
    }

    /// The address of a WebSocket on the server, such as `wss://host:8443/connect/agent`.
    pub fn websocket_url(&self, path: &str) -> String {
        format!("wss://{}{path}", self.authority())
    }

    /// Whether only this machine can be meant: `localhost`, `127.0.0.0/8` or `::1`.
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}

/// The text is no server address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected https://host or https://host:port")]
pub struct ParseAddressError;

impl FromStr for ServerAddress {
    type Err = ParseAddressError;

    /// A slash at the end is tolerated; a path, a query, a user or another scheme is not.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.trim().strip_prefix("https://").ok_or(ParseAddressError)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = host_and_port(rest).ok_or(ParseAddressError)?;
        Ok(Self { host, port: port.unwrap_or(HTTPS_PORT) })
    }
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`; `None` when it is neither.
pub(crate) fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(inner) = text.strip_prefix('[') {
        let (host, after) = inner.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return None,
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':') || !c.is_ascii();
    if host.is_empty() || !host.chars().all(plain) {
        return None;
    }
    let port = match port {
        Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port != 0)?),
        None => None,
    };
    Some((host.to_owned(), port))
}

/// The host as it stands in a URL: IPv6 addresses in brackets.
pub(crate) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, u16, &str)>) {
        let parsed = text.parse::<ServerAddress>().ok();
        let shown = parsed.as_ref().map(ToString::to_string);
        let parts =
            parsed.as_ref().zip(shown.as_deref()).map(|(address, shown)| (address.host(), address.port(), shown));
        assert_eq!(parts, expected, "{text}");
    }

    #[test]
    fn addresses_are_https_with_host_and_perhaps_a_port() {
        check("https://example.com", Some(("example.com", 443, "https://example.com")));
        check("https://example.com:8443/", Some(("example.com", 8443, "https://example.com:8443")));
        check("https://[::1]:8443", Some(("::1", 8443, "https://[::1]:8443")));
        check(" https://127.0.0.1:1 ", Some(("127.0.0.1", 1, "https://127.0.0.1:1")));
        for bad in [
            "",
            "http://example.com",
            "example.com",
            "https://",
            "https://a:0",
            "https://a:70000",
            "https://a:b",
            "https://a/path",
            "https://user@host",
            "https://[::1",
            "https://[abc]",
            "https://a b",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn loopback_is_recognised() {
        for (text, expected) in [
            ("https://localhost:1", true),
            ("https://127.0.0.9", true),
            ("https://[::1]", true),
            ("https://a.b", false),
        ] {
            assert_eq!(text.parse::<ServerAddress>().unwrap().is_loopback(), expected, "{text}");
        }
    }
}
