//! When a sink commits while rows still come.

use std::time::Duration;

use sallyport_protocol::{Clock, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

/// Few enough to lose little, many enough that a commit costs nothing.
const ROWS: u64 = 100_000;
const BYTES: u64 = 64 * 1024 * 1024;
const SECONDS: u64 = 30;

/// How much of an incremental read is committed at once, whichever bound is reached first.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CommitEvery {
    /// Rows; default 100,000.
    #[schemars(range(min = 1))]
    pub(crate) rows: u64,
    /// Bytes of the batches; default 64 MiB.
    #[schemars(range(min = 1))]
    pub(crate) bytes: u64,
    /// Seconds since the last commit; default 30.
    #[schemars(range(min = 1))]
    pub(crate) seconds: u64,
}

impl Default for CommitEvery {
    fn default() -> Self {
        Self { rows: ROWS, bytes: BYTES, seconds: SECONDS }
    }
}

/// What is written and not yet committed.
#[derive(Debug)]
pub(crate) struct Chunk {
    every: CommitEvery,
    rows: u64,
    bytes: u64,
    began: Timestamp,
}

impl Chunk {
    pub(crate) fn new(every: CommitEvery) -> Self {
        Self { every, rows: 0, bytes: 0, began: Clock::system().now() }
    }

    pub(crate) fn add(&mut self, batch: &arrow_array::RecordBatch) {
        self.rows += batch.num_rows() as u64;
        self.bytes += batch.get_array_memory_size() as u64;
    }

    /// Whether the next mark is a place to commit at.
    pub(crate) fn is_full(&self) -> bool {
        let age = Clock::system().now().since(self.began);
        let waited = age >= Duration::from_secs(self.every.seconds);
        self.rows >= self.every.rows || self.bytes >= self.every.bytes || (self.rows > 0 && waited)
    }
}
