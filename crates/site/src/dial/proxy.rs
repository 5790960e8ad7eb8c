//! Which proxy, and for which hosts not.

use std::fmt;
use std::net::IpAddr;

use sallyport_protocol::Secret;

use crate::address::{bracketed, host_and_port};
use crate::network::Network;

/// The port that is meant when a proxy's address names none.
const PORT_DEFAULT: u16 = 3128;

/// An HTTP proxy. Prints as `host:port`, without the credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its name or address; without brackets for IPv6.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User name and password for Basic authentication.
    pub credentials: Option<(String, Secret)>,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", bracketed(&self.host), self.port)
    }
}

/// The text is no proxy's address. The text itself is not repeated: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}expected http://host:port or http://user:password@host:port{hint}", variable.map(|name| format!("{name}: ")).unwrap_or_default())]
pub struct ParseProxyError {
    hint: &'static str,
    variable: Option<&'static str>,
}

impl ParseProxyError {
    /// The same error, naming the environment variable.
    pub(super) fn of(self, variable: &'static str) -> Self {
        Self { variable: Some(variable), ..self }
    }
}

impl Proxy {
    /// Understands `http://host:port`, `host:port` and `http://user:password@host:port` with percent encoding in user
    /// and password.
    pub fn parse(text: &str) -> Result<Self, ParseProxyError> {
        let error = |hint| ParseProxyError { hint, variable: None };
        let text = text.trim();
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.to_ascii_lowercase().starts_with("socks") => {
                return Err(error("; SOCKS proxies are not supported"));
            }
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(error("; proxies that are themselves reached by TLS are not supported"));
            }
            Some(_) => return Err(error("")),
            None => text,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, address) = match rest.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, rest),
        };
        let (host, port) = host_and_port(address).ok_or(error(""))?;
        let credentials = match login {
            Some(login) => {
                let (username, password) = login.split_once(':').unwrap_or((login, ""));
                let decode =
                    |text| percent_decoded(text).ok_or(error("; user or password is not percent-encoded text"));
                Some((decode(username)?, Secret::new(decode(password)?)))
            }
            None => None,
        };
        Ok(Self { host, port: port.unwrap_or(PORT_DEFAULT), credentials })
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let hex = std::str::from_utf8(after.get(..2)?).ok().filter(|hex| !hex.starts_with('+'))?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = after.get(2..)?;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// The hosts that are dialled straight, as `NO_PROXY` lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Everything,
    /// A name and all below it.
    Domain {
        name: String,
        port: Option<u16>,
    },
    Address {
        address: IpAddr,
        port: Option<u16>,
    },
    Network(Network),
}

impl NoProxy {
    /// Understands a list separated by commas or spaces: `*`, `example.com` and `.example.com` (both match the name
    /// and everything below it), addresses, networks such as `10.0.0.0/8`, each name or address perhaps with `:port`.
    /// Entries that are none of these match nothing.
    pub fn parse(text: &str) -> Self {
        Self { rules: text.split([',', ' ']).filter(|entry| !entry.is_empty()).filter_map(rule).collect() }
    }

    /// Whether the host is dialled straight.
    pub fn matches(&self, host: &str, port: u16) -> bool {
        let address = host.parse::<IpAddr>().ok();
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let right_port = |wanted: Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        self.rules.iter().any(|rule| match rule {
            Rule::Everything => true,
            Rule::Domain { name, port } => {
                let below = host.strip_suffix(name.as_str()).is_some_and(|left| left.is_empty() || left.ends_with('.'));
                below && address.is_none() && right_port(*port)
            }
            Rule::Address { address: wanted, port } => address == Some(*wanted) && right_port(*port),
            Rule::Network(network) => address.is_some_and(|address| network.contains(address)),
        })
    }
}

fn rule(entry: &str) -> Option<Rule> {
    if entry == "*" {
        return Some(Rule::Everything);
    }
    if entry.contains('/') {
        return entry.parse().ok().map(Rule::Network);
    }
    if let Ok(address) = entry.parse() {
        return Some(Rule::Address { address, port: None });
    }
    let (host, port) = host_and_port(entry.trim_start_matches("*.").trim_start_matches('.'))?;
    Some(match host.parse() {
        Ok(address) => Rule::Address { address, port },
        Err(_) => Rule::Domain { name: host.trim_end_matches('.').to_ascii_lowercase(), port },
    })
}
