//! The local port: each connection that is made to it becomes a stream.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sallyport_dataplane::tunnel::{self, End};
use sallyport_protocol::TunnelWord;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use sallyport_agent::link::DialError;
use sallyport_agent::tunnel::Pool as Lines;

use crate::error::{Error, Result};
use crate::say;

type Pool = Lines<DialError>;

/// After an accept that failed (out of descriptors), the next is tried this much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The same words about a target that does not answer are said at most this often.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// What went through.
#[derive(Default)]
pub(super) struct Totals {
    streams: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    said: Mutex<Option<(String, Instant)>>,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (streams, sent, received) = (value(&self.streams), value(&self.sent), value(&self.received));
        write!(f, "{streams} connections, {sent} bytes to the target, {received} bytes back")
    }
}

impl Totals {
    /// Tells the person, unless that was just done.
    fn complain(&self, why: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.as_ref().is_none_or(|(last, at)| last != why || at.elapsed() > SAID_EVERY) {
            *said = Some((why.to_owned(), Instant::now()));
            drop(said);
            say::note(why);
        }
    }
}

/// Listens, once the port is free.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener> {
    tunnel::listen(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            Error::failed(format!("{address} is in use: another program listens there; choose another with --local"))
        }
        _ => Error::failed(format!("listening on {address}: {error}")),
    })
}

/// Accepts until the tunnel ends.
pub(super) async fn serve(listener: TcpListener, pool: Arc<Pool>, totals: Arc<Totals>) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let (pool, totals) = (Arc::clone(&pool), Arc::clone(&totals));
                let stream = Arc::clone(&pool);
                pool.spawn(async move { carry(&stream, socket, &totals).await });
            }
            Err(error) => {
                totals.complain(&format!("a connection could not be accepted: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn carry(pool: &Arc<Pool>, socket: TcpStream, totals: &Totals) {
    totals.streams.fetch_add(1, Ordering::Relaxed);
    // A socket that has gone says so when it is read.
    let _ = socket.set_nodelay(true);
    let mut line = match pool.take().await {
        Ok(line) => line,
        Err(why) => {
            let _ = socket.set_zero_linger();
            return totals.complain(&why.to_string());
        }
    };
    if let Err(error) = line.writer.word(&TunnelWord::Begin).await {
        let _ = socket.set_zero_linger();
        return totals.complain(&format!("the line to the server broke: {error}"));
    }
    let mut refused = None;
    let hear = |word| {
        if let TunnelWord::Refused { refusal } = word {
            refused = Some(refusal.message);
        }
    };
    let (carried, line) = tunnel::carry(line, socket, &tunnel::Moved::default(), std::future::pending(), hear).await;
    totals.sent.fetch_add(carried.sent, Ordering::Relaxed);
    totals.received.fetch_add(carried.received, Ordering::Relaxed);
    match (refused, &carried.end) {
        (Some(why), _) => totals.complain(&why),
        (None, End::Lost(why)) => totals.complain(&format!("a connection was lost: {why}")),
        (None, _) => {}
    }
    if let Some(line) = line {
        pool.give(line);
    }
}
