//! What happens to a run, and what it wants done.

use sallyport_protocol::{AgentId, AttemptKey, Failure, LogLevel, OrderReport, RunId, StepCounts, Timestamp};

use super::{Returned, Stop};

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The run may leave the queue.
    Start,
    /// Time has passed, or an agent came or went.
    Tick,
    /// An agent has taken an order.
    Accepted {
        /// The attempt.
        key: AttemptKey,
        /// The agent.
        agent: AgentId,
    },
    /// An agent tells how far it is.
    Progress {
        /// The attempt.
        key: AttemptKey,
        /// By step name.
        steps: Vec<(String, StepCounts)>,
    },
    /// An agent has ended an order.
    Finished {
        /// The agent.
        agent: AgentId,
        /// How.
        report: OrderReport,
    },
    /// An attempt cannot be sent to its agents, because of one of its steps.
    Unfit {
        /// The attempt.
        key: AttemptKey,
        /// The step's name.
        step: String,
        /// What is wrong with it.
        failure: Failure,
    },
    /// An agent no longer works on what it was given: it was away for too long, or came back without it.
    Lost {
        /// The agent.
        agent: AgentId,
        /// The attempt; all of the agent's when absent.
        key: Option<AttemptKey>,
    },
    /// The task that a step starts has its run.
    Called {
        /// The attempt.
        key: AttemptKey,
        /// The run.
        run: RunId,
    },
    /// The task that a step starts could not be started.
    Uncalled {
        /// The attempt.
        key: AttemptKey,
        /// Why.
        failure: Failure,
    },
    /// A run that a step has started has ended.
    Returned {
        /// The attempt.
        key: AttemptKey,
        /// How.
        returned: Returned,
    },
    /// The run must end.
    Stop(Stop),
}

/// Something to do once the new state is stored. May be repeated.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send the pipeline's orders to its agents.
    Dispatch {
        /// Index into the plan's pipelines.
        pipeline: usize,
        /// The attempt.
        key: AttemptKey,
    },
    /// Tell an agent to stop an attempt.
    Cancel {
        /// The agent.
        agent: AgentId,
        /// The attempt.
        key: AttemptKey,
        /// Why.
        reason: String,
    },
    /// Start the task that a pipeline's one step names, once for the attempt.
    Call {
        /// Index into the plan's pipelines.
        pipeline: usize,
        /// The attempt.
        key: AttemptKey,
    },
    /// Stop a run that a step has started and waits for.
    CancelRun {
        /// The run.
        run: RunId,
        /// Why.
        reason: String,
    },
    /// Send [`Event::Tick`] at this time.
    WakeAt(Timestamp),
    /// Write to the run's log.
    Log {
        /// The step, where the line is about one.
        step: Option<String>,
        /// The attempt, where the line is about one.
        attempt: Option<u32>,
        /// How serious it is.
        level: LogLevel,
        /// What to write.
        message: String,
    },
    /// The run has ended: its place is free.
    Ended,
}

/// Why an event was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The run has ended.
    #[error("the run has ended")]
    Ended,
    /// The report belongs to an attempt that is over.
    #[error("the attempt is over")]
    Stale,
}
