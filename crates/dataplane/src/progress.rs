//! Counters that a step raises while it works and its agent reads about once a second.

use std::sync::atomic::{AtomicU64, Ordering};

use sallyport_protocol::StepCounts;

/// What passed through a step so far; shared between the step's threads and the agent's reporter.
#[derive(Debug, Default)]
pub struct Progress {
    rows_in: AtomicU64,
    rows_out: AtomicU64,
    bytes: AtomicU64,
    rows_rejected: AtomicU64,
}

impl Progress {
    /// Rows taken from an input.
    pub fn add_rows_in(&self, rows: u64) {
        self.rows_in.fetch_add(rows, Ordering::Relaxed);
    }

    /// Rows given to the outputs or written to the target.
    pub fn add_rows_out(&self, rows: u64) {
        self.rows_out.fetch_add(rows, Ordering::Relaxed);
    }

    /// Bytes read from or written to the target.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Rows diverted to the reject file.
    pub fn add_rows_rejected(&self, rows: u64) {
        self.rows_rejected.fetch_add(rows, Ordering::Relaxed);
    }

    /// The counts now.
    pub fn counts(&self) -> StepCounts {
        StepCounts {
            rows_in: self.rows_in.load(Ordering::Relaxed),
            rows_out: self.rows_out.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            rows_rejected: self.rows_rejected.load(Ordering::Relaxed),
        }
    }
}
