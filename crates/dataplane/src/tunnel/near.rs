//! The end of a stream for blocking code in the same process: as a socket would be, without one.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, ReadHalf, WriteHalf};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::Socket;

/// What may stand in a pipe, each way: some frames of a line, so that neither side waits for the other's turn.
const PIPE_BYTES: usize = 256 * 1024;

/// The end that a thread reads and writes. It must not be used on a thread that runs futures.
pub struct Near {
    io: DuplexStream,
    runtime: Handle,
    shared: Arc<Shared>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    nonblocking: bool,
}

/// The end that is carried over a line.
pub struct Far {
    io: DuplexStream,
    shared: Arc<Shared>,
}

/// Breaks a pipe from another thread.
#[derive(Clone)]
pub struct Cut(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Why the stream broke off.
    why: OnceLock<String>,
    cut: CancellationToken,
}

/// Both ends of a pipe; waits of the near one are for `runtime`.
pub fn pipe(runtime: Handle) -> (Near, Far) {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let shared = Arc::new(Shared::default());
    let (read_timeout, write_timeout, nonblocking) = (None, None, false);
    let near = Near { io: near, runtime, shared: Arc::clone(&shared), read_timeout, write_timeout, nonblocking };
    (near, Far { io: far, shared })
}

impl Near {
    /// The longest that a read may wait.
    pub fn set_read_timeout(&mut self, limit: Option<Duration>) {
        self.read_timeout = limit;
    }

    /// The longest that a write may wait.
    pub fn set_write_timeout(&mut self, limit: Option<Duration>) {
        self.write_timeout = limit;
    }

    /// Whether reads and writes give `WouldBlock` where they would wait.
    pub fn set_nonblocking(&mut self, nonblocking: bool) {
        self.nonblocking = nonblocking;
    }

    /// What breaks it from another thread.
    pub fn cut(&self) -> Cut {
        Cut(Arc::clone(&self.shared))
    }

    /// Waits as long as it is told to for what `poll` gives.
    fn wait<T>(
        &mut self,
        limit: Option<Duration>,
        mut poll: impl FnMut(Pin<&mut DuplexStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        let Self { io, runtime, shared, nonblocking, .. } = self;
        let nonblocking = *nonblocking;
        let mut polled = poll_fn(|context| match poll(Pin::new(io), context) {
            Poll::Pending if nonblocking => Poll::Ready(Err(io::ErrorKind::WouldBlock.into())),
            polled => polled,
        });
        runtime.block_on(async {
            let limited = async {
                match limit {
                    None => (&mut polled).await,
                    Some(limit) => match tokio::time::timeout(limit, &mut polled).await {
                        Ok(polled) => polled,
                        Err(_) => Err(io::ErrorKind::TimedOut.into()),
                    },
                }
            };
            tokio::select! {
                biased;
                () = shared.cut.cancelled() => Err(io::ErrorKind::ConnectionAborted.into()),
                done = limited => done,
            }
        })
    }
}

impl Read for Near {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut space = ReadBuf::new(buffer);
        self.wait(self.read_timeout, |io, context| io.poll_read(context, &mut space))?;
        match (space.filled().len(), self.shared.why.get()) {
            (0, Some(why)) if space.capacity() > 0 => Err(io::Error::new(io::ErrorKind::ConnectionReset, why.as_str())),
            (count, _) => Ok(count),
        }
    }
}

impl Write for Near {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.wait(self.write_timeout, |io, context| io.poll_write(context, bytes));
        match (written, self.shared.why.get()) {
            (Err(error), Some(why)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Err(io::Error::new(io::ErrorKind::BrokenPipe, why.as_str()))
            }
            (written, _) => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Cut {
    /// Whoever waits at the pipe goes on with an error. Does not wait.
    pub fn cut(&self) {
        self.0.cut.cancel();
    }
}

impl Socket for Far {
    type Reading<'a> = ReadHalf<&'a mut DuplexStream>;
    type Writing<'a> = WriteHalf<&'a mut DuplexStream>;

    fn halves(&mut self) -> (Self::Reading<'_>, Self::Writing<'_>) {
        tokio::io::split(&mut self.io)
    }

    fn break_off(&mut self, why: &str) {
        // The first reason is the cause.
        let _ = self.shared.why.set(why.to_owned());
    }
}
