//! One rule: a host, a network or everything, at some ports.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::network::Network;

/// Where something may or may not be dialled, such as `db.site:5432`, `10.1.0.0/16:5432-5440`, `*.site`, `[::1]:80`, `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    host: Host,
    ports: Option<RangeInclusive<u16>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Anywhere,
    /// In lower case.
    Name(String),
    /// `*.site`: what ends in this, dot included.
    Suffix(String),
    Network(Network),
}

/// The text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no rule: expected a host name, `*.name`, an address, a network such as 10.1.0.0/16, or `*`, and perhaps \
     `:port` or `:first-last`"
)]
pub struct ParseRuleError(String);

impl Rule {
    /// Everything, everywhere.
    pub fn anywhere() -> Self {
        Self { host: Host::Anywhere, ports: None }
    }

    /// Whether it names this host, or the address that the host was resolved to.
    pub fn covers(&self, host: &str, ip: IpAddr, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.at(port)
            && match &self.host {
                Host::Name(name) => *name == host,
                Host::Suffix(suffix) => host.ends_with(suffix),
                Host::Anywhere | Host::Network(_) => self.holds(ip),
            }
    }

    /// Whether it names the address, not only a name that leads there. `localhost` stands for the loopback.
    pub(super) fn covers_address(&self, ip: IpAddr, port: u16) -> bool {
        self.at(port) && self.holds(ip)
    }

    fn at(&self, port: u16) -> bool {
        self.ports.as_ref().is_none_or(|ports| ports.contains(&port))
    }

    fn holds(&self, ip: IpAddr) -> bool {
        match &self.host {
            Host::Anywhere => true,
            Host::Name(name) => name == "localhost" && ip.is_loopback(),
            Host::Suffix(_) => false,
            Host::Network(network) => network.contains(ip),
        }
    }
}

impl FromStr for Rule {
    type Err = ParseRuleError;

    fn from_str(text: &str) -> Result<Self, ParseRuleError> {
        let wrong = || ParseRuleError(text.to_owned());
        let (host, ports) = split(text.trim()).ok_or_else(wrong)?;
        let ports = ports.map(|ports| range(ports).ok_or_else(wrong)).transpose()?;
        Ok(Self { host: parse(host).ok_or_else(wrong)?, ports })
    }
}

/// The host, without brackets, and what stands behind its colon.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, behind) = rest.split_once(']')?;
        return match behind {
            "" => Some((host, None)),
            _ => Some((host, Some(behind.strip_prefix(':')?))),
        };
    }
    match text.split_once(':') {
        // More than one colon is an IPv6 address without a port.
        Some((_, rest)) if rest.contains(':') => Some((text, None)),
        Some((host, ports)) => Some((host, Some(ports))),
        None => Some((text, None)),
    }
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some(first..=last)
}

fn parse(host: &str) -> Option<Host> {
    if host == "*" {
        return Some(Host::Anywhere);
    }
    if host.contains('/') {
        return host.parse().ok().map(Host::Network);
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(Host::Network(address.to_canonical().into()));
    }
    let (name, suffix) = match host.strip_prefix("*.") {
        Some(rest) => (rest, true),
        None => (host, false),
    };
    let good = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(good) {
        return None;
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    Some(if suffix { Host::Suffix(format!(".{name}")) } else { Host::Name(name) })
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Anywhere => f.write_str("*")?,
            Host::Name(name) => f.write_str(name)?,
            Host::Suffix(suffix) => write!(f, "*{suffix}")?,
            Host::Network(network) if network.is_ipv6() && self.ports.is_some() => write!(f, "[{network}]")?,
            Host::Network(network) => network.fmt(f)?,
        }
        match &self.ports {
            Some(ports) if ports.start() == ports.end() => write!(f, ":{}", ports.start()),
            Some(ports) => write!(f, ":{}-{}", ports.start(), ports.end()),
            None => Ok(()),
        }
    }
}
