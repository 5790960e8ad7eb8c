//! Ending a session from another thread.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use sallyport_dataplane::Cancel;

use crate::reach::{Carrier, Cut, Through};

/// How long each part of a cancel request may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// The way to the server that holds a session, once more.
#[derive(Clone)]
pub(super) enum Again {
    Address(SocketAddr),
    Through(Arc<dyn Through>),
}

/// Breaks one session's socket and has the server stop what the session runs.
pub(crate) struct Breaker {
    cut: Cut,
    server: Again,
    /// The session's process and secret, where the server gave them.
    key: Option<(i32, i32)>,
    broken: AtomicBool,
}

impl Breaker {
    pub(super) fn new(carrier: &Carrier, server: Again, key: Option<(i32, i32)>) -> io::Result<Self> {
        Ok(Self { cut: carrier.cut()?, server, key, broken: AtomicBool::new(false) })
    }

    /// Returns at once: whoever waits at the socket goes on, the server is told in the background.
    pub(crate) fn cut(&self) {
        self.cut.cut();
        if let Some(key) = self.key
            && !self.broken.swap(true, Ordering::Relaxed)
        {
            let server = self.server.clone();
            // Nobody waits for it: it ends by its own time limits. Without it the server sees the socket's end, later.
            let _ = thread::Builder::new().name("postgres-cancel".into()).spawn(move || request_cancel(&server, key));
        }
    }
}

impl Again {
    fn open(&self) -> Option<Carrier> {
        match self {
            Self::Address(address) => TcpStream::connect_timeout(address, CANCEL_TIMEOUT).ok().map(Carrier::Tcp),
            Self::Through(through) => through.open(&Cancel::new()).ok().map(Carrier::Far),
        }
    }
}

/// Asks the server, on a connection of its own, to stop what the session runs.
fn request_cancel(server: &Again, (process, secret): (i32, i32)) {
    let mut request = BytesMut::new();
    frontend::cancel_request(process, secret, &mut request);
    if let Some(mut carrier) = server.open() {
        let _ = carrier.set_write_timeout(Some(CANCEL_TIMEOUT));
        let _ = carrier.set_read_timeout(Some(CANCEL_TIMEOUT));
        let _ = carrier.write_all(&request);
        // The server closes when it has passed the signal on.
        let _ = carrier.read(&mut [0]);
    }
}
