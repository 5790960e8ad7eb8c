//! A window on a text stream that grows until a whole record is in it, up to a limit.

use std::io::{self, Read};

use sallyport_dataplane::Cancel;

/// A record (line) may not be larger: nothing a task moves is, and memory stays bounded.
pub(super) const RECORD_BYTES_MAX: usize = crate::VALUE_BYTES_MAX;

const BLOCK: usize = 1 << 20;

/// Why no more text came.
#[derive(Debug)]
pub(super) enum Stop {
    /// The stream failed.
    Io(io::Error),
    /// The record is larger than [`RECORD_BYTES_MAX`].
    TooLarge,
    /// The step was told to stop.
    Cancelled,
}

/// The window.
pub(super) struct Feed {
    reader: Box<dyn Read>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    cancel: Cancel,
}

impl Feed {
    pub(super) fn new(reader: Box<dyn Read>, cancel: Cancel) -> Self {
        Self { reader, buffer: vec![0; BLOCK], start: 0, end: 0, ended: false, cancel }
    }

    /// The text that has not been consumed.
    pub(super) fn window(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether nothing follows the window.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Moves the window's start.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
    }

    /// Makes the window larger, or learns that it has ended. Each call at least doubles a window that holds only part of
    /// a record, up to the largest record, so that looking at a long record again and again stays linear.
    pub(super) fn grow(&mut self) -> Result<(), Stop> {
        if self.cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let kept = self.end - self.start;
        if kept > RECORD_BYTES_MAX {
            return Err(Stop::TooLarge);
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.start = 0;
        self.end = kept;
        let wanted = (2 * kept).min(RECORD_BYTES_MAX + BLOCK);
        if self.buffer.len() < wanted {
            // Reserved first: growing on its own would take up to twice as much.
            self.buffer.reserve_exact(wanted - self.buffer.len());
            self.buffer.resize(wanted, 0);
        } else if kept < BLOCK / 2 && self.buffer.len() > BLOCK {
            self.buffer.truncate(BLOCK);
            self.buffer.shrink_to_fit();
        }
        while self.end < self.buffer.len() {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Stop::Io(error)),
            }
        }
        Ok(())
    }
}
