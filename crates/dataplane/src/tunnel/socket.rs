//! What a stream comes from and goes to at its ends.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp;

use super::Io;

/// A peer that vanished without a word is noticed after this silence and so many probes.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// Has a socket send at once, and notice when its peer is gone.
pub fn keep_alive(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY).with_retries(KEEPALIVE_PROBES);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}

/// The end of a stream.
pub trait Socket: Send {
    /// What comes from it.
    type Reading<'a>: AsyncRead + Unpin + Send
    where
        Self: 'a;
    /// What goes to it.
    type Writing<'a>: AsyncWrite + Unpin + Send
    where
        Self: 'a;

    /// Both at one time.
    fn halves(&mut self) -> (Self::Reading<'_>, Self::Writing<'_>);

    /// Has its end look like a break, not like the end of all that there was.
    fn break_off(&mut self, why: &str);
}

impl Socket for TcpStream {
    type Reading<'a> = tcp::ReadHalf<'a>;
    type Writing<'a> = tcp::WriteHalf<'a>;

    fn halves(&mut self) -> (Self::Reading<'_>, Self::Writing<'_>) {
        self.split()
    }

    fn break_off(&mut self, _why: &str) {
        // One that is gone already needs no break.
        let _ = self.set_zero_linger();
    }
}

/// Anything else that bytes pass through, such as TLS.
pub struct Split<S> {
    /// The stream.
    pub io: S,
    /// How it is broken off.
    pub break_off: fn(&S),
}

impl<S: Io> Socket for Split<S> {
    type Reading<'a>
        = ReadHalf<&'a mut S>
    where
        Self: 'a;
    type Writing<'a>
        = WriteHalf<&'a mut S>
    where
        Self: 'a;

    fn halves(&mut self) -> (Self::Reading<'_>, Self::Writing<'_>) {
        tokio::io::split(&mut self.io)
    }

    fn break_off(&mut self, _why: &str) {
        (self.break_off)(&self.io);
    }
}
