//! The beginning of a stream that is one exchange over HTTP: TLS with the target, then the request's head with the
//! connection's own credentials. What follows are bytes.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use sallyport_connectors::http::{NotSent, Target};
use sallyport_dataplane::tunnel::Split;
use sallyport_protocol::{HttpOrder, TunnelOrder, TunnelRefusal, TunnelRefusalCode as Code};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long TLS with the target may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How long the target may take to accept a request's head.
const HEAD_MAX: Duration = Duration::from_secs(10);

/// Kinds of trust that are kept: reading the system's roots takes longer than a request.
const TRUSTS_MAX: usize = 64;

/// A target's authority, if its connection has one, and whether certificates are checked.
type Trust = (Option<String>, bool);

/// Sends heads of requests. Keeps how TLS is done, and with it the sessions that can be resumed.
#[derive(Default)]
pub(super) struct Https {
    trusts: Mutex<HashMap<Trust, Arc<ClientConfig>>>,
}

/// A target that has been sent a head.
pub(super) enum Asked {
    Plain(TcpStream),
    Encrypted(Box<Split<TlsStream<TcpStream>>>),
}

impl Https {
    /// Sends the head; gives what the stream goes on with, and the head's bytes.
    pub(super) async fn ask(
        &self,
        mut socket: TcpStream,
        order: &TunnelOrder,
        http: &HttpOrder,
    ) -> Result<(Asked, u64), TunnelRefusal> {
        let target = Target::new(&http.connection).map_err(|error| refused(order, Code::Other, &error.to_string()))?;
        let unsent = |why: NotSent| refused(order, Code::Other, &format!("the request is not sent: {why}"));
        let head = target.head(http).map_err(unsent)?;
        let bytes = head.len() as u64;
        if !target.address().is_encrypted() {
            send(&mut socket, &head).await.map_err(|error| broke(order, &error))?;
            return Ok((Asked::Plain(socket), bytes));
        }
        let (config, name) = (self.tls(&target).map_err(unsent)?, target.name().map_err(unsent)?);
        let handshake = TlsConnector::from(config).connect(name, socket);
        let mut stream = match timeout(HANDSHAKE_MAX, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(untrusted(order, &error.to_string())),
            Err(_) => return Err(untrusted(order, &format!("no answer within {} s", HANDSHAKE_MAX.as_secs()))),
        };
        send(&mut stream, &head).await.map_err(|error| broke(order, &error))?;
        let break_off = |stream: &TlsStream<TcpStream>| {
            // One that is gone already needs no break.
            let _ = stream.get_ref().0.set_zero_linger();
        };
        Ok((Asked::Encrypted(Box::new(Split { io: stream, break_off })), bytes))
    }

    fn tls(&self, target: &Target) -> Result<Arc<ClientConfig>, NotSent> {
        let (ca, verify) = target.trust();
        let trust = (ca.map(str::to_owned), verify);
        let known = |this: &Self| this.trusts.lock().unwrap_or_else(PoisonError::into_inner).get(&trust).cloned();
        if let Some(config) = known(self) {
            return Ok(config);
        }
        let config = target.tls()?;
        let mut trusts = self.trusts.lock().unwrap_or_else(PoisonError::into_inner);
        if trusts.len() >= TRUSTS_MAX {
            trusts.clear();
        }
        trusts.insert(trust, Arc::clone(&config));
        Ok(config)
    }
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), head: &[u8]) -> io::Result<()> {
    let sending = async {
        stream.write_all(head).await?;
        stream.flush().await
    };
    timeout(HEAD_MAX, sending).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn untrusted(order: &TunnelOrder, why: &str) -> TunnelRefusal {
    let advice = "check that the service's certificate comes from the connection's `ca`, or without one from an authority \
                  that the agent's machine trusts, and that it names the host";
    refused(order, Code::Tls, &format!("TLS failed: {why}; {advice}"))
}

fn broke(order: &TunnelOrder, error: &io::Error) -> TunnelRefusal {
    refused(order, Code::Unreachable, &format!("it broke the connection before it had the request: {error}"))
}

fn refused(order: &TunnelOrder, code: Code, why: &str) -> TunnelRefusal {
    let TunnelOrder { connection, host, port, .. } = order;
    TunnelRefusal { code, message: format!("connection `{connection}` ({host}:{port}): {why}") }
}
