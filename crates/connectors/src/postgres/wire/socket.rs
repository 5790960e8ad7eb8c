//! The TCP socket under a session: read in large pieces, and without waiting where a reader has rows to hand over.

use std::io::{self, IoSlice, Read, Write};
use std::time::Duration;

use crate::reach::Carrier;

/// Bytes taken from the system at once for TLS, which itself asks for 4 KiB at a time.
const AHEAD_BYTES: usize = 256 * 1024;

/// A read that gave less than this caught up with the server, which sends 8 KiB at a time ...
const SHORT_READ: usize = 64 * 1024;

/// ... so the next one waits a moment for more: fewer wake-ups on both sides (a tenth of the time of a COPY on loopback,
/// half of the reader's system time). Data that is there is never delayed. Elsewhere short sleeps are too long for this.
const GATHER: Option<Duration> = if cfg!(unix) { Some(Duration::from_micros(400)) } else { None };

/// A connected socket.
pub(crate) struct Socket {
    inner: Carrier,
    /// Bytes ahead of the reader, `start..end` of it; none where the reader itself reads in large pieces.
    ahead: Vec<u8>,
    start: usize,
    end: usize,
    gather: bool,
    short: bool,
    at_once: bool,
}

impl Socket {
    /// Reads what it is asked for.
    pub(super) fn plain(inner: Carrier) -> Self {
        Self { inner, ahead: Vec::new(), start: 0, end: 0, gather: false, short: false, at_once: false }
    }

    /// Reads ahead of a reader that asks for little.
    pub(super) fn ahead(inner: Carrier) -> Self {
        Self { ahead: vec![0; AHEAD_BYTES], ..Self::plain(inner) }
    }

    pub(super) fn carrier(&mut self) -> &mut Carrier {
        &mut self.inner
    }

    /// Whether reads that have caught up with the server wait a moment for more.
    pub(super) fn gather(&mut self, gather: bool) {
        self.gather = gather;
        self.short = false;
    }

    /// Whether reads give `WouldBlock` where they would wait.
    pub(super) fn at_once(&mut self, at_once: bool) {
        self.at_once = at_once;
    }

    fn receive(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if let Some(gather) = GATHER
            && self.gather
            && self.short
        {
            std::thread::sleep(gather);
        }
        let read = if self.at_once {
            self.inner.set_nonblocking(true)?;
            let read = self.inner.read(room);
            self.inner.set_nonblocking(false)?;
            read
        } else {
            self.inner.read(room)
        };
        self.short = read.as_ref().is_ok_and(|read| *read < SHORT_READ);
        read
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            return self.receive(buffer);
        }
        if self.start == self.end {
            let mut ahead = std::mem::take(&mut self.ahead);
            let read = self.receive(&mut ahead);
            self.ahead = ahead;
            (self.start, self.end) = (0, read?);
        }
        let length = buffer.len().min(self.end - self.start);
        buffer[..length].copy_from_slice(&self.ahead[self.start..self.start + length]);
        self.start += length;
        Ok(length)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.inner.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
