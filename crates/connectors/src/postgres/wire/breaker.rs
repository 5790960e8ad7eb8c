//! Ending a session from another thread.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;

/// How long each part of a cancel request may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// Breaks one session's socket and has the server stop what the session runs.
pub(crate) struct Breaker {
    socket: TcpStream,
    server: SocketAddr,
    /// The session's process and secret, where the server gave them.
    key: Option<(i32, i32)>,
    broken: AtomicBool,
}

impl Breaker {
    pub(super) fn new(socket: &TcpStream, key: Option<(i32, i32)>) -> std::io::Result<Self> {
        Ok(Self { socket: socket.try_clone()?, server: socket.peer_addr()?, key, broken: AtomicBool::new(false) })
    }

    /// Returns at once: whoever waits at the socket goes on, the server is told in the background.
    pub(crate) fn cut(&self) {
        // A socket that is already gone needs no shutdown.
        let _ = self.socket.shutdown(Shutdown::Both);
        if let Some(key) = self.key
            && !self.broken.swap(true, Ordering::Relaxed)
        {
            let server = self.server;
            // Nobody waits for it: it ends by its own time limits. Without it the server sees the socket's end, later.
            let _ = thread::Builder::new().name("postgres-cancel".into()).spawn(move || request_cancel(server, key));
        }
    }
}

/// Asks the server, on a connection of its own, to stop what the session runs.
fn request_cancel(server: SocketAddr, (process, secret): (i32, i32)) {
    let mut request = BytesMut::new();
    frontend::cancel_request(process, secret, &mut request);
    if let Ok(mut socket) = TcpStream::connect_timeout(&server, CANCEL_TIMEOUT) {
        let _ = socket.set_write_timeout(Some(CANCEL_TIMEOUT));
        let _ = socket.set_read_timeout(Some(CANCEL_TIMEOUT));
        let _ = socket.write_all(&request);
        // The server closes when it has passed the signal on.
        let _ = socket.read(&mut [0]);
    }
}
