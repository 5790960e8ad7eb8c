//! What the engine is told.

use std::collections::BTreeMap;

use sallyport_protocol::{AgentId, AttemptKey, EnvironmentId, OrderReport, RunId, ServerToAgent, StepCounts};
use tokio::sync::oneshot;

use super::handle::{StartError, StartRun};
use super::link::Link;

/// One message to the engine.
pub(super) enum Command {
    /// Start a run, once per key.
    Start { start: Box<StartRun>, answer: oneshot::Sender<Result<sallyport_store::Started, StartError>> },
    /// Stop a run; answered when that is stored, or the run has ended.
    Cancel { run: RunId, reason: String, answer: oneshot::Sender<()> },
    /// Stop every run that an agent works on; answered when that is stored.
    CancelAt { agent: AgentId, reason: String, answer: oneshot::Sender<()> },
    /// Say how many runs an agent works on.
    RunsAt { agent: AgentId, answer: oneshot::Sender<u32> },
    /// Say why each of these runs waits in the queue.
    Why { runs: Vec<RunId>, answer: oneshot::Sender<BTreeMap<RunId, String>> },
    /// The limits of an environment were changed.
    LimitsChanged { environment: EnvironmentId },
    /// An agent has come online, with the attempts it works on.
    Online { agent: AgentId, link: Link<ServerToAgent>, running: Vec<AttemptKey> },
    /// The agent's connection of this epoch is gone.
    Offline { agent: AgentId, epoch: i64 },
    /// An agent has taken an order.
    Accepted { agent: AgentId, key: AttemptKey },
    /// An agent tells how far it is.
    Progress { agent: AgentId, key: AttemptKey, steps: Vec<(String, StepCounts)> },
    /// An agent has ended an order; answered when that is stored, or does not matter any more.
    Finished { agent: AgentId, report: OrderReport, answer: oneshot::Sender<()> },
}
