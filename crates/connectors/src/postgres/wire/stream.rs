//! The socket: plain, or TLS by rustls.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};

use sallyport_dataplane::Cancel;
use sallyport_site::policy::{PolicyFile, Refused};

use super::super::settings::{Connection, Tls};
use super::socket::Socket;
use crate::reach::Carrier;
use crate::tls::{self, Check};

/// How long one address may take to answer.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the server may take for each answer until the login is done.
pub(crate) const LOGIN_TIMEOUT: Duration = Duration::from_secs(20);

/// A peer that vanished without a word is noticed after this silence and so many probes ...
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// ... or, where bytes are on their way to it, when they have not been taken for so long.
#[cfg(target_os = "linux")]
const UNTAKEN_MAX: Duration = Duration::from_secs(60);

/// Bytes to and from the server.
pub(crate) enum Stream {
    Plain(Socket),
    Tls(Box<rustls::StreamOwned<ClientConnection, Socket>>),
}

impl Stream {
    pub(super) fn carrier(&mut self) -> &mut Carrier {
        self.raw().carrier()
    }

    /// As [`Read::read`], but `WouldBlock` where it would wait.
    pub(super) fn read_at_once(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.raw().at_once(true);
        let read = self.read(buffer);
        self.raw().at_once(false);
        read
    }

    /// Whether reads that have caught up with the server wait a moment for more.
    pub(super) fn gather(&mut self, gather: bool) {
        self.raw().gather(gather);
    }

    fn raw(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &mut stream.sock,
        }
    }

    /// Version and cipher, where the stream is encrypted.
    pub(crate) fn encryption(&self) -> Option<String> {
        let Self::Tls(stream) = self else { return None };
        let version = stream.conn.protocol_version()?;
        let suite = stream.conn.negotiated_cipher_suite()?;
        Some(format!("{version:?}, {:?}", suite.suite()))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// The addresses behind a host name.
pub(crate) fn resolve(connection: &Connection) -> io::Result<Vec<SocketAddr>> {
    let addresses: Vec<_> = (connection.host.as_str(), connection.port).to_socket_addrs()?.collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

/// Those of the addresses that the site allows to be dialled.
pub(crate) fn permitted(
    connection: &Connection,
    addresses: &[SocketAddr],
    policy: &PolicyFile,
) -> Result<Vec<SocketAddr>, Refused> {
    policy.now().dialable(&connection.host, addresses)
}

/// Opens a socket to the first address that answers; a stop is heeded between addresses.
pub(crate) fn dial(addresses: &[SocketAddr], cancel: &Cancel) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address to connect to");
    for address in addresses {
        cancel.check().map_err(io::Error::other)?;
        match TcpStream::connect_timeout(address, CONNECT_TIMEOUT) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                notice_loss(&socket)?;
                socket.set_read_timeout(Some(LOGIN_TIMEOUT))?;
                socket.set_write_timeout(Some(LOGIN_TIMEOUT))?;
                return Ok(socket);
            }
            Err(why) => last = why,
        }
    }
    Err(last)
}

/// Has the system notice a server that vanished without a word.
fn notice_loss(socket: &TcpStream) -> io::Result<()> {
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY).with_retries(KEEPALIVE_PROBES);
    let socket = SockRef::from(socket);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNTAKEN_MAX))?;
    Ok(())
}

/// Words for a wait that was too long, which the system calls a resource that is unavailable.
pub(super) fn in_time(why: io::Error) -> io::Error {
    match why.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} seconds", LOGIN_TIMEOUT.as_secs()))
        }
        _ => why,
    }
}

/// Why encryption could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("the server does not offer TLS")]
    NotOffered,
    #[error(transparent)]
    Trust(#[from] tls::Error),
    #[error("{0}")]
    Handshake(String),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Asks for encryption where the settings want it.
pub(crate) fn encrypt(mut carrier: Carrier, connection: &Connection) -> Result<Stream, TlsError> {
    if connection.tls == Tls::Disable {
        return Ok(Stream::Plain(Socket::plain(carrier)));
    }
    let verified = connection.tls == Tls::VerifyFull;
    let config = tls::config(Check { ca: connection.ca.as_deref(), system: verified, name: verified })?;
    let mut request = bytes::BytesMut::new();
    postgres_protocol::message::frontend::ssl_request(&mut request);
    carrier.write_all(&request)?;
    let mut answer = [0];
    carrier.read_exact(&mut answer).map_err(in_time)?;
    match answer[0] {
        b'S' => {}
        b'N' if connection.tls == Tls::Prefer => return Ok(Stream::Plain(Socket::plain(carrier))),
        b'N' => return Err(TlsError::NotOffered),
        // What it goes on to say comes from anybody, as nothing is encrypted yet.
        b'E' => return Err(io::Error::other("the server answered with an error before anything was encrypted").into()),
        _ => return Err(TlsError::Handshake("what answers there is no PostgreSQL".into())),
    }
    let name = ServerName::try_from(connection.host.clone())
        .map_err(|_| TlsError::Handshake(format!("`{}` is no name a certificate could hold", connection.host)))?;
    let mut session =
        ClientConnection::new(Arc::new(config), name).map_err(|why| TlsError::Handshake(why.to_string()))?;
    let mut socket = Socket::ahead(carrier);
    while session.is_handshaking() {
        session.complete_io(&mut socket).map_err(unfinished)?;
    }
    Ok(Stream::Tls(Box::new(rustls::StreamOwned::new(session, socket))))
}

/// A handshake that broke off: what TLS itself refuses is for good, the network's failures may pass.
fn unfinished(why: io::Error) -> TlsError {
    if why.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
        TlsError::Handshake(why.to_string())
    } else {
        TlsError::Io(in_time(why))
    }
}
