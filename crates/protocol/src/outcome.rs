//! How a step ended, as its agent reports it.

use serde::{Deserialize, Serialize};

use crate::{AttemptKey, Committed, Timestamp, shorten};

/// The part that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The connector or its target: address, credentials, rights, a query that does not run.
    Connector,
    /// The rows that came in: a bad value, a column that is missing, a stream that broke off.
    Input,
    /// The rows that went out: a full disk, a refused value, a receiver that is gone.
    Output,
    /// The agent itself: memory, limits, a bug.
    Runtime,
    /// The agent went away while it worked.
    AgentLost,
    /// The attempt took longer than its `timeout`.
    TimedOut,
    /// A kind this build does not know.
    #[serde(other)]
    Other,
}

impl FailureKind {
    /// As it stands in messages and answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Connector => "connector",
            Self::Input => "input",
            Self::Output => "output",
            Self::Runtime => "runtime",
            Self::AgentLost => "agent_lost",
            Self::TimedOut => "timed_out",
            Self::Other => "other",
        }
    }
}

/// What went wrong, for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The part that failed.
    pub kind: FailureKind,
    /// A stable word, such as `value_too_large`.
    pub code: String,
    /// What was attempted and what went wrong, naming file, table, row, column or host.
    pub message: String,
    /// What to do next.
    #[serde(default)]
    pub advice: Option<String>,
    /// Whether trying again may help (a lost connection) or not (a wrong password, a bad value).
    #[serde(default)]
    pub transient: bool,
}

impl Failure {
    /// Cuts its texts to `most` bytes each: they may quote a value of any size.
    pub fn shorten(&mut self, most: usize) {
        shorten(&mut self.message, most);
        if let Some(advice) = &mut self.advice {
            shorten(advice, most);
        }
    }
}

/// How one step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StepOutcome {
    /// It did what it was asked to.
    Succeeded,
    /// It failed by itself.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// It was stopped, by a person or because another step of its pipeline failed.
    Cancelled {
        /// Why.
        reason: String,
    },
}

impl StepOutcome {
    /// Cuts its texts to `most` bytes each.
    pub fn shorten(&mut self, most: usize) {
        match self {
            Self::Succeeded => {}
            Self::Failed { failure } => failure.shorten(most),
            Self::Cancelled { reason } => shorten(reason, most),
        }
    }
}

/// What passed through a step so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepCounts {
    /// Rows taken from the inputs.
    #[serde(default)]
    pub rows_in: u64,
    /// Rows given to the outputs, or written to the target by a sink.
    #[serde(default)]
    pub rows_out: u64,
    /// Bytes read from or written to the target; for a transform, bytes of the batches given on.
    #[serde(default)]
    pub bytes: u64,
    /// Rows diverted to the reject file.
    #[serde(default)]
    pub rows_rejected: u64,
}

/// One step's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// The step's name.
    pub step: String,
    /// How it ended.
    pub outcome: StepOutcome,
    /// What passed through it.
    #[serde(default)]
    pub counts: StepCounts,
    /// Whether what it wrote was already there, committed by an earlier attempt.
    #[serde(default)]
    pub already_committed: bool,
    /// How far a sink has committed an incremental read, however the step ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<Committed>,
}

/// The end of a work order: every step has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderReport {
    /// The attempt.
    pub key: AttemptKey,
    /// One per step of the order.
    pub steps: Vec<StepReport>,
    /// When the last of them ended, by the agent's clock; absent where nobody saw it end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}
