//! Where an HTTP service is: scheme, host, port and the path that its requests begin with.

use std::str::FromStr;

use http::Uri;

/// A base address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    encrypted: bool,
    host: String,
    port: u16,
    /// As the address spells host and port.
    authority: String,
    /// Begins and ends with `/`.
    base: String,
}

/// The text is no address of an HTTP service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address: expected http:// or https://, a host, and perhaps :port and /path")]
pub struct ParseAddressError(String);

impl Address {
    /// Whether TLS is spoken.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// The host, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port for a `Host` header.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Scheme, host and port, as a browser's `Origin` has them.
    pub fn origin(&self) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    /// The path that requests begin with; it begins and ends with `/`.
    pub fn base(&self) -> &str {
        &self.base
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let wrong = || ParseAddressError(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let (encrypted, usual) = match uri.scheme_str() {
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            _ => return Err(wrong()),
        };
        let given = uri.authority().filter(|given| !given.as_str().contains('@')).ok_or_else(wrong)?;
        let host = given.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = match given.port() {
            Some(port) => port.as_str().parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
            None => usual,
        };
        if host.is_empty() || uri.query().is_some() {
            return Err(wrong());
        }
        let authority = if port == usual { given.host().to_owned() } else { format!("{}:{port}", given.host()) };
        let base = format!("{}/", uri.path().trim_end_matches('/'));
        Ok(Self { encrypted, host, port, authority: authority.to_ascii_lowercase(), base })
    }
}
