//! Log lines on their way to the server: numbered batches, sent again until acknowledged, on disk while it is away.
//!
//! Lines keep one order: batches in flight, then those in memory, then those in the file. Everything is bounded; what
//! finds no place is counted, and the count travels with the next batch.

mod store;

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use sallyport_protocol::{LINES_PER_BATCH_MAX, LogBatch, LogLine};

use store::Store;

/// The most batches in flight: enough to fill a slow path, few enough to repeat.
pub const BATCHES_IN_FLIGHT_MAX: usize = 4;

/// About the most bytes of text in one batch.
pub const BATCH_BYTES_MAX: usize = 64 * 1024;

/// The most lines in memory before the file takes them.
pub const MEMORY_LINES_MAX: usize = 2000;

/// The most bytes in the file: some hours of an agent at `Info`.
pub const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Lines that the server has not stored yet.
#[derive(Debug)]
pub struct Spool {
    flying: VecDeque<Flying>,
    memory: VecDeque<LogLine>,
    store: Store,
    seq: u64,
    dropped: u64,
}

#[derive(Debug)]
struct Flying {
    batch: LogBatch,
    sent: bool,
}

impl Spool {
    /// Opens the spool; lines that an earlier process left in the file come first. The path is below `state/spool/`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let store = Store::open(path, FILE_BYTES_MAX)?;
        Ok(Self { flying: VecDeque::new(), memory: VecDeque::new(), store, seq: 0, dropped: 0 })
    }

    /// Takes a line. Never fails: a line without a place is counted.
    pub fn push(&mut self, line: LogLine) {
        if self.store.is_empty() && self.memory.len() < MEMORY_LINES_MAX {
            self.memory.push_back(line);
        } else if !self.store.append(&line) {
            self.dropped += 1;
        }
    }

    /// Counts lines that were lost before they came here.
    pub fn lost(&mut self, count: u64) {
        self.dropped += count;
    }

    /// Whether nothing waits, nor flies.
    pub fn is_empty(&self) -> bool {
        self.flying.is_empty() && self.memory.is_empty() && self.store.is_empty()
    }

    /// The next batch to send; `None` when nothing waits or too many are in flight.
    pub fn next_batch(&mut self) -> Option<LogBatch> {
        if let Some(again) = self.flying.iter_mut().find(|flying| !flying.sent) {
            again.sent = true;
            return Some(again.batch.clone());
        }
        if self.flying.len() >= BATCHES_IN_FLIGHT_MAX {
            return None;
        }
        if self.memory.is_empty() {
            let (lines, unreadable) = self.store.take(MEMORY_LINES_MAX);
            self.memory.extend(lines);
            self.dropped += unreadable;
        }
        let lines = self.cut();
        if lines.is_empty() {
            return None;
        }
        self.seq += 1;
        let batch = LogBatch { seq: self.seq, dropped: std::mem::take(&mut self.dropped), lines };
        self.flying.push_back(Flying { batch: batch.clone(), sent: true });
        Some(batch)
    }

    /// The server has stored everything up to this batch.
    pub fn acknowledge(&mut self, seq: u64) {
        while self.flying.front().is_some_and(|flying| flying.batch.seq <= seq) {
            self.flying.pop_front();
        }
    }

    /// The connection is gone: what was in flight is sent again, under the same numbers.
    pub fn disconnected(&mut self) {
        for flying in &mut self.flying {
            flying.sent = false;
        }
    }

    /// Puts what was never sent on disk, so that a sudden end of the process does not lose it; for times without a
    /// connection. Batches in flight stay in memory under their numbers, or the server could not tell repeats.
    pub fn spill(&mut self) -> io::Result<()> {
        if !self.memory.is_empty() {
            self.store.rewrite(self.memory.iter())?;
            self.memory.clear();
        }
        Ok(())
    }

    /// Puts everything on disk, for the next process. Lines in flight may then reach the server twice.
    pub fn persist(&mut self) -> io::Result<()> {
        let flying = self.flying.iter().flat_map(|flying| &flying.batch.lines);
        self.store.rewrite(flying.chain(&self.memory))?;
        self.flying.clear();
        self.memory.clear();
        Ok(())
    }

    fn cut(&mut self) -> Vec<LogLine> {
        let mut bytes = 0;
        let mut count = 0;
        for line in self.memory.iter().take(LINES_PER_BATCH_MAX) {
            bytes += line.message.len() + line.target.len();
            if count > 0 && bytes > BATCH_BYTES_MAX {
                break;
            }
            count += 1;
        }
        self.memory.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests;
