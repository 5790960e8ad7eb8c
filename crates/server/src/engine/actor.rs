//! The engine's task: takes what has come, commits it together, then performs what follows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{join, join_all};
use sallyport_domain::run::{Effect, Event, Refused, Run, RunState, Scene, Stop};
use sallyport_protocol::{AgentId, AttemptKey, EnvironmentId, RunId, ServerToAgent, StepCounts, Timestamp};
use sallyport_store::{Error, RunLimit, Started};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::command::Command;
use super::entry::Entry;
use super::handle::Counters;
use super::link::Link;
use super::order::Unsent;
use super::start::{Begun, Unstored};
use super::timers::{Due, Timers};
use super::{Parts, order};

/// Commands taken at once: their commits share one flush to disk.
const BATCH: usize = 256;

/// Starts under way at one time; beyond this, commands wait.
const STARTS_MAX: usize = 256;

/// How often figures of running steps are written.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How long to wait after the store has failed.
pub(super) const STORE_RETRY: Duration = Duration::from_secs(5);

pub(super) struct Engine {
    pub(super) parts: Arc<Parts>,
    pub(super) commands: mpsc::Receiver<Command>,
    hints: broadcast::Sender<RunId>,
    pub(super) counters: Arc<Counters>,
    pub(super) entries: HashMap<RunId, Entry>,
    pub(super) links: BTreeMap<AgentId, Link<ServerToAgent>>,
    pub(super) online: BTreeSet<AgentId>,
    pub(super) timers: Timers,
    pub(super) starting: JoinSet<Begun>,
    /// Runs with a change that is not committed.
    pub(super) dirty: BTreeSet<RunId>,
    /// Who waits for which commits.
    pub(super) waiting: Vec<Waiting>,
    /// How many runs agents, connections and environments serve at one time, as far as it was asked.
    pub(super) limits: BTreeMap<EnvironmentId, Vec<RunLimit>>,
    /// A place may have become free, or somebody waits for one.
    pub(super) queue_changed: bool,
    pub(super) progress_at: Option<Timestamp>,
}

/// Somebody who is answered when the changes of these runs are stored.
pub(super) struct Waiting {
    runs: BTreeSet<RunId>,
    answer: oneshot::Sender<()>,
}

impl Engine {
    pub(super) fn new(
        parts: Parts,
        commands: mpsc::Receiver<Command>,
        hints: broadcast::Sender<RunId>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            parts: Arc::new(parts),
            commands,
            hints,
            counters,
            entries: HashMap::new(),
            links: BTreeMap::new(),
            online: BTreeSet::new(),
            timers: Timers::default(),
            starting: JoinSet::new(),
            dirty: BTreeSet::new(),
            waiting: Vec::new(),
            limits: BTreeMap::new(),
            queue_changed: false,
            progress_at: None,
        }
    }

    pub(super) async fn run(mut self, stop: &CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let now = self.parts.clock.now();
            let progress = self.progress_at.map(|at| at.since(now));
            let pause = [self.timers.next(now), progress].into_iter().flatten().min();
            let room = self.starting.len() < STARTS_MAX;
            let mut begun = None;
            tokio::select! {
                taken = self.commands.recv_many(&mut batch, BATCH), if room => if taken == 0 { break },
                Some(one) = self.starting.join_next() => begun = Some(one),
                () = tokio::time::sleep(pause.unwrap_or(Duration::MAX)), if pause.is_some() => {}
                () = stop.cancelled() => break,
            }
            if let Some(begun) = begun {
                self.begun(begun);
            }
            // Those that are ready as well share its commit.
            while let Some(begun) = self.starting.try_join_next() {
                self.begun(begun);
            }
            for command in batch.drain(..) {
                self.take(command);
            }
            self.due();
            self.settle().await;
            if self.progress_at.is_some_and(|at| at <= self.parts.clock.now()) {
                self.write_progress().await;
            }
        }
        self.write_progress().await;
    }

    /// Commits and performs until nothing follows any more.
    pub(super) async fn settle(&mut self) {
        loop {
            if std::mem::take(&mut self.queue_changed) {
                self.start_queued().await;
            }
            if self.dirty.is_empty() {
                self.answer_all(&BTreeSet::new());
                break;
            }
            self.commit().await;
        }
        let queued = self.entries.values().filter(|entry| entry.run.state == RunState::Scheduled).count();
        self.counters.open.store(self.entries.len() as u64, Ordering::Relaxed);
        self.counters.queued.store(queued as u64, Ordering::Relaxed);
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Start { start, answer } => self.start(start, answer),
            Command::Cancel { run, reason, answer } => {
                if !self.entries.contains_key(&run) {
                    // Its start is not taken up yet, or it has just ended: without an answer the question comes again.
                    return drop(answer);
                }
                // One that has ended meanwhile stays as it is.
                let _ = self.event(run, Event::Stop(Stop::Cancel { reason }));
                self.wait_for([run].into(), answer);
            }
            Command::CancelAt { agent, reason, answer } => {
                let runs = self.runs_at(agent);
                for run in &runs {
                    // One that has ended meanwhile needs no stop.
                    let _ = self.event(*run, Event::Stop(Stop::Cancel { reason: reason.clone() }));
                }
                self.wait_for(runs.into_iter().collect(), answer);
            }
            Command::RunsAt { agent, answer } => {
                // Whoever asked may have gone.
                let _ = answer.send(u32::try_from(self.runs_at(agent).len()).unwrap_or(u32::MAX));
            }
            Command::Why { runs, answer } => {
                // Whoever asked may have gone.
                let _ = answer.send(self.why(&runs));
            }
            Command::LimitsChanged { environment } => {
                self.limits.remove(&environment);
                self.queue_changed = true;
            }
            Command::Online { agent, link, running } => self.came_online(agent, link, &running),
            Command::Offline { agent, epoch } => self.went_offline(agent, epoch),
            Command::Accepted { agent, key } => {
                if self.event(key.run, Event::Accepted { key, agent }).is_err() {
                    self.cancel_stale(agent, key);
                }
            }
            Command::Progress { agent, key, steps } => self.progress(agent, key, steps),
            Command::Finished { agent, report, answer } => {
                let run = report.key.run;
                // One that comes too late is acknowledged as well, once what made it late is stored.
                if let Err(refused) = self.event(run, Event::Finished { agent, report }) {
                    tracing::debug!(%run, %agent, %refused, "a report came too late");
                }
                self.wait_for([run].into(), answer);
            }
        }
    }

    /// Gives a run an event. What follows waits in the entry for the commit.
    pub(super) fn event(&mut self, run: RunId, event: Event) -> Result<(), Refused> {
        let entry = self.entries.get_mut(&run).ok_or(Refused::Ended)?;
        let scene = Scene { now: self.parts.clock.now(), online: &self.online };
        let untouched = entry.before.is_none();
        let accepted = matches!(event, Event::Accepted { .. });
        let taken = entry.change().on(event, scene);
        let effects = match taken {
            Ok(effects) => effects,
            Err(refused) => {
                if untouched {
                    entry.before = None;
                }
                return Err(refused);
            }
        };
        let idle = effects.iter().all(|effect| matches!(effect, Effect::WakeAt(_)));
        // That an agent has its order is said again when it matters: it is written with what comes next.
        let same = |before: &Run| if accepted { before.steps == entry.run.steps } else { *before == entry.run };
        if untouched && idle && entry.before.as_deref().is_some_and(same) {
            entry.before = None;
            for effect in effects {
                if let Effect::WakeAt(at) = effect {
                    self.timers.wake(run, at);
                }
            }
            return Ok(());
        }
        entry.effects.extend(effects);
        self.dirty.insert(run);
        Ok(())
    }

    /// Answers when the runs' changes are stored.
    fn wait_for(&mut self, runs: BTreeSet<RunId>, answer: oneshot::Sender<()>) {
        let runs = runs.intersection(&self.dirty).copied().collect();
        self.waiting.push(Waiting { runs, answer });
    }

    fn due(&mut self) {
        for due in self.timers.take(self.parts.clock.now()) {
            match due {
                Due::Run(run) => {
                    self.queue_changed |= self.entries.get(&run).is_some_and(Entry::waits);
                    let unsure = |entry: &mut Entry| std::mem::take(&mut entry.unsure);
                    if self.entries.get_mut(&run).is_some_and(unsure) {
                        self.call_again(run);
                    }
                    // One that has ended needs no time any more.
                    let _ = self.event(run, Event::Tick);
                }
                Due::Agent(agent) => self.gave_up_on(agent),
            }
        }
    }

    async fn commit(&mut self) {
        let dirty = std::mem::take(&mut self.dirty);
        let now = self.parts.clock.now();
        let (mut starts, mut changes) = (Vec::new(), Vec::new());
        for run in dirty {
            let Some(entry) = self.entries.get_mut(&run) else { continue };
            let store = &self.parts.store;
            if let Some(Unstored { new, whose }) = entry.unstored.take() {
                let first = entry.first(*new, now);
                starts.push(async move { (run, whose, stored(first, |first| store.start_run(first)).await) });
            } else {
                let commit = entry.commit(now);
                changes.push(async move { (run, stored(commit, |commit| store.commit_run(commit)).await) });
            }
        }
        let (starts, changes) = join(join_all(starts), join_all(changes)).await;
        let mut results = Vec::with_capacity(starts.len() + changes.len());
        let mut answers = Vec::with_capacity(starts.len());
        for (run, whose, result) in starts {
            if let Ok(Started { run: row, created: true }) = &result {
                results.push((run, Ok(row.version)));
            }
            answers.push((run, whose, result));
        }
        results.extend(changes);
        let failed: BTreeSet<RunId> = results.iter().filter(|(_, r)| r.is_err()).map(|(run, _)| *run).collect();
        let mut performed = Vec::new();
        for (run, result) in results {
            match result {
                Ok(version) => {
                    if let Some(entry) = self.entries.get_mut(&run) {
                        self.parts.relay.set_at_work(run, entry.run.streaming());
                        performed.push((run, entry.committed(version)));
                    }
                }
                Err(error) => self.not_stored(run, &error),
            }
        }
        for (run, effects) in performed {
            self.perform(run, effects).await;
            // Nobody may be following.
            let _ = self.hints.send(run);
        }
        for (run, whose, result) in answers {
            self.stored(run, whose, result);
        }
        // Whoever asked goes on from here: what they say next must not overtake what follows from their question.
        self.answer_all(&failed);
    }

    /// What was not stored has not happened. The agents concerned are disconnected: they come back and say again
    /// where they stand.
    fn not_stored(&mut self, run: RunId, error: &Error) {
        tracing::error!(%run, %error, "a change of a run was not stored");
        let Some(entry) = self.entries.get_mut(&run) else { return };
        entry.undo();
        let again = self.parts.clock.now().plus(STORE_RETRY);
        for agent in entry.run.agents() {
            match self.links.get(&agent) {
                Some(link) => link.close(),
                None => self.timers.give_until(agent, again),
            }
        }
        self.timers.wake(run, again);
    }

    /// Answers those who wait for nothing any more; those who wait for a run that failed get no answer.
    fn answer_all(&mut self, failed: &BTreeSet<RunId>) {
        let mut still = Vec::new();
        for mut waiting in std::mem::take(&mut self.waiting) {
            if !waiting.runs.is_disjoint(failed) {
                continue;
            }
            waiting.runs.retain(|run| self.dirty.contains(run));
            if !waiting.runs.is_empty() {
                still.push(waiting);
                continue;
            }
            // Whoever asked may have gone.
            let _ = waiting.answer.send(());
        }
        self.waiting = still;
    }

    async fn perform(&mut self, run: RunId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Dispatch { pipeline, key } => {
                    let Some(entry) = self.entries.get(&run) else { return };
                    if !entry.run.is_current(key) {
                        continue;
                    }
                    let built = match self.too_old(entry, pipeline) {
                        Some(failure) => Err(failure.into()),
                        None => order::build(&self.parts, entry, pipeline, key, self.can(entry, pipeline)).await,
                    };
                    match built {
                        Ok(orders) => {
                            for (agent, order) in orders {
                                self.tell(agent, ServerToAgent::Start { order });
                            }
                        }
                        Err(unsent) => self.not_sent(run, pipeline, key, unsent),
                    }
                }
                Effect::Cancel { agent, key, reason } => self.tell(agent, ServerToAgent::Cancel { key, reason }),
                Effect::Call { pipeline, key } => self.call(run, pipeline, key),
                // One that has ended meanwhile stays as it is.
                Effect::CancelRun { run, reason } => drop(self.event(run, Event::Stop(Stop::Cancel { reason }))),
                Effect::WakeAt(at) => self.timers.wake(run, at),
                Effect::Log { .. } => {}
                Effect::Ended => {
                    if let Some(entry) = self.entries.remove(&run) {
                        if let Some(caller) = &entry.run.caller {
                            self.hand_back(caller.key, entry.run.returns());
                        }
                        let state = entry.run.state;
                        tracing::info!(%run, task = entry.run.plan.task, %state, reason = entry.run.reason, "run ended");
                        self.counters.ended.fetch_add(1, Ordering::Relaxed);
                    }
                    self.queue_changed = true;
                    self.parts.news.send_replace(());
                }
            }
        }
    }

    /// An attempt that cannot be sent ends by its step, or with its run; nobody works on it, so that nobody is waited
    /// for.
    fn not_sent(&mut self, run: RunId, pipeline: usize, key: AttemptKey, unsent: Unsent) {
        let Unsent { step, failure } = unsent;
        if let Some(step) = step {
            // The attempt has only just begun: it takes it.
            let _ = self.event(run, Event::Unfit { key, step, failure });
            return;
        }
        let agents = self.entries.get(&run).map(|entry| entry.run.plan.agents_of(pipeline)).unwrap_or_default();
        // It is in memory and goes on: it takes both.
        let _ = self.event(run, Event::Stop(Stop::Fail { failure }));
        for agent in agents {
            let _ = self.event(run, Event::Lost { agent, key: Some(key) });
        }
    }

    /// Sends to an agent that is online; one that is not will say what it works on when it returns.
    pub(super) fn tell(&self, agent: AgentId, message: ServerToAgent) {
        if let Some(link) = self.links.get(&agent) {
            link.send(message);
        }
    }

    fn progress(&mut self, agent: AgentId, key: AttemptKey, steps: Vec<(String, StepCounts)>) {
        let Some(entry) = self.entries.get_mut(&key.run) else { return };
        if !entry.run.orders_at(agent).any(|order| order == key) {
            return;
        }
        let now = self.parts.clock.now();
        let scene = Scene { now, online: &self.online };
        if entry.run.on(Event::Progress { key, steps }, scene).is_ok() {
            entry.progressed = true;
            self.progress_at.get_or_insert(now.plus(PROGRESS_EVERY));
        }
    }

    async fn write_progress(&mut self) {
        self.progress_at = None;
        let mut figures = Vec::new();
        for (run, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.progressed) {
            entry.progressed = false;
            for (planned, step) in entry.run.plan.steps.iter().zip(&entry.run.steps) {
                figures.push((*run, planned.name.clone(), step.attempt, step.counts));
            }
        }
        let runs: BTreeSet<RunId> = figures.iter().map(|(run, ..)| *run).collect();
        if runs.is_empty() {
            return;
        }
        if let Err(error) = self.parts.store.note_progress(figures).await {
            tracing::warn!(%error, "the progress of runs was not written");
        }
        for run in runs {
            let _ = self.hints.send(run);
        }
    }
}

/// Stores what could be written as text.
async fn stored<C, T, F: Future<Output = Result<T, Error>>>(
    change: Result<C, serde_json::Error>,
    store: impl FnOnce(C) -> F,
) -> Result<T, Error> {
    match change {
        Ok(change) => store(change).await,
        Err(error) => Err(Error::Json(error)),
    }
}
