//! What the agent knows of its orders and what it owes the server: decisions without I/O.
//!
//! Invariant: an order is executed once, however often it is sent; its outcome is repeated until it is acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sallyport_protocol::{
    AgentMessage, AttemptKey, CONTROL_MESSAGE_BYTES_MAX, Clock, ConnectionOrder, ConnectionTest, LINE_BYTES_MAX,
    Levels, LogBatch, OrderReport, Preview, PreviewOrder, Refusal, RequestId, ServerToAgent, StepOutcome, StepReport,
    Versions, WorkOrder, capability, event, shorten,
};
use tokio::sync::Notify;
use tracing::{debug, error, info, warn};

use super::heartbeat::Heartbeat;
use super::outbox::Outbox;
use super::outcomes::{Outcomes, Repeat};
use super::{Identity, Shipping};
use crate::Egress;
use crate::execute::Execution;
use crate::journal::{Entry, OpenStep};
use crate::tunnel::Ask;

/// What is to be done outside.
pub(super) enum Effect {
    Execute(Box<WorkOrder>, Execution),
    SetLevels(Levels),
    Test { request: RequestId, kind: String, connection: ConnectionOrder },
    Preview { request: RequestId, order: Box<PreviewOrder> },
    Refused(Refusal),
    Tunnel(Ask),
    Restart(String),
    GoAway(u64),
}

pub(super) struct Core {
    identity: Identity,
    clock: Clock,
    egress: Arc<Egress>,
    online: bool,
    greeted: bool,
    running: BTreeMap<AttemptKey, Execution>,
    outcomes: Outcomes,
    outbox: Outbox,
    heartbeat: Heartbeat,
    shipping: Option<Shipping>,
    told: BTreeMap<AttemptKey, u64>,
    /// How far each order is, as the journal knows it.
    noted: BTreeMap<AttemptKey, Vec<OpenStep>>,
    print_queue_events: bool,
    /// Why the process is about to end: it takes nothing new.
    closing: Option<String>,
    /// What belongs into the journal, where there is one.
    entries: Option<Vec<Entry>>,
}

impl Core {
    pub(super) fn new(
        identity: Identity,
        (clock, egress): (Clock, Arc<Egress>),
        shipping: Option<Shipping>,
        print_queue_events: bool,
    ) -> Self {
        Self {
            identity,
            clock,
            egress,
            online: false,
            greeted: false,
            running: BTreeMap::new(),
            outcomes: Outcomes::default(),
            outbox: Outbox::default(),
            heartbeat: Heartbeat::default(),
            shipping,
            told: BTreeMap::new(),
            noted: BTreeMap::new(),
            print_queue_events,
            closing: None,
            entries: None,
        }
    }

    /// Keeps a journal from now on; `outcomes` are those of an earlier process that the server has not stored.
    pub(super) fn keep_journal(&mut self, outcomes: Vec<OrderReport>) {
        self.entries = Some(Vec::new());
        self.outcomes.restore(outcomes);
    }

    /// What belongs into the journal since the last call.
    pub(super) fn take_entries(&mut self) -> Vec<Entry> {
        self.entries.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Outcomes are in the journal: they may be told.
    pub(super) fn kept(&mut self, keys: &[AttemptKey]) {
        let told = self.outcomes.kept(keys);
        if self.online {
            told.into_iter().for_each(|report| self.say(AgentMessage::Finished { report }));
        }
    }

    /// A connection begins: says hello.
    pub(super) fn begin(&mut self) {
        self.outbox.clear();
        self.online = false;
        self.greeted = false;
        let mut capabilities = vec![
            capability::CHECKPOINT,
            capability::DATA,
            capability::PREVIEW,
            capability::PROGRAM,
            capability::RESUME,
            capability::TEST_CONNECTION,
            capability::THROUGH,
        ];
        if self.identity.tunnels {
            capabilities.extend([capability::TUNNEL, capability::VIA]);
        }
        capabilities.extend(self.identity.seals.then_some(capability::SEAL));
        let hello = AgentMessage::Hello {
            versions: Versions::ours(&capabilities),
            presence: (self.identity.presence)(),
            installation: self.identity.installation,
            instance: self.identity.instance,
            running: self.running.keys().copied().chain(self.outcomes.undelivered()).collect(),
            programs: self.identity.programs.clone(),
        };
        self.say(hello);
    }

    /// The connection ended.
    pub(super) fn end(&mut self) {
        self.online = false;
        self.outbox.clear();
        self.heartbeat.pause();
        if let Some(shipping) = &mut self.shipping {
            shipping.disconnected();
        }
    }

    pub(super) fn online(&self) -> bool {
        self.online
    }

    pub(super) fn idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Whether every outcome was stored by the server.
    pub(super) fn settled(&self) -> bool {
        self.idle() && self.outbox.is_empty() && self.outcomes.undelivered().next().is_none()
    }

    /// Takes what the server says; `at` is the time since the process started.
    pub(super) fn handle(&mut self, message: ServerToAgent, at: Duration) -> Option<Effect> {
        match message {
            ServerToAgent::Welcome { name, heartbeat_seconds, levels, version, .. } => {
                info!(agent = %name, protocol = version, "online");
                self.welcome(Duration::from_secs(u64::from(heartbeat_seconds)), at);
                return Some(Effect::SetLevels(levels));
            }
            ServerToAgent::Refused { refusal } => return Some(Effect::Refused(refusal)),
            ServerToAgent::HeartbeatAck { seq, server_time } => {
                self.passed("acknowledged", "heartbeat");
                self.heartbeat_answered(seq, server_time, at);
            }
            ServerToAgent::Start { order } => return self.start(order, at),
            ServerToAgent::Cancel { key, reason } => self.cancel(key, &reason),
            ServerToAgent::FinishedAck { key } => {
                self.passed("acknowledged", "finished");
                self.stored(key);
            }
            ServerToAgent::LogsAck { seq } => {
                self.passed("acknowledged", "logs");
                if let Some(shipping) = &mut self.shipping {
                    shipping.acknowledge(seq);
                }
            }
            ServerToAgent::SetLevels { levels } => return Some(Effect::SetLevels(levels)),
            ServerToAgent::TestConnection { request, kind, connection } => {
                return Some(Effect::Test { request, kind, connection });
            }
            ServerToAgent::Preview { request, order } => {
                return Some(Effect::Preview { request, order: Box::new(order) });
            }
            ServerToAgent::DialTunnels { count } => return Some(Effect::Tunnel(Ask::Dial(count))),
            ServerToAgent::TunnelEnded { tunnel, reason } => {
                return Some(Effect::Tunnel(Ask::Ended { tunnel, reason }));
            }
            ServerToAgent::Restart { reason } => return Some(Effect::Restart(reason)),
            ServerToAgent::GoAway { spread_ms } => return Some(Effect::GoAway(spread_ms)),
            ServerToAgent::Unknown => debug!("the server said something this version does not know"),
        }
        None
    }

    /// About once a second.
    pub(super) fn tick(&mut self, at: Duration) {
        let now = self.clock.now();
        if let Some((gap, cause)) = self.heartbeat.tick(at, now) {
            warn!(
                event = event::HEARTBEAT_FAILED,
                seconds = gap.as_secs(),
                cause,
                "no heartbeats were sent for a while"
            );
        }
        self.note_progress();
        if !self.online {
            return;
        }
        if let Some(seq) = self.heartbeat.due(at, now) {
            self.passed("queued", "heartbeat");
            self.outbox.heartbeat(AgentMessage::Heartbeat { seq, said_at: now });
        }
        let counts: Vec<_> = self.running.iter().map(|(key, execution)| (*key, execution.counts())).collect();
        for (key, steps) in counts {
            let moved = steps.iter().map(|(_, c)| c.rows_in + c.rows_out + c.bytes + c.rows_rejected).sum();
            if self.told.insert(key, moved) != Some(moved) {
                self.passed("queued", "progress");
                self.outbox.progress(key, steps);
            }
        }
        self.gather_lines();
    }

    /// Why the connection must be given up: the server has not answered for longer than `max`.
    pub(super) fn unanswered(&self, at: Duration, max: Duration) -> Option<String> {
        if self.heartbeat.unanswered(at).is_some_and(|waited| waited > max) {
            return Some(format!("the server did not answer a heartbeat within {} s", max.as_secs()));
        }
        let run = self.outcomes.late(at, max)?;
        Some(format!("the server did not store the outcome of {run} within {} s", max.as_secs()))
    }

    /// Whether [`Core::next_message`] has one.
    pub(super) fn next_message(&mut self, at: Duration) -> Option<AgentMessage> {
        if !self.online && self.greeted {
            return None;
        }
        let message = match self.outbox.next() {
            Some(message) => Some(message),
            None if self.online => self.next_lines().map(|batch| AgentMessage::Logs { batch }),
            None => None,
        }?;
        match &message {
            AgentMessage::Hello { .. } => self.greeted = true,
            AgentMessage::Finished { report } => self.outcomes.sent(report.key, at),
            _ => {}
        }
        Some(message)
    }

    /// An order has ended.
    pub(super) fn finished(&mut self, mut report: OrderReport) {
        report.ended_at = Some(self.clock.now());
        fit(&mut report);
        let key = report.key;
        self.running.remove(&key);
        self.told.remove(&key);
        self.noted.remove(&key);
        self.outbox.forget_progress(key);
        let kept = self.entries.is_none();
        if let Some(dropped) = self.outcomes.add(report.clone(), kept) {
            self.passed("dropped", "finished");
            error!(run = %dropped.run, "too many outcomes wait for the server; the oldest was dropped");
            self.note(Entry::Stored { key: dropped });
        }
        self.note(Entry::Ended { report: report.clone() });
        if self.online && kept {
            self.say(AgentMessage::Finished { report });
        }
    }

    /// Puts how far the orders are into the journal, where that has changed; about once a second.
    pub(super) fn note_progress(&mut self) {
        let Some(entries) = &mut self.entries else { return };
        for (key, execution) in &self.running {
            let steps = execution.so_far();
            if self.noted.get(key) != Some(&steps) {
                self.noted.insert(*key, steps.clone());
                entries.push(Entry::Open { key: *key, steps });
            }
        }
    }

    fn note(&mut self, entry: Entry) {
        if let Some(entries) = &mut self.entries {
            entries.push(entry);
        }
    }

    pub(super) fn tested(&mut self, request: RequestId, mut test: ConnectionTest) {
        test.stages.iter_mut().for_each(|stage| shorten(&mut stage.detail, LINE_BYTES_MAX));
        if self.online {
            self.say(AgentMessage::ConnectionTested { request, test });
        }
    }

    pub(super) fn previewed(&mut self, request: RequestId, preview: Preview) {
        if self.online {
            self.say(AgentMessage::Previewed { request, preview });
        }
    }

    pub(super) fn leaving(&mut self, reason: &str) {
        self.say(AgentMessage::Leaving { reason: reason.to_owned() });
    }

    /// Cancels what runs and what is still handed out: the process is about to end.
    pub(super) fn cancel_all(&mut self, reason: &str) {
        self.closing = Some(reason.to_owned());
        for execution in self.running.values() {
            execution.cancel(reason);
        }
    }

    pub(super) fn gather_lines(&mut self) {
        if let Some(shipping) = &mut self.shipping {
            shipping.gather();
        }
    }

    pub(super) fn spill_lines(&mut self) {
        if let Some(shipping) = &mut self.shipping
            && let Err(failed) = shipping.spill()
        {
            error!(target: "sallyport_agent::ship", error = %failed, "log lines for the server could not be kept");
        }
    }

    pub(super) fn keep_lines(&mut self) {
        if let Some(shipping) = &mut self.shipping
            && let Err(failed) = shipping.persist()
        {
            error!(target: "sallyport_agent::ship", error = %failed, "log lines for the server could not be kept");
        }
    }

    /// Told when there are new lines.
    pub(super) fn lines_wake(&self) -> Option<Arc<Notify>> {
        self.shipping.as_ref().map(Shipping::wake)
    }

    fn next_lines(&mut self) -> Option<LogBatch> {
        self.shipping.as_mut().and_then(Shipping::next_batch)
    }

    fn welcome(&mut self, every: Duration, at: Duration) {
        self.online = true;
        self.heartbeat.begin(every, at);
        self.told.clear();
        for report in self.outcomes.tell_again() {
            self.say(AgentMessage::Finished { report });
        }
    }

    fn start(&mut self, order: WorkOrder, at: Duration) -> Option<Effect> {
        let key = order.key;
        if self.running.contains_key(&key) {
            self.say(AgentMessage::Accepted { key });
            return None;
        }
        match self.outcomes.repeat(key, at) {
            Repeat::Unknown => {}
            Repeat::Unkept => return None,
            Repeat::Ended(report) => {
                self.say(AgentMessage::Finished { report: *report });
                return None;
            }
        }
        if let Some(reason) = &self.closing {
            let report = turned_away(&order, reason);
            self.finished(report);
            return None;
        }
        let superseded: Vec<_> = self
            .running
            .iter()
            .filter(|(old, _)| old.run == key.run && old.pipeline == key.pipeline && old.fence < key.fence)
            .map(|(_, execution)| execution.clone())
            .collect();
        for execution in superseded {
            execution.cancel(&format!("attempt {} took its place", key.attempt));
        }
        info!(run = %key.run, attempt = key.attempt, task = %order.task, steps = order.steps.len(), "work order accepted");
        let execution = Execution::new(&order, &self.egress);
        self.running.insert(key, execution.clone());
        self.note_progress();
        self.say(AgentMessage::Accepted { key });
        Some(Effect::Execute(Box::new(order), execution))
    }

    fn cancel(&mut self, key: AttemptKey, reason: &str) {
        match self.running.get(&key) {
            Some(execution) => {
                info!(run = %key.run, attempt = key.attempt, reason, "work order cancelled");
                execution.cancel(reason);
            }
            None => debug!(run = %key.run, attempt = key.attempt, "asked to cancel an order that does not run here"),
        }
    }

    fn stored(&mut self, key: AttemptKey) {
        self.outcomes.stored(key);
        self.note(Entry::Stored { key });
    }

    fn heartbeat_answered(&mut self, seq: u64, server_time: sallyport_protocol::Timestamp, at: Duration) {
        let Some(measured) = self.heartbeat.answered(seq, server_time, at) else { return };
        let (round_trip_ms, offset_ms) = (measured.round_trip.as_millis() as u64, measured.offset_ms);
        debug!(event = event::HEARTBEAT_SENT, seq, round_trip_ms, offset_ms, "Heartbeat sent successfully");
        if measured.warn {
            warn!(offset_ms, "this machine's clock differs from the server's; set it by NTP");
        }
    }

    fn say(&mut self, message: AgentMessage) {
        let kind = kind(&message);
        self.passed("queued", kind);
        if !self.outbox.command(message) {
            self.passed("dropped", kind);
            error!("too many answers wait for the server; one was dropped");
        }
    }

    /// Says what happened to a message in the queues, where `PrintQueueEvents` is set.
    pub(super) fn passed(&self, what: &'static str, message_kind: &'static str) {
        if self.print_queue_events {
            info!(target: "sallyport_agent::queue::ship", message_kind, waiting = self.outbox.len(), "{what}");
        }
    }
}

/// For an order that came too late.
fn turned_away(order: &WorkOrder, reason: &str) -> OrderReport {
    let steps = order.steps.iter().map(|step| StepReport {
        step: step.name.clone(),
        outcome: StepOutcome::Cancelled { reason: reason.to_owned() },
        counts: Default::default(),
        already_committed: false,
        committed: None,
    });
    OrderReport { key: order.key, steps: steps.collect(), ended_at: None }
}

/// Makes a report of very many steps small enough for a message: one that the server cannot take would end every
/// connection it is sent on.
fn fit(report: &mut OrderReport) {
    const TEXT_BYTES: usize = 256;
    let bytes = serde_json::to_vec(report).map_or(0, |text| text.len());
    if bytes > CONTROL_MESSAGE_BYTES_MAX / 2 {
        report.steps.iter_mut().for_each(|step| step.outcome.shorten(TEXT_BYTES));
    }
}

/// The message's type, for the log.
pub(super) fn kind(message: &AgentMessage) -> &'static str {
    match message {
        AgentMessage::Hello { .. } => "hello",
        AgentMessage::Heartbeat { .. } => "heartbeat",
        AgentMessage::Accepted { .. } => "accepted",
        AgentMessage::Progress { .. } => "progress",
        AgentMessage::Finished { .. } => "finished",
        AgentMessage::Logs { .. } => "logs",
        AgentMessage::ConnectionTested { .. } => "connection_tested",
        AgentMessage::Previewed { .. } => "previewed",
        AgentMessage::Leaving { .. } => "leaving",
        AgentMessage::Unknown => "unknown",
    }
}
