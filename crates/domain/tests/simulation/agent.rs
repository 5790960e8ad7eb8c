//! Agents as the world has them: they work on orders, remember how these ended until the server has stored it, and
//! may die. Their sinks write to targets that keep a ledger.

use std::collections::{BTreeMap, BTreeSet};

use sallyport_protocol::{AgentId, AttemptKey, Failure, FailureKind, OrderReport, StepCounts, StepOutcome, StepReport};

use crate::world::{FromAgent, ToAgent, What, World};

/// How long a step waits for rows of another agent before it takes the stream for lost, in looks.
const LOOKS_MAX: u32 = 60;

pub(crate) struct Agent {
    pub(crate) alive: bool,
    /// Which process of it.
    pub(crate) life: u32,
    pub(crate) connection: Option<u64>,
    /// Whether it knows outcomes again after a death.
    journal: bool,
    pub(crate) running: BTreeMap<AttemptKey, Job>,
    outcomes: BTreeMap<AttemptKey, OrderReport>,
    /// What has ended here and is stored: an order that comes again finds its end.
    stored: BTreeMap<AttemptKey, OrderReport>,
}

/// An order at work.
pub(crate) struct Job {
    steps: Vec<usize>,
    cancelled: Option<String>,
    /// How its step of this place will end, unless well.
    fate: Option<(usize, Fate)>,
    looks: u32,
}

#[derive(Clone, Copy)]
enum Fate {
    Passing,
    Lasting,
    TimedOut,
    Stopped,
    Unreported,
}

/// What one attempt has come to, over all its agents.
#[derive(Default)]
pub(crate) struct Attempt {
    done: BTreeSet<usize>,
    broken: bool,
}

impl Agent {
    pub(crate) fn new(journal: bool) -> Self {
        Self {
            alive: true,
            life: 0,
            connection: None,
            journal,
            running: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            stored: BTreeMap::new(),
        }
    }

    /// The attempts that it says it has.
    pub(crate) fn known(&self) -> Vec<AttemptKey> {
        self.running.keys().chain(self.outcomes.keys()).copied().collect()
    }

    pub(crate) fn undelivered(&self) -> Vec<OrderReport> {
        self.outcomes.values().cloned().collect()
    }

    /// Whether nothing is left to do or to say.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.outcomes.is_empty()
    }
}

impl World<'_> {
    /// Takes what the server says.
    pub(crate) fn obey(&mut self, id: AgentId, message: ToAgent) {
        match message {
            ToAgent::Start(key, steps) => self.begin(id, key, steps),
            ToAgent::Cancel(key, reason) => self.cancel(id, key, &reason),
            ToAgent::Stored(key) => {
                let agent = self.agent(id);
                if let Some(report) = agent.outcomes.remove(&key) {
                    agent.stored.insert(key, report);
                }
            }
        }
    }

    fn begin(&mut self, id: AgentId, key: AttemptKey, steps: Vec<usize>) {
        let agent = self.agent(id);
        if agent.running.contains_key(&key) {
            return self.say(id, FromAgent::Accepted(key));
        }
        let known = agent.stored.remove(&key).or_else(|| agent.outcomes.get(&key).cloned());
        if let Some(report) = known {
            agent.outcomes.insert(key, report.clone());
            return self.say(id, FromAgent::Finished(report));
        }
        let old = |one: &&AttemptKey| one.run == key.run && one.pipeline == key.pipeline && one.fence < key.fence;
        let superseded: Vec<AttemptKey> = agent.running.keys().filter(old).copied().collect();
        for old in superseded {
            self.cancel(id, old, "a newer attempt took its place");
        }
        let fate = self.misfortune(6).then(|| {
            let fates = [Fate::Passing, Fate::Passing, Fate::Lasting, Fate::TimedOut, Fate::Stopped, Fate::Unreported];
            (self.random.one_of(&steps), self.random.one_of(&fates))
        });
        self.agent(id).running.insert(key, Job { steps, cancelled: None, fate, looks: 0 });
        self.say(id, FromAgent::Accepted(key));
        self.look_again(id, key);
    }

    fn cancel(&mut self, id: AgentId, key: AttemptKey, reason: &str) {
        let agent = self.agent(id);
        let life = agent.life;
        if let Some(job) = agent.running.get_mut(&key) {
            job.cancelled.get_or_insert_with(|| reason.to_owned());
            // Some do not hear it in time.
            let pause =
                if self.random.once_in(10) { self.random.millis(0, 30_000) } else { self.random.millis(0, 100) };
            self.after(pause, What::Work(id, life, key));
        }
    }

    fn look_again(&mut self, id: AgentId, key: AttemptKey) {
        let pause = if self.random.once_in(10) { self.random.millis(0, 10_000) } else { self.random.millis(1, 1_000) };
        let life = self.agents[&id].life;
        self.after(pause, What::Work(id, life, key));
    }

    /// Goes on with an order: each step ends when all that it takes rows from have ended.
    pub(crate) fn work(&mut self, id: AgentId, life: u32, key: AttemptKey) {
        let agent = self.agent(id);
        if agent.life != life || !agent.alive {
            return;
        }
        // It may have ended meanwhile: two may have woken it.
        let Some(mut job) = agent.running.remove(&key) else { return };
        if let Some(reason) = job.cancelled.take() {
            return self.finish(id, key, &job, &StepOutcome::Cancelled { reason });
        }
        let inputs = |world: &Self, step: usize| world.server.runs[&key.run].run.plan.steps[step].inputs.clone();
        for step in job.steps.clone() {
            let attempt = self.book.attempts.entry(key).or_default();
            if attempt.broken {
                return self.finish(id, key, &job, &failed("stream_lost", FailureKind::Input, true));
            }
            let fed = inputs(self, step).iter().all(|input| self.book.attempts[&key].done.contains(input));
            if !fed || self.book.attempts[&key].done.contains(&step) {
                continue;
            }
            match job.fate.filter(|(place, _)| *place == step).map(|(_, fate)| fate) {
                None | Some(Fate::Unreported) => self.end_step(key, step),
                Some(fate) => return self.finish(id, key, &job, &outcome(fate)),
            }
        }
        let done = &self.book.attempts[&key].done;
        if job.steps.iter().all(|step| done.contains(step)) {
            return self.finish(id, key, &job, &StepOutcome::Succeeded);
        }
        job.looks += 1;
        if job.looks > LOOKS_MAX {
            return self.finish(id, key, &job, &failed("stream_lost", FailureKind::Input, true));
        }
        let steps = self.counts(key, &job.steps);
        self.agent(id).running.insert(key, job);
        if self.random.once_in(3) {
            self.say(id, FromAgent::Progress(key, steps));
        }
        self.look_again(id, key);
    }

    /// A step has read or written everything; what nothing takes rows from is a sink and writes once.
    fn end_step(&mut self, key: AttemptKey, step: usize) {
        let plan = &self.server.runs[&key.run].run.plan;
        if plan.consumers_of(step).next().is_none() {
            let again = !self.book.targets.insert((key.run, step));
            if again {
                self.tally.count("commits found already there");
            }
        }
        self.book.attempts.entry(key).or_default().done.insert(step);
    }

    /// Ends an order: steps that are done have succeeded, the others end as `rest` says.
    fn finish(&mut self, id: AgentId, key: AttemptKey, job: &Job, rest: &StepOutcome) {
        let attempt = self.book.attempts.entry(key).or_default();
        let done = attempt.done.clone();
        attempt.broken |= !matches!(rest, StepOutcome::Succeeded);
        let unreported = job.fate.filter(|(_, fate)| matches!(fate, Fate::Unreported)).map(|(step, _)| step);
        let counts = self.counts(key, &job.steps);
        let reports = job.steps.iter().zip(counts).filter(|(step, _)| Some(**step) != unreported);
        let steps = reports.map(|(step, (name, counts))| {
            let outcome = if done.contains(step) { StepOutcome::Succeeded } else { rest.clone() };
            StepReport { step: name, outcome, counts, already_committed: false, committed: None }
        });
        let report = OrderReport { key, steps: steps.collect(), ended_at: None };
        self.agent(id).outcomes.insert(key, report.clone());
        self.say(id, FromAgent::Finished(report));
    }

    fn counts(&self, key: AttemptKey, steps: &[usize]) -> Vec<(String, StepCounts)> {
        let record = &self.server.runs[&key.run];
        let rows = &self.stories[record.story].rows;
        let counts = |step: &usize| StepCounts { rows_in: rows[*step], rows_out: rows[*step], ..StepCounts::default() };
        steps.iter().map(|step| (record.run.plan.steps[*step].name.clone(), counts(step))).collect()
    }

    /// Ends an agent's process at once.
    pub(crate) fn kill(&mut self, id: AgentId) {
        let agent = self.agent(id);
        agent.alive = false;
        agent.life += 1;
        let orders: Vec<AttemptKey> = std::mem::take(&mut agent.running).into_keys().collect();
        agent.stored.clear();
        if !agent.journal {
            agent.outcomes.clear();
        }
        if let Some(connection) = agent.connection.take() {
            let noticed = self.random.millis(0, 65_000);
            self.after(noticed, What::Gone(id, connection));
        }
        for key in orders {
            self.book.attempts.entry(key).or_default().broken = true;
        }
    }
}

fn outcome(fate: Fate) -> StepOutcome {
    match fate {
        Fate::Passing => failed("connection_lost", FailureKind::Connector, true),
        Fate::TimedOut => failed("timed_out", FailureKind::TimedOut, true),
        Fate::Stopped => StepOutcome::Cancelled { reason: "out of order".to_owned() },
        Fate::Lasting | Fate::Unreported => failed("wrong_password", FailureKind::Connector, false),
    }
}

fn failed(code: &str, kind: FailureKind, transient: bool) -> StepOutcome {
    let failure = Failure { kind, code: code.to_owned(), message: code.to_owned(), advice: None, transient };
    StepOutcome::Failed { failure }
}
