//! The agent's side of the control connection, over a pair of bounded queues: what lies behind them (a WebSocket, or the
//! server itself) is not visible here.

mod core;
mod heartbeat;
mod outbox;
mod outcomes;
mod session;
mod shipping;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sallyport_protocol::{
    AgentMessage, AttemptKey, Failure, FailureKind, InstallationId, InstanceId, Levels, OrderReport, Presence, Refusal,
    RequestId, ServerToAgent, StepOutcome, StepReport, WorkOrder,
};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tracing::info;

use crate::execute::{Execution, Surroundings, execute};
use crate::journal::Journal;
use crate::tunnel::Ask;
use core::Core;
use session::Answer;
pub use shipping::Shipping;

/// Messages waiting between core and socket: few, so that a command overtakes what is still in the core.
const LINK_MESSAGES_MAX: usize = 4;

/// How long orders may take to end after they were cancelled and their outcomes to be delivered.
pub(crate) const CLOSING_MAX: Duration = Duration::from_secs(6);

/// Why a session is lost whose link ended: whoever carries the link knows more.
pub(crate) const CLOSED: &str = "the connection was closed";

/// How often log lines are put on disk while the server is away.
const SPILL_EVERY: Duration = Duration::from_secs(5);

/// The agent's end of a control connection.
#[derive(Debug)]
pub struct Link {
    /// What the agent says.
    pub to_server: mpsc::Sender<AgentMessage>,
    /// What the server says; ends with the connection.
    pub from_server: mpsc::Receiver<ServerToAgent>,
}

/// The other end of a [`Link`].
#[derive(Debug)]
pub struct ServerEnd {
    /// What the agent says.
    pub from_agent: mpsc::Receiver<AgentMessage>,
    /// What the server says; drop it to end the session.
    pub to_agent: mpsc::Sender<ServerToAgent>,
}

impl Link {
    /// Both ends.
    pub fn pair() -> (Self, ServerEnd) {
        let (to_server, from_agent) = mpsc::channel(LINK_MESSAGES_MAX);
        let (to_agent, from_server) = mpsc::channel(LINK_MESSAGES_MAX);
        (Self { to_server, from_server }, ServerEnd { from_agent, to_agent })
    }
}

/// Who the agent is.
pub struct Identity {
    /// The machine and process; asked at every connection.
    pub presence: Box<dyn Fn() -> Presence + Send + Sync>,
    /// The unzipped folder.
    pub installation: InstallationId,
    /// The process.
    pub instance: InstanceId,
    /// Names of the programs that the site registered.
    pub programs: Vec<String>,
    /// Whether it opens tunnels.
    pub tunnels: bool,
    /// Whether it seals streams to other agents.
    pub seals: bool,
}

/// How the agent behaves on its control connection.
pub struct Behaviour {
    /// How long a message may stay unanswered before the connection counts as lost (`ReconnectTimeoutSeconds`).
    pub answer_max: Duration,
    /// Whether each message that enters or leaves a queue is logged (`PrintQueueEvents`).
    pub print_queue_events: bool,
    /// Called with the levels that the server sets.
    pub on_levels: Box<dyn Fn(Levels) + Send + Sync>,
    /// Called with what the server asks for about tunnels.
    pub on_tunnel: Box<dyn Fn(Ask) + Send + Sync>,
    /// Called with `true` when the server says welcome and with `false` when the session ends.
    pub on_online: Box<dyn Fn(bool) + Send + Sync>,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The connection is gone.
    Lost {
        /// The likely cause.
        why: String,
        /// Whether the server had said welcome.
        online: bool,
    },
    /// The server does not let the agent in.
    Refused {
        /// Why.
        refusal: Refusal,
    },
    /// The server stops.
    GoAway {
        /// Reconnect after a random part of this.
        spread_ms: u64,
    },
    /// The server asked for a restart; everything was cancelled and reported.
    Restart {
        /// Why.
        reason: String,
    },
    /// The agent was told to stop; everything was cancelled and reported.
    Stopped,
}

/// Runs orders and speaks with the server; lives as long as its process, across connections.
pub struct Agent {
    core: Core,
    surroundings: Arc<Surroundings>,
    behaviour: Behaviour,
    orders: JoinSet<OrderReport>,
    keys: BTreeMap<Id, (AttemptKey, Vec<String>)>,
    tests: JoinSet<(RequestId, Answer)>,
    journal: Option<Journal>,
    /// Durations are measured from here.
    born: tokio::time::Instant,
}

impl Agent {
    /// Without `shipping` no log lines are sent.
    pub fn new(
        identity: Identity,
        surroundings: Surroundings,
        behaviour: Behaviour,
        shipping: Option<Shipping>,
    ) -> Self {
        let site = (surroundings.clock.clone(), Arc::clone(&surroundings.egress));
        let core = Core::new(identity, site, shipping, behaviour.print_queue_events);
        Self {
            core,
            surroundings: Arc::new(surroundings),
            behaviour,
            orders: JoinSet::new(),
            keys: BTreeMap::new(),
            tests: JoinSet::new(),
            journal: None,
            born: tokio::time::Instant::now(),
        }
    }

    /// Keeps a journal, and delivers the `outcomes` of an earlier process that were found in it.
    #[must_use]
    pub fn with_journal(mut self, (journal, outcomes): (Journal, Vec<OrderReport>)) -> Self {
        if !outcomes.is_empty() {
            info!(outcomes = outcomes.len(), "outcomes of an earlier process wait for the server");
        }
        self.core.keep_journal(outcomes);
        self.journal = Some(journal);
        self
    }

    /// Goes on with the orders, without a connection, until `until` is done.
    pub async fn offline<T>(&mut self, until: impl Future<Output = T>) -> T {
        let mut until = std::pin::pin!(until);
        let mut tick = tokio::time::interval(SPILL_EVERY);
        tick.reset();
        loop {
            let busy = self.is_writing();
            let turn = tokio::select! {
                done = &mut until => return done,
                ended = self.orders.join_next_with_id(), if !self.orders.is_empty() => Turn::OrderEnded(ended),
                keys = written(&mut self.journal), if busy => Turn::Kept(keys),
                _ = tick.tick() => Turn::Tick,
            };
            match turn {
                Turn::OrderEnded(ended) => self.order_ended(ended),
                Turn::Kept(keys) => self.core.kept(&keys),
                Turn::Tick => {
                    self.core.note_progress();
                    self.core.spill_lines();
                }
            }
            self.write_journal();
        }
    }

    /// Cancels every order and waits, a few seconds at most, for their ends.
    pub async fn cancel_all(&mut self, reason: &str) {
        self.core.cancel_all(reason);
        let due = tokio::time::Instant::now() + CLOSING_MAX;
        while !self.orders.is_empty() {
            match tokio::time::timeout_at(due, self.orders.join_next_with_id()).await {
                Ok(ended) => self.order_ended(ended),
                Err(_) => break,
            }
        }
        self.write_journal();
        self.keep_outcomes(due).await;
    }

    /// Puts log lines and outcomes that were not delivered on disk, for the next process.
    pub async fn keep(&mut self) {
        self.core.keep_lines();
        self.write_journal();
        self.keep_outcomes(tokio::time::Instant::now() + CLOSING_MAX).await;
    }

    /// Waits until the journal has all that it was given, at most until `due`.
    async fn keep_outcomes(&mut self, due: tokio::time::Instant) {
        while self.is_writing() {
            let Ok(keys) = tokio::time::timeout_at(due, written(&mut self.journal)).await else { return };
            self.core.kept(&keys);
            self.write_journal();
        }
    }

    fn is_writing(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::is_busy)
    }

    /// Gives the journal what belongs into it.
    fn write_journal(&mut self) {
        let entries = self.core.take_entries();
        if let Some(journal) = &mut self.journal {
            entries.into_iter().for_each(|entry| journal.note(entry));
            journal.kick();
        }
    }

    fn begin(&mut self, order: WorkOrder, execution: Execution) {
        let surroundings = Arc::clone(&self.surroundings);
        let key = order.key;
        let names = order.steps.iter().map(|step| step.name.clone()).collect();
        let handle = self.orders.spawn(async move { execute(order, &surroundings, &execution).await });
        self.keys.insert(handle.id(), (key, names));
    }

    fn order_ended(&mut self, ended: Option<Result<(Id, OrderReport), tokio::task::JoinError>>) {
        let report = match ended {
            None => return,
            Some(Ok((id, report))) => {
                self.keys.remove(&id);
                report
            }
            Some(Err(error)) => {
                let Some((key, names)) = self.keys.remove(&error.id()) else { return };
                bug_report(key, names, &error.to_string())
            }
        };
        self.core.finished(report);
    }
}

/// What happens without a connection.
enum Turn {
    OrderEnded(Option<Result<(Id, OrderReport), tokio::task::JoinError>>),
    Kept(Vec<AttemptKey>),
    Tick,
}

/// The outcomes that the journal has taken; to be asked only while it writes.
async fn written(journal: &mut Option<Journal>) -> Vec<AttemptKey> {
    match journal {
        Some(journal) => journal.written().await,
        None => Vec::new(),
    }
}

/// For an order whose executor itself fell over.
fn bug_report(key: AttemptKey, names: Vec<String>, error: &str) -> OrderReport {
    let failure = Failure {
        kind: FailureKind::Runtime,
        code: "uncaught_exception".to_owned(),
        message: format!("the agent met a bug in itself: {error}"),
        advice: Some("report this with the agent's log file".to_owned()),
        transient: false,
    };
    let steps = names.into_iter().map(|step| StepReport {
        step,
        outcome: StepOutcome::Failed { failure: failure.clone() },
        counts: Default::default(),
        already_committed: false,
        committed: None,
    });
    OrderReport { key, steps: steps.collect(), ended_at: None }
}
