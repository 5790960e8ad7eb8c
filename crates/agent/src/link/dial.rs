//! From an address to an open WebSocket: name, port, proxy, TLS, login; each failure with its likely cause.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use sallyport_dataplane::Ahead;
use sallyport_dataplane::tunnel::{Line, TLS_BYTES};
use sallyport_protocol::{Refusal, Secret, Ticket};
use sallyport_site::dial::Dialer;
use sallyport_site::{ServerAddress, login, tls};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::upgrade::{self, Answer};

/// How long TLS and login may take together.
const HANDSHAKE_MAX: Duration = Duration::from_secs(15);

/// What TLS and login gave, and what of the WebSocket came with the answer.
type Upgraded = (TlsStream<Ahead<TcpStream>>, Vec<u8>);

/// An open connection.
pub(crate) type Socket = WebSocketStream<TlsStream<Ahead<TcpStream>>>;

/// The server and how to reach it.
pub struct Server {
    address: ServerAddress,
    dialer: Arc<Dialer>,
    tls: Arc<ClientConfig>,
    authorization: Secret,
}

/// A connection that did not come about.
#[derive(Debug)]
pub enum DialError {
    /// Name, port, proxy or TLS failed.
    Network {
        /// A stable word.
        word: String,
        /// What happened and what to do.
        message: String,
        /// Whether it looks as if the machine has no network.
        no_internet: bool,
    },
    /// The server answered and said no.
    Refused(Refusal),
}

impl DialError {
    fn network(word: &str, message: String) -> Self {
        Self::Network { word: word.to_owned(), message, no_internet: false }
    }
}

impl std::fmt::Display for DialError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Network { message, .. } => f.write_str(message),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl Server {
    /// Dials `address` with this login.
    pub fn new(
        address: ServerAddress,
        dialer: Dialer,
        tls: Arc<ClientConfig>,
        username: &str,
        password: &Secret,
    ) -> Self {
        Self { address, dialer: Arc::new(dialer), tls, authorization: login::basic(username, password) }
    }

    /// As [`Server::new`], with the value of the `Authorization` header.
    pub fn with_authorization(
        address: ServerAddress,
        dialer: Dialer,
        tls: Arc<ClientConfig>,
        authorization: Secret,
    ) -> Self {
        Self { address, dialer: Arc::new(dialer), tls, authorization }
    }

    /// Opens a tunnel line; a ticket where the path asks for one.
    pub async fn line(&self, path: &str, ticket: Option<&Ticket>) -> Result<Line, DialError> {
        let ((mut stream, rest), _) = self.upgraded(path, ticket).await?;
        stream.get_mut().1.set_buffer_limit(Some(TLS_BYTES));
        Ok(Line::new(stream, &rest, true))
    }

    /// Opens a WebSocket; gives the local address with it.
    pub(super) async fn open(
        &self,
        path: &str,
        config: WebSocketConfig,
    ) -> Result<(Socket, Option<IpAddr>), DialError> {
        let ((stream, rest), local) = self.upgraded(path, None).await?;
        Ok((WebSocketStream::from_partially_read(stream, rest, Role::Client, Some(config)).await, local))
    }

    async fn upgraded(&self, path: &str, ticket: Option<&Ticket>) -> Result<(Upgraded, Option<IpAddr>), DialError> {
        let stream = self.dial().await?;
        let local = stream.local_addr().ok().map(|address| address.ip());
        let handshake = self.handshake(stream, path, ticket);
        match tokio::time::timeout(HANDSHAKE_MAX, handshake).await {
            Ok(upgraded) => Ok((upgraded?, local)),
            Err(_) => Err(DialError::network(
                "tls_timeout",
                format!(
                    "{} did not finish TLS and login within {} s; it may be overloaded, or something between holds the \
                     connection back",
                    self.address.authority(),
                    HANDSHAKE_MAX.as_secs()
                ),
            )),
        }
    }

    async fn dial(&self) -> Result<TcpStream, DialError> {
        let dialer = Arc::clone(&self.dialer);
        let (host, port) = (self.address.host().to_owned(), self.address.port());
        let dialled = tokio::task::spawn_blocking(move || dialer.dial(&host, port))
            .await
            .map_err(|error| DialError::network("other", format!("dialling the server: {error}")))?
            .map_err(|error| DialError::Network {
                word: error.kind.word().to_owned(),
                message: error.to_string(),
                no_internet: error.kind.is_no_internet(),
            })?;
        tracing::debug!(route = %dialled.route, "dialled the server");
        let stream = dialled.stream;
        stream
            .set_nonblocking(true)
            .and_then(|()| TcpStream::from_std(stream))
            .map_err(|error| DialError::network("other", format!("preparing the connection: {error}")))
    }

    async fn handshake(&self, stream: TcpStream, path: &str, ticket: Option<&Ticket>) -> Result<Upgraded, DialError> {
        let host = self.address.host();
        let failed = |failure: tls::Failure| DialError::network(failure.word, failure.message);
        let name = tls::server_name(host).map_err(failed)?;
        let mut stream = TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, Ahead::new(stream))
            .await
            .map_err(|error| failed(tls::explain_io(&error, host)))?;
        let answer = upgrade::ask(&mut stream, &self.address.authority(), path, (&self.authorization, ticket))
            .await
            .map_err(|error| {
                let server = self.address.authority();
                let message = format!(
                    "{server} broke the connection before it answered the login: {error}; the server may be restarting, \
                     or something between ends connections that become WebSockets"
                );
                DialError::network("login_broke", message)
            })?;
        match answer {
            Answer::Switched { rest } => Ok((stream, rest)),
            Answer::Refused { status, body } => Err(DialError::Refused(login::refusal(status, &body))),
        }
    }
}
