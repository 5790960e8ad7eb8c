//! What a stream comes from and goes to at its ends.

use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp;

use super::Io;

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
