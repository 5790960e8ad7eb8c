//! How far an incremental read has come, and what an attempt is told about it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The largest checkpoint as JSON, in bytes: it travels in control messages and in front of rows.
pub const CHECKPOINT_BYTES_MAX: usize = 256 * 1024;

/// How far a source was read, in the words of that source alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Checkpoint(pub Value);

/// What the steps of a pipeline with an incremental read are told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incremental {
    /// Names task, reading step and writing step: the same in every run.
    pub stream: String,
    /// Grows when a person sets or clears the checkpoint: what was kept under an older one no longer counts.
    pub epoch: u64,
    /// Grows with every attempt of every run: a commit under an older one is refused.
    pub fence: u64,
    /// How far the platform knows the rows to be committed; the target may know better.
    #[serde(default)]
    pub checkpoint: Option<Checkpoint>,
    /// Read this range instead, and leave the checkpoint alone.
    #[serde(default)]
    pub backfill: Option<Backfill>,
}

/// A range of the cursor to read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// The reading step.
    pub step: String,
    /// The first value of the range.
    pub from: String,
    /// The first value behind the range.
    pub to: String,
}

/// What a sink has committed, data and checkpoint together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// As in the order.
    pub epoch: u64,
    /// As in the order.
    pub fence: u64,
    /// Counts the commits of the epoch, over all runs.
    pub sequence: u64,
    /// Everything up to here is in the target.
    pub checkpoint: Checkpoint,
    /// Rows that this attempt has committed.
    #[serde(default)]
    pub rows: u64,
}
