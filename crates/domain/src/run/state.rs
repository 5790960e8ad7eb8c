//! Where a run, its pipelines and its steps can stand.

use std::fmt;

use sallyport_protocol::{AgentId, AttemptKey, Committed, Failure, RunId, StepCounts, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waits for its turn.
    Scheduled,
    /// Nothing goes on because an agent is offline.
    WaitingForAgent,
    /// At least one step is at work or about to be tried again.
    Running,
    /// Everything was delivered.
    Succeeded,
    /// Everything went well and there were no rows.
    NoData,
    /// Delivered, but for rows that were diverted or steps whose failure does not count.
    FinishedWithErrors,
    /// A step failed for good.
    Failed,
    /// A step took too long or waited too long.
    TimedOut,
    /// Somebody, or a restart of an agent, stopped it.
    Cancelled,
}

impl RunState {
    /// All states, in the order of a run's life.
    pub const ALL: [Self; 9] = [
        Self::Scheduled,
        Self::WaitingForAgent,
        Self::Running,
        Self::Succeeded,
        Self::NoData,
        Self::FinishedWithErrors,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
    ];

    /// Whether nothing more will happen.
    pub const fn has_ended(self) -> bool {
        !matches!(self, Self::Scheduled | Self::WaitingForAgent | Self::Running)
    }

    /// Whether it ended with everything delivered.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Succeeded | Self::NoData)
    }

    /// The word in the API and the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::WaitingForAgent => "waiting_for_agent",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::NoData => "no_data",
            Self::FinishedWithErrors => "finished_with_errors",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Where a step of a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    Scheduled,
    /// An agent of its pipeline is offline.
    WaitingForAgent,
    /// At work.
    Running,
    /// Waits for the next attempt.
    Retrying,
    /// Did what it was asked to.
    Succeeded,
    /// Failed for good.
    Failed,
    /// Took or waited too long.
    TimedOut,
    /// Was stopped.
    Cancelled,
    /// Inactive, its condition did not hold, or it needs the rows of such a step.
    Skipped,
}

impl StepState {
    /// The word in the API and the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::WaitingForAgent => "waiting_for_agent",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRun {
    /// Where it stands.
    pub state: StepState,
    /// The newest attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// What passed through it in the newest attempt.
    pub counts: StepCounts,
    /// How the newest attempt failed.
    pub failure: Option<Failure>,
    /// Why it stands where it stands, in words.
    pub reason: Option<String>,
    /// When the newest attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How far the newest attempt has committed an incremental read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<Committed>,
}

impl StepRun {
    pub(super) fn new(runs: bool) -> Self {
        Self {
            state: if runs { StepState::Scheduled } else { StepState::Skipped },
            attempt: 0,
            counts: StepCounts::default(),
            failure: None,
            reason: (!runs).then(|| "inactive, or needs the rows of an inactive step".to_owned()),
            started_at: None,
            ended_at: None,
            committed: None,
        }
    }
}

/// A pipeline of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    /// Where it stands.
    pub state: PipelineState,
    /// The newest attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// The newest attempt's fencing token.
    pub fence: u64,
    /// Attempts that failed by a step's own failure.
    pub failures: u32,
    /// Attempts that ended because an agent or a stream was lost.
    pub losses: u32,
    /// It has failed, and the run goes on as if it had not.
    #[serde(default)]
    pub tolerated: bool,
}

impl Pipeline {
    pub(super) const fn new() -> Self {
        Self { state: PipelineState::Idle, attempt: 0, fence: 0, failures: 0, losses: 0, tolerated: false }
    }

    /// The orders that an agent still works on.
    pub fn open_orders(&self) -> impl Iterator<Item = &Order> {
        let orders = match &self.state {
            PipelineState::Running { orders, .. } => orders.as_slice(),
            _ => &[],
        };
        orders.iter().filter(|order| order.state.is_open())
    }
}

/// Where a pipeline stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PipelineState {
    /// The run has not started.
    Idle,
    /// Waits for the end of steps that come before it.
    Blocked,
    /// Waits until all its agents are online.
    Waiting {
        /// When it gives up.
        until: Timestamp,
    },
    /// Waits before the next attempt.
    Backoff {
        /// When it goes on.
        until: Timestamp,
    },
    /// Its agents work.
    Running {
        /// One per agent.
        orders: Vec<Order>,
        /// Set once the attempt is being stopped: when to stop waiting for the agents.
        give_up_at: Option<Timestamp>,
    },
    /// Another task is started, or its run is waited for.
    Calling {
        /// That run, once it is known.
        run: Option<RunId>,
    },
    /// Nothing more will happen.
    Ended,
}

/// What one agent was given of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The agent.
    pub agent: AgentId,
    /// How far it is.
    pub state: OrderState,
}

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// On its way.
    Sent,
    /// The agent has it.
    Accepted,
    /// The agent has reported its end.
    Ended,
    /// The agent no longer has it.
    Lost,
}

/// An attempt at work on more than one agent, or through one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streaming {
    /// The attempt.
    pub key: AttemptKey,
    /// Numbers of the steps that have succeeded, by their agent's word: they wait for no more rows.
    pub served: Vec<usize>,
}

impl OrderState {
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Sent | Self::Accepted)
    }
}

impl Stop {
    /// In words.
    pub fn words(&self) -> &str {
        match self {
            Self::Cancel { reason } => reason,
            Self::Fail { failure } => &failure.message,
        }
    }
}

/// Why a run must end before its work is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Stop {
    /// Somebody, or a restart, asked for it.
    Cancel {
        /// Who and why.
        reason: String,
    },
    /// It cannot run: the task no longer fits the environment.
    Fail {
        /// Why.
        failure: Failure,
    },
}
