//! The way to a target: from this machine, or through another agent that reaches it.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use sallyport_dataplane::Cancel;
use sallyport_dataplane::tunnel::{self, Near};

use crate::Error;

/// How a step's connector gets to its target.
#[derive(Clone, Default)]
pub enum Reach {
    /// It dials, with the site's leave.
    #[default]
    Direct,
    /// Another agent dials, with the leave of that agent's site.
    Through(Arc<dyn Through>),
}

/// Opens streams to the target of one connection.
pub trait Through: Send + Sync {
    /// Waits until the target has answered, or says why it does not; `cancel` ends the wait.
    fn open(&self, cancel: &Cancel) -> Result<Near, Error>;
}

/// Bytes to and from a target.
pub(crate) enum Carrier {
    Tcp(TcpStream),
    Far(Near),
}

/// Breaks a carrier from another thread.
pub(crate) enum Cut {
    Tcp(TcpStream),
    Far(tunnel::Cut),
}

impl Carrier {
    pub(crate) fn set_read_timeout(&mut self, limit: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_read_timeout(limit),
            Self::Far(near) => {
                near.set_read_timeout(limit);
                Ok(())
            }
        }
    }

    pub(crate) fn set_write_timeout(&mut self, limit: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_write_timeout(limit),
            Self::Far(near) => {
                near.set_write_timeout(limit);
                Ok(())
            }
        }
    }

    /// Whether reads and writes give `WouldBlock` where they would wait.
    pub(crate) fn set_nonblocking(&mut self, nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_nonblocking(nonblocking),
            Self::Far(near) => {
                near.set_nonblocking(nonblocking);
                Ok(())
            }
        }
    }

    pub(crate) fn cut(&self) -> io::Result<Cut> {
        match self {
            Self::Tcp(socket) => socket.try_clone().map(Cut::Tcp),
            Self::Far(near) => Ok(Cut::Far(near.cut())),
        }
    }
}

impl Cut {
    /// Whoever waits at the carrier goes on.
    pub(crate) fn cut(&self) {
        match self {
            // A socket that is already gone needs no shutdown.
            Self::Tcp(socket) => drop(socket.shutdown(Shutdown::Both)),
            Self::Far(far) => far.cut(),
        }
    }
}

impl Read for Carrier {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Far(near) => near.read(buffer),
        }
    }
}

impl Write for Carrier {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Far(near) => near.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write_vectored(slices),
            Self::Far(near) => near.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.flush(),
            Self::Far(near) => near.flush(),
        }
    }
}
