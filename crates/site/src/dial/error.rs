//! Why a dial failed.

use std::io;

use super::Proxy;

/// What failed, to branch on and to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The name cannot be resolved.
    Dns,
    /// The network knows no way to the address.
    NoRoute,
    /// Nothing listens at the port.
    Refused,
    /// No answer in time.
    Timeout,
    /// The connection broke off.
    Reset,
    /// The proxy itself cannot be reached.
    ProxyUnreachable,
    /// The proxy does not open the way to the server.
    ProxyRefused,
    /// The proxy asks for a user name and password and none are set.
    ProxyNeedsCredentials,
    /// The proxy does not accept the user name and password.
    ProxyWrongCredentials,
    /// What answers is no HTTP proxy.
    ProxyProtocol,
    /// Something else, such as a lack of file descriptors.
    Other,
}

impl Kind {
    /// The stable word for logs and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::NoRoute => "no_route",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::ProxyUnreachable => "proxy_unreachable",
            Self::ProxyRefused => "proxy_refused",
            Self::ProxyNeedsCredentials => "proxy_needs_credentials",
            Self::ProxyWrongCredentials => "proxy_wrong_credentials",
            Self::ProxyProtocol => "proxy_protocol",
            Self::Other => "other",
        }
    }

    /// Whether it looks as if this machine has no network at all (`noInternet`).
    pub const fn is_no_internet(self) -> bool {
        matches!(self, Self::Dns | Self::NoRoute)
    }

    pub(super) fn of_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::Timeout,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkDown => {
                Self::NoRoute
            }
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Self::Reset,
            _ => Self::Other,
        }
    }

    /// The same failure when it is the proxy that was dialled.
    pub(super) fn at_proxy(self) -> Self {
        match self {
            Self::Other => Self::Other,
            _ => Self::ProxyUnreachable,
        }
    }

    pub(super) fn of_proxy_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::Timeout,
            _ => Self::ProxyProtocol,
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::Dns => "check ServerAddress and this machine's name servers",
            Self::NoRoute => "check this machine's network connection",
            Self::Refused => "the server may be stopped, or the port in ServerAddress is wrong",
            Self::Timeout => "a firewall may drop outbound connections; a proxy may be needed (ProxyServerAddress)",
            Self::Reset => "a firewall may forbid the connection",
            Self::ProxyUnreachable => "check ProxyServerAddress",
            Self::ProxyRefused => "the proxy must allow CONNECT to the server's host and port",
            Self::ProxyNeedsCredentials => "set ProxyUsername and ProxyPassword",
            Self::ProxyWrongCredentials => "correct ProxyUsername and ProxyPassword",
            Self::ProxyProtocol => "ProxyServerAddress must name an HTTP proxy",
            Self::Other => "see the system's message",
        }
    }
}

/// A dial that failed; prints what was tried, what happened and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What failed.
    pub kind: Kind,
    message: String,
}

impl Error {
    pub(super) fn direct(kind: Kind, host: &str, port: u16, reason: &str) -> Self {
        Self { kind, message: format!("connecting to {host}:{port} failed: {reason}; {}", kind.hint()) }
    }

    pub(super) fn proxied(kind: Kind, proxy: &Proxy, host: &str, port: u16, reason: &str) -> Self {
        let message =
            format!("connecting to {host}:{port} through the proxy {proxy} failed: {reason}; {}", kind.hint());
        Self { kind, message }
    }
}
