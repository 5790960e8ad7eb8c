//! The server as the world has it: what the engine does with runs, with a store that commits or does not, effects that
//! may stay undone or be done twice, and a clock that is set.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use sallyport_domain::queue::Place;
use sallyport_domain::run::{Effect, Event, Given, Run, RunState, Scene, Stop};
use sallyport_protocol::{AgentId, AttemptKey, Failure, FailureKind, RunId, Timestamp};

use crate::check::{Before, Broken};
use crate::world::{RUNS, ToAgent, What, World, run_id};

/// How long an agent may be away before its orders are given up.
pub(crate) const GRACE: Duration = Duration::from_secs(90);

/// When a change that was not stored is tried again.
pub(crate) const STORE_RETRY: Duration = Duration::from_secs(5);

/// A stored run.
pub(crate) struct Record {
    pub(crate) run: Run,
    pub(crate) story: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    Run(RunId),
    Agent(AgentId),
}

pub(crate) struct Server {
    pub(crate) up: bool,
    /// Microseconds by which its clock is wrong.
    pub(crate) skew: i64,
    pub(crate) links: BTreeMap<AgentId, u64>,
    pub(crate) online: BTreeSet<AgentId>,
    pub(crate) runs: BTreeMap<RunId, Record>,
    /// Those that have not ended.
    pub(crate) open: BTreeSet<RunId>,
    pub(crate) limits: Vec<(Place, u32)>,
    pub(crate) timers: BTreeSet<(Timestamp, Due)>,
    pub(crate) away: BTreeMap<AgentId, Timestamp>,
    alarm_at: Option<Timestamp>,
    pending: VecDeque<(RunId, Event)>,
    pub(crate) queue_changed: bool,
    reruns: u64,
}

/// What has become of an event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Stored,
    Refused,
    /// Nobody answers: it was not stored, or nobody lives to say so.
    Vanished,
}

impl Server {
    pub(crate) fn new(limits: Vec<(Place, u32)>) -> Self {
        Self {
            up: true,
            skew: 0,
            links: BTreeMap::new(),
            online: BTreeSet::new(),
            runs: BTreeMap::new(),
            open: BTreeSet::new(),
            limits,
            timers: BTreeSet::new(),
            away: BTreeMap::new(),
            alarm_at: None,
            pending: VecDeque::new(),
            queue_changed: false,
            reruns: 0,
        }
    }

    pub(crate) fn give_until(&mut self, agent: AgentId, at: Timestamp) {
        if let Entry::Vacant(place) = self.away.entry(agent) {
            place.insert(at);
            self.timers.insert((at, Due::Agent(agent)));
        }
    }
}

impl World<'_> {
    pub(crate) fn clock(&self) -> Timestamp {
        Timestamp(self.now.0 + self.server.skew)
    }

    pub(crate) fn ask(&mut self, number: u64) -> Result<(), Broken> {
        let id = run_id(number);
        if self.server.runs.contains_key(&id) {
            return Ok(());
        }
        if !self.server.up || self.misfortune(50) {
            // Without an answer, the client asks again.
            self.after(Duration::from_secs(2), What::Ask(number));
            return Ok(());
        }
        let story = self.random.below(self.stories.len() as u64);
        let story = usize::try_from(story).unwrap_or(0);
        self.insert(id, story, Given::default());
        self.settle()
    }

    fn insert(&mut self, id: RunId, story: usize, given: Given) {
        let run = Run::scheduled(id, self.stories[story].plan.clone(), self.clock()).given(given);
        self.server.runs.insert(id, Record { run, story });
        self.server.open.insert(id);
        self.server.queue_changed = true;
    }

    /// Gives a run an event; commits; performs what follows.
    pub(crate) fn event(&mut self, id: RunId, event: Event) -> Result<Taken, Broken> {
        if !self.server.up {
            return Ok(Taken::Vanished);
        }
        if self.misfortune(500) {
            self.crash("the server died before a commit");
            return Ok(Taken::Vanished);
        }
        if self.misfortune(500) {
            self.tally.count("a commit failed");
            self.not_stored(id);
            return Ok(Taken::Vanished);
        }
        let scene = Scene { now: Timestamp(self.now.0 + self.server.skew), online: &self.server.online };
        let Some(record) = self.server.runs.get_mut(&id) else { return Ok(Taken::Refused) };
        let before = Before::of(&record.run, &event);
        let taken = record.run.on(event, scene);
        self.book.judge(&before, &record.run, &taken, &self.server.online)?;
        let Ok(effects) = taken else {
            let old = before.reported.is_some_and(|key| self.book.is_old(key));
            self.tally.count(if old { "old attempts that came back" } else { "events refused" });
            return Ok(Taken::Refused);
        };
        if record.run.state.has_ended() {
            for what in of_note(&record.run) {
                self.tally.count(what);
            }
            self.server.open.remove(&id);
        }
        self.perform_all(id, &effects);
        self.arm();
        Ok(Taken::Stored)
    }

    fn perform_all(&mut self, id: RunId, effects: &[Effect]) {
        for effect in effects {
            if self.misfortune(400) {
                return self.crash("the server died between commit and effect");
            }
            self.perform(id, effect, true);
        }
        if self.misfortune(50) {
            self.tally.count("effects repeated");
            effects.iter().for_each(|effect| self.perform(id, effect, false));
        }
    }

    fn perform(&mut self, id: RunId, effect: &Effect, first: bool) {
        match effect {
            Effect::Dispatch { pipeline, key } => self.dispatch(id, *pipeline, *key, first),
            Effect::Cancel { agent, key, reason } => self.tell(*agent, ToAgent::Cancel(*key, reason.clone())),
            Effect::WakeAt(at) => {
                self.server.timers.insert((*at, Due::Run(id)));
            }
            // No story has a step that starts another task.
            Effect::Log { .. } | Effect::Call { .. } | Effect::CancelRun { .. } => {}
            Effect::Ended => {
                self.server.queue_changed = true;
                if first && self.random.once_in(10) {
                    self.rerun(id);
                }
            }
        }
    }

    fn dispatch(&mut self, id: RunId, pipeline: usize, key: AttemptKey, first: bool) {
        let run = &self.server.runs[&id].run;
        if !run.is_current(key) {
            return;
        }
        let agents = run.plan.agents_of(pipeline);
        let at = |agent| run.plan.steps_of(pipeline).filter(move |step| run.plan.steps[*step].agent == Some(agent));
        let orders: Vec<_> = agents.iter().map(|agent| (*agent, at(*agent).collect::<Vec<_>>())).collect();
        if first && self.misfortune(100) {
            self.tally.count("attempts that could not be sent");
            let failure = unfit();
            if self.random.once_in(2) {
                let step = self.server.runs[&id].run.plan.steps[orders[0].1[0]].name.clone();
                return self.server.pending.push_back((id, Event::Unfit { key, step, failure }));
            }
            self.server.pending.push_back((id, Event::Stop(Stop::Fail { failure })));
            let lost = agents.into_iter().map(|agent| (id, Event::Lost { agent, key: Some(key) }));
            return self.server.pending.extend(lost);
        }
        for (agent, steps) in orders {
            self.tell(agent, ToAgent::Start(key, steps));
        }
    }

    /// Runs again what has not ended well.
    fn rerun(&mut self, old: RunId) {
        let record = &self.server.runs[&old];
        if record.run.state.is_good() || !record.run.given.taken.is_empty() {
            return;
        }
        let given = Given { taken: record.run.results(), ..Given::default() };
        let (id, story) = (run_id(RUNS + self.server.reruns), record.story);
        self.server.reruns += 1;
        self.tally.count("reruns");
        self.insert(id, story, given);
    }

    /// What was not stored has not happened: the agents concerned come back and say where they stand.
    fn not_stored(&mut self, id: RunId) {
        let again = self.clock().plus(STORE_RETRY);
        let Some(record) = self.server.runs.get(&id) else { return };
        for agent in record.run.agents() {
            if self.server.links.contains_key(&agent) {
                self.cut(agent);
            } else {
                self.server.give_until(agent, again);
            }
        }
        self.server.timers.insert((again, Due::Run(id)));
        self.arm();
    }

    /// Goes on until nothing follows any more.
    pub(crate) fn settle(&mut self) -> Result<(), Broken> {
        while self.server.up {
            if std::mem::take(&mut self.server.queue_changed) {
                self.start_queued()?;
            } else if let Some((run, event)) = self.server.pending.pop_front() {
                self.event(run, event)?;
            } else {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn alarm(&mut self) -> Result<(), Broken> {
        if self.server.alarm_at.is_some_and(|at| at <= self.now) {
            self.server.alarm_at = None;
        }
        while self.server.up {
            let Some((at, due)) = self.server.timers.first().copied().filter(|(at, _)| *at <= self.clock()) else {
                break;
            };
            self.server.timers.remove(&(at, due));
            match due {
                Due::Run(run) => {
                    self.server.queue_changed |= self.server.runs[&run].run.state == RunState::Scheduled;
                    self.event(run, Event::Tick)?;
                }
                Due::Agent(agent) => {
                    self.server.away.remove(&agent);
                    self.give_up_on(agent)?;
                }
            }
            self.settle()?;
        }
        self.arm();
        Ok(())
    }

    /// Has itself woken when something is due.
    pub(crate) fn arm(&mut self) {
        let Some((at, _)) = self.server.timers.first().filter(|_| self.server.up) else { return };
        let pause = at.since(self.clock());
        let at = self.now.plus(pause);
        if self.server.alarm_at.is_none_or(|alarm| at < alarm) {
            self.server.alarm_at = Some(at);
            self.after(pause, What::Alarm);
        }
    }

    /// The process is gone, with all that was not stored.
    pub(crate) fn crash(&mut self, how: &'static str) {
        if !self.server.up {
            return;
        }
        self.tally.count(how);
        let server = &mut self.server;
        server.up = false;
        server.links.clear();
        server.online.clear();
        server.timers.clear();
        server.away.clear();
        server.pending.clear();
        server.queue_changed = false;
        server.alarm_at = None;
        for agent in self.agents.keys().copied().collect::<Vec<_>>() {
            self.agent(agent).connection = None;
            let back = self.random.millis(0, 60_000);
            self.after(back, What::Dial(agent));
        }
        let back = self.random.millis(1_000, 30_000);
        self.after(back, What::ServerUp);
    }

    pub(crate) fn server_up(&mut self) -> Result<(), Broken> {
        self.server.up = true;
        let until = self.clock().plus(GRACE);
        let open: Vec<RunId> = self.server.open.iter().copied().collect();
        let agents: BTreeSet<AgentId> = open.iter().flat_map(|run| self.server.runs[run].run.agents()).collect();
        agents.into_iter().for_each(|agent| self.server.give_until(agent, until));
        for run in open {
            self.event(run, Event::Tick)?;
        }
        self.server.queue_changed = true;
        self.settle()?;
        self.arm();
        Ok(())
    }
}

/// What a run that has ended is an example of.
fn of_note(run: &Run) -> Vec<&'static str> {
    let mut words = vec![run.state.word()];
    if run.state.is_good() && run.stop.is_some() {
        words.push("cancels that came too late");
    }
    if run.state.is_good() && run.pipelines.iter().any(|pipeline| pipeline.losses > 0) {
        words.push("successes after a loss");
    }
    words
}

pub(crate) fn unfit() -> Failure {
    Failure {
        kind: FailureKind::Runtime,
        code: "connection_changed".to_owned(),
        message: "the connection was removed".to_owned(),
        advice: None,
        transient: false,
    }
}
