//! Opening a TCP connection to the server, straight or through an HTTP proxy, with failures told apart by stable words.
//!
//! The pure parts ([`Proxy`], [`NoProxy`], the `CONNECT` exchange) know no socket.

mod connect;
mod error;
mod proxy;

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub use error::{Error, Kind};
pub use proxy::{NoProxy, ParseProxyError, Proxy};

use crate::Settings;
use crate::address::bracketed;
use crate::config::Environment;
use connect::{Answer, Exchange};

/// How long one dial may take when nobody says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// The least time one of several addresses gets, so that a name with many addresses still tries each honestly.
const ATTEMPT_MIN: Duration = Duration::from_secs(2);

/// Opens connections in one way.
#[derive(Clone, Debug)]
pub struct Dialer {
    proxy: Option<Proxy>,
    no_proxy: NoProxy,
    timeout: Duration,
}

/// A connection and the way it took.
#[derive(Debug)]
pub struct Dialled {
    /// Blocking, `nodelay` set, no time limits.
    pub stream: TcpStream,
    /// For the log.
    pub route: Route,
}

/// The way a connection took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Straight.
    Direct {
        /// The address that answered.
        address: SocketAddr,
    },
    /// Through a proxy.
    Proxy {
        /// The proxy, `host:port`.
        proxy: String,
        /// Whether a user name and password were sent to it.
        authenticated: bool,
    },
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct { address } => write!(f, "direct to {address}"),
            Self::Proxy { proxy, authenticated: true } => write!(f, "proxy {proxy} with Basic authentication"),
            Self::Proxy { proxy, authenticated: false } => write!(f, "proxy {proxy}"),
        }
    }
}

impl Dialer {
    /// Dials through `proxy`, if there is one, except to what `no_proxy` names.
    pub fn new(proxy: Option<Proxy>, no_proxy: NoProxy, timeout: Duration) -> Self {
        Self { proxy, no_proxy, timeout }
    }

    /// The settings' proxy for everything; without one the environment's, with its exceptions.
    pub fn from_settings(settings: &Settings, environment: &Environment) -> Result<Self, ParseProxyError> {
        if let Some(proxy) = &settings.proxy {
            return Ok(Self::new(Some(proxy.clone()), NoProxy::default(), TIMEOUT));
        }
        Self::from_environment(environment)
    }

    /// The environment's proxy, with its exceptions.
    pub fn from_environment(environment: &Environment) -> Result<Self, ParseProxyError> {
        let proxy = match &environment.proxy {
            Some(variable) => Some(Proxy::parse(&variable.text).map_err(|error| error.of(variable.name))?),
            None => None,
        };
        let no_proxy = environment.no_proxy.as_deref().map(NoProxy::parse).unwrap_or_default();
        Ok(Self::new(proxy, no_proxy, TIMEOUT))
    }

    /// The proxy that a dial to this host and port would use.
    pub fn proxy_for(&self, host: &str, port: u16) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| !self.no_proxy.matches(host, port))
    }

    /// The addresses behind a name, as a dial would find them.
    pub fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
        resolve(host, port, self.timeout).map_err(|(kind, reason)| Error::direct(kind, host, port, &reason))
    }

    /// Opens a connection. Blocks for at most about the time limit for the name, and again for each of connecting and
    /// the proxy's answer.
    pub fn dial(&self, host: &str, port: u16) -> Result<Dialled, Error> {
        match self.proxy_for(host, port) {
            Some(proxy) => self.through(proxy, host, port),
            None => {
                let stream =
                    self.open(host, port).map_err(|(kind, reason)| Error::direct(kind, host, port, &reason))?;
                let address = stream.peer_addr().map_err(|error| {
                    Error::direct(Kind::Reset, host, port, &format!("the connection was closed at once: {error}"))
                })?;
                Ok(Dialled { stream, route: Route::Direct { address } })
            }
        }
    }

    fn through(&self, proxy: &Proxy, host: &str, port: u16) -> Result<Dialled, Error> {
        let failed = |kind, reason: &str| Error::proxied(kind, proxy, host, port, reason);
        let mut stream =
            self.open(&proxy.host, proxy.port).map_err(|(kind, reason)| failed(kind.at_proxy(), &reason))?;
        let answer = exchange(&mut stream, proxy, host, port, self.timeout)
            .map_err(|error| failed(Kind::of_proxy_io(&error), &error.to_string()))?;
        match answer {
            Answer::Open => Ok(Dialled {
                stream,
                route: Route::Proxy { proxy: proxy.to_string(), authenticated: proxy.credentials.is_some() },
            }),
            Answer::NeedsCredentials if proxy.credentials.is_some() => {
                Err(failed(Kind::ProxyWrongCredentials, "it did not accept the user name and password (407)"))
            }
            Answer::NeedsCredentials => {
                Err(failed(Kind::ProxyNeedsCredentials, "it asks for a user name and password (407)"))
            }
            Answer::Refused { status, reason } => {
                Err(failed(Kind::ProxyRefused, format!("it answered {status} {reason}").trim_end()))
            }
            Answer::Malformed(reason) => Err(failed(Kind::ProxyProtocol, reason)),
        }
    }

    fn open(&self, host: &str, port: u16) -> Result<TcpStream, (Kind, String)> {
        let addresses = resolve(host, port, self.timeout)?;
        let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let share = (self.timeout / count).max(ATTEMPT_MIN.min(self.timeout));
        let mut last = (Kind::Dns, format!("the name {host} has no address"));
        for address in addresses {
            match TcpStream::connect_timeout(&address, share).and_then(|stream| {
                stream.set_nodelay(true)?;
                Ok(stream)
            }) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = (Kind::of_connect(&error), format!("{address}: {error}")),
            }
        }
        Err(last)
    }
}

/// Resolves on a thread of its own, because the system's resolver knows no time limit; a resolver that hangs keeps
/// its thread until it gives up.
fn resolve(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, (Kind, String)> {
    let (send, receive) = mpsc::sync_channel(1);
    let name = host.to_owned();
    let spawned = thread::Builder::new().name("resolve".to_owned()).spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        // Nobody listens any more once the time is over.
        let _ = send.send(found);
    });
    if let Err(error) = spawned {
        return Err((Kind::Dns, format!("the name {host} could not be resolved: {error}")));
    }
    match receive.recv_timeout(timeout) {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err((Kind::Dns, format!("the name {host} cannot be resolved: {error}"))),
        Err(_) => Err((Kind::Dns, format!("the name {host} was not resolved within {} s", timeout.as_secs()))),
    }
}

fn exchange(stream: &mut TcpStream, proxy: &Proxy, host: &str, port: u16, timeout: Duration) -> io::Result<Answer> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let authority = format!("{}:{port}", bracketed(host));
    stream.write_all(connect::request(&authority, proxy.credentials.as_ref()).expose().as_bytes())?;
    let mut exchange = Exchange::default();
    let mut chunk = [0u8; 1024];
    let answer = loop {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            break Answer::Malformed("it closed the connection without an answer");
        }
        if let Some(answer) = exchange.feed(chunk.get(..count).unwrap_or_default()) {
            break answer;
        }
    };
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    Ok(answer)
}

#[cfg(test)]
mod tests;
