//! How the rest of the server speaks with the engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sallyport_domain::run::{Caller, Taken};
use sallyport_domain::task::Problem;
use sallyport_protocol::{
    AgentId, AttemptKey, Backfill, EnvironmentId, OrderReport, RunId, ServerToAgent, StepCounts, TaskId, TaskVersionId,
    Timestamp,
};
use sallyport_store::{Error, Started, Store};
use serde_json::{Map, Value};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Parts;
use super::actor::Engine;
use super::command::Command;
use super::known::Knowledge;
use super::link::Link;

/// Messages that may wait for the engine; whoever sends more waits, down to the agents' sockets.
const COMMANDS_MAX: usize = 1024;

/// Hints that may wait for one follower; one that falls behind reads the store, which it does anyway.
const HINTS_MAX: usize = 1024;

/// A run to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StartRun {
    /// The environment.
    pub(crate) environment: EnvironmentId,
    /// Its task.
    pub(crate) task: TaskId,
    /// What starts it: `person`, `api`, ...
    pub(crate) trigger: String,
    /// Who starts it.
    pub(crate) who: String,
    /// The same key finds the same run, however often it is sent.
    pub(crate) key: Option<String>,
    /// Instead of the task's own.
    pub(crate) priority: Option<i32>,
    /// What the task's parameters are to be, by name.
    pub(crate) parameters: Map<String, Value>,
    /// The run that it repeats.
    pub(crate) rerun: Option<Rerun>,
    /// The trigger behind it.
    pub(crate) fired: Option<Fired>,
    /// What incremental steps read.
    pub(crate) reads: Reads,
    /// The step of another run that starts it.
    pub(crate) caller: Option<Caller>,
}

/// What the incremental steps of a run read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reads {
    /// What is new.
    #[default]
    New,
    /// Everything; the checkpoints begin anew.
    Everything,
    /// A range of one step; the checkpoints stay.
    Range(Backfill),
}

/// A run that is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rerun {
    /// The old run.
    pub(crate) of: RunId,
    /// The version of the task that it executed.
    pub(crate) task_version: TaskVersionId,
    /// What need not be done again, by step.
    pub(crate) taken: BTreeMap<String, Taken>,
}

/// A trigger that starts a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fired {
    /// Its name.
    pub(crate) trigger: String,
    /// When it was due.
    pub(crate) due_at: Timestamp,
    /// When the run is late.
    pub(crate) late_at: Option<Timestamp>,
}

/// Why no run was started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// No such task in the environment.
    #[error("there is no such task")]
    NotFound,
    /// The task may not be run.
    #[error("task `{0}` is inactive")]
    Inactive(String),
    /// The task's parameters are not right.
    #[error("{}", .0.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; "))]
    Parameters(Vec<Problem>),
    /// A range was given for a step that does not read incrementally.
    #[error("no active step `{0}` reads incrementally")]
    NotIncremental(String),
    /// A task that is at work behind the start.
    #[error("task `{0}` would start itself again")]
    Circle(String),
    /// The store failed.
    #[error("storing the run")]
    Store(#[from] Error),
    /// The server stops.
    #[error("the server is stopping")]
    Stopped,
}

/// Why a run was not cancelled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CancelError {
    /// No such run in the environment.
    #[error("there is no such run")]
    NotFound,
    /// It has ended.
    #[error("the run has ended already")]
    Ended,
    /// The store failed; nothing was changed.
    #[error("storing the change")]
    Store(#[source] Error),
    /// The server stops.
    #[error("the server is stopping")]
    Stopped,
}

/// What was said was not stored; whoever said it says it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has not stored it")]
pub(crate) struct NotTaken;

/// Figures for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Runs that have not ended.
    pub(crate) open: u64,
    /// Those of them that wait for their turn.
    pub(crate) queued: u64,
    /// Runs started by this process.
    pub(crate) started_total: u64,
    /// Runs ended under this process.
    pub(crate) ended_total: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) open: AtomicU64,
    pub(super) queued: AtomicU64,
    pub(super) started: AtomicU64,
    pub(super) ended: AtomicU64,
}

/// Follows one run.
pub(crate) struct Live {
    run: RunId,
    hints: broadcast::Receiver<RunId>,
}

impl Live {
    /// Returns when the run's state, log or figures have changed, or may have; what has changed is in the store.
    pub(crate) async fn changed(&mut self) {
        loop {
            match self.hints.recv().await {
                Ok(run) if run != self.run => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                // The server stops: nothing changes any more.
                Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
            }
        }
    }
}

/// Asks the engine. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle {
    store: Store,
    knowledge: Arc<Knowledge>,
    commands: mpsc::Sender<Command>,
    hints: broadcast::Sender<RunId>,
    counters: Arc<Counters>,
}

impl Handle {
    /// Loads what is unfinished and starts the engine's task, which ends with `stop`. One that ends before has met a bug:
    /// `broken` fires.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn start(
        parts: Parts,
        tasks: &TaskTracker,
        stop: CancellationToken,
        broken: CancellationToken,
    ) -> Result<Self, Error> {
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        let (hints, _) = broadcast::channel(HINTS_MAX);
        let (store, counters) = (parts.store.clone(), Arc::<Counters>::default());
        let knowledge = Arc::clone(&parts.knowledge);
        let mut engine = Engine::new(parts, queue, hints.clone(), Arc::clone(&counters));
        engine.load().await?;
        let stopping = stop.clone();
        let running = tasks.spawn(async move { engine.run(&stopping).await });
        tasks.spawn(async move {
            let ended = running.await;
            if !stop.is_cancelled() {
                tracing::error!(?ended, "the engine has ended by a bug; no run goes on");
                broken.cancel();
            }
        });
        Ok(Self { store, knowledge, commands, hints, counters })
    }

    /// The task that a run is to be started of, by id or name.
    pub(crate) async fn task(&self, environment: EnvironmentId, id_or_name: &str) -> Result<TaskId, Error> {
        Ok(self.knowledge.task(environment, id_or_name).await?.id)
    }

    /// Starts a run, or finds the one that the same key has started. A task that no longer fits its environment gets
    /// its run as well, which fails and says why.
    pub(crate) async fn start_run(&self, start: StartRun) -> Result<Started, StartError> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Start { start: Box::new(start), answer };
        self.send(command).await.map_err(|_| StartError::Stopped)?;
        answered.await.map_err(|_| StartError::Stopped)?
    }

    /// Stops a run; returns when that is stored, its steps end within seconds.
    pub(crate) async fn cancel(
        &self,
        environment: EnvironmentId,
        run: RunId,
        who: &str,
        reason: Option<&str>,
    ) -> Result<(), CancelError> {
        let found = self.store.run(environment, run).await.map_err(|error| match error {
            Error::NotFound => CancelError::NotFound,
            error => CancelError::Store(error),
        })?;
        if found.finished_at.is_some() {
            return Err(CancelError::Ended);
        }
        let reason = match reason {
            Some(reason) if !reason.is_empty() => format!("cancelled by {who}: {reason}"),
            _ => format!("cancelled by {who}"),
        };
        let (answer, answered) = oneshot::channel();
        self.send(Command::Cancel { run, reason, answer }).await.map_err(|_| CancelError::Stopped)?;
        answered.await.map_err(|_| CancelError::Store(Error::Commit("the change was not stored".to_owned())))
    }

    /// Whether runs go on.
    pub(crate) fn is_running(&self) -> bool {
        !self.commands.is_closed()
    }

    /// Why each of these runs waits in the queue, for those that do.
    pub(crate) async fn why(&self, runs: Vec<RunId>) -> BTreeMap<RunId, String> {
        if runs.is_empty() {
            return BTreeMap::new();
        }
        let (answer, answered) = oneshot::channel();
        // A server that stops gives no reasons.
        let _ = self.send(Command::Why { runs, answer }).await;
        answered.await.unwrap_or_default()
    }

    /// How many runs an agent works on.
    pub(crate) async fn runs_at(&self, agent: AgentId) -> u32 {
        let (answer, answered) = oneshot::channel();
        // A server that stops says none.
        let _ = self.send(Command::RunsAt { agent, answer }).await;
        answered.await.unwrap_or(0)
    }

    /// The limits of an environment were changed: more may start.
    pub(crate) async fn limits_changed(&self, environment: EnvironmentId) {
        // A server that stops reads them at its next start.
        let _ = self.send(Command::LimitsChanged { environment }).await;
    }

    /// Follows a run.
    pub(crate) fn live(&self, run: RunId) -> Live {
        Live { run, hints: self.hints.subscribe() }
    }

    /// What goes on.
    pub(crate) fn figures(&self) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            open: read(&self.counters.open),
            queued: read(&self.counters.queued),
            started_total: read(&self.counters.started),
            ended_total: read(&self.counters.ended),
        }
    }

    /// Wakes those that follow the run: its log has grown.
    pub(crate) fn hint(&self, run: RunId) {
        // Nobody may be following.
        let _ = self.hints.send(run);
    }

    /// Stops every run that an agent works on; returns when that is stored.
    pub(crate) async fn cancel_at(&self, agent: AgentId, reason: String) -> Result<(), NotTaken> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::CancelAt { agent, reason, answer }).await?;
        answered.await.map_err(|_| NotTaken)
    }

    /// An agent has come online.
    pub(crate) async fn online(
        &self,
        agent: AgentId,
        link: Link<ServerToAgent>,
        running: Vec<AttemptKey>,
    ) -> Result<(), NotTaken> {
        self.send(Command::Online { agent, link, running }).await
    }

    /// A connection of an agent is gone.
    pub(crate) async fn offline(&self, agent: AgentId, epoch: i64) -> Result<(), NotTaken> {
        self.send(Command::Offline { agent, epoch }).await
    }

    /// An agent has taken an order.
    pub(crate) async fn accepted(&self, agent: AgentId, key: AttemptKey) -> Result<(), NotTaken> {
        self.send(Command::Accepted { agent, key }).await
    }

    /// An agent tells how far it is.
    pub(crate) async fn progress(
        &self,
        agent: AgentId,
        key: AttemptKey,
        steps: Vec<(String, StepCounts)>,
    ) -> Result<(), NotTaken> {
        self.send(Command::Progress { agent, key, steps }).await
    }

    /// An agent has ended an order; what comes back fires once it may forget it.
    pub(crate) async fn finished(
        &self,
        agent: AgentId,
        report: OrderReport,
    ) -> Result<oneshot::Receiver<()>, NotTaken> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::Finished { agent, report, answer }).await?;
        Ok(answered)
    }

    async fn send(&self, command: Command) -> Result<(), NotTaken> {
        self.commands.send(command).await.map_err(|_| NotTaken)
    }
}
