//! The world: what is under way, whom it reaches when, and what goes wrong on the way.
//!
//! A message that is lost takes its connection with it, as with TCP; what is behind it on the wire may still arrive.
//! Otherwise messages take any time, overtake each other and arrive twice.

use std::collections::BTreeMap;
use std::time::Duration;

use sallyport_domain::run::{Event, Stop};
use sallyport_protocol::{AgentId, AttemptKey, OrderReport, RunId, StepCounts, Timestamp};
use uuid::Uuid;

use crate::agent::Agent;
use crate::check::{Book, Broken};
use crate::random::Random;
use crate::server::Server;
use crate::story::{Story, limits};

/// Runs that are asked for in one world, and in which time; reruns come on top.
pub(crate) const RUNS: u64 = 100;
const ASKED_FOR_WITHIN: Duration = Duration::from_secs(120);

/// From here on nothing goes wrong any more, so that everything must end.
const CALM_AFTER: Duration = Duration::from_secs(300);

/// More than any world needs: one that goes on beyond it will not end.
const HAPPENINGS_MAX: u64 = 2_000_000;

const AGENTS: u64 = 8;
const TASKS: u64 = 12;

/// Something that will happen.
pub(crate) enum What {
    /// A client asks for a run; the same number is the same run.
    Ask(u64),
    /// A client wants a run cancelled.
    Cancel(RunId),
    /// A message of an agent reaches the server over the connection of this number.
    ToServer(AgentId, u64, FromAgent),
    /// A message reaches an agent, if its process still lives.
    ToAgent(AgentId, u64, u32, ToAgent),
    /// An agent dials.
    Dial(AgentId),
    /// A killed agent starts again.
    Reborn(AgentId),
    /// The server notices that a connection is gone.
    Gone(AgentId, u64),
    /// An agent's process goes on with an order.
    Work(AgentId, u32, AttemptKey),
    /// The server looks at its clock.
    Alarm,
    /// The server starts.
    ServerUp,
    /// Something goes wrong.
    Fault,
}

#[derive(Clone)]
pub(crate) enum FromAgent {
    Accepted(AttemptKey),
    Progress(AttemptKey, Vec<(String, StepCounts)>),
    Finished(OrderReport),
}

#[derive(Clone)]
pub(crate) enum ToAgent {
    Start(AttemptKey, Vec<usize>),
    Cancel(AttemptKey, String),
    Stored(AttemptKey),
}

/// How often what the world is for has come about, over all worlds.
#[derive(Debug, Default)]
pub(crate) struct Tally(pub(crate) BTreeMap<&'static str, u64>);

impl Tally {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

pub(crate) struct World<'a> {
    pub(crate) now: Timestamp,
    pub(crate) random: Random,
    pub(crate) tally: &'a mut Tally,
    pub(crate) stories: Vec<Story>,
    pub(crate) agents: BTreeMap<AgentId, Agent>,
    pub(crate) server: Server,
    pub(crate) book: Book,
    calm_at: Timestamp,
    coming: BTreeMap<(Timestamp, u64), What>,
    made: u64,
    pub(crate) connections: u64,
}

impl<'a> World<'a> {
    pub(crate) fn new(seed: u64, tally: &'a mut Tally) -> Self {
        let mut random = Random::new(seed);
        let ids: Vec<AgentId> = (1..=AGENTS).map(|n| AgentId::from_uuid(Uuid::from_u128(n.into()))).collect();
        let stories = (0..TASKS).map(|number| Story::invent(number, &ids, &mut random)).collect();
        let limits = limits(&ids, &mut random);
        let agents = ids.into_iter().map(|id| (id, Agent::new(random.once_in(2)))).collect();
        let now = Timestamp(1_000_000_000);
        Self {
            now,
            random,
            tally,
            stories,
            agents,
            server: Server::new(limits),
            book: Book::default(),
            calm_at: now.plus(CALM_AFTER),
            coming: BTreeMap::new(),
            made: 0,
            connections: 0,
        }
    }

    /// Lives until nothing more comes, then looks at what has become of everything.
    pub(crate) fn live(mut self) -> Result<u64, Broken> {
        for number in 0..RUNS {
            let at = self.random.millis(0, millis(ASKED_FOR_WITHIN));
            self.after(at, What::Ask(number));
            if self.random.once_in(5) {
                let again = at + self.random.millis(0, 5_000);
                self.after(again, What::Ask(number));
            }
            if self.random.once_in(8) {
                let cancel = at + self.random.millis(0, 60_000);
                self.after(cancel, What::Cancel(run_id(number)));
            }
        }
        for agent in self.agents.keys().copied().collect::<Vec<_>>() {
            let at = self.random.millis(0, 30_000);
            self.after(at, What::Dial(agent));
        }
        let every = self.random.between(2, 60);
        for _ in 0..CALM_AFTER.as_secs() / every {
            let at = self.random.millis(0, millis(CALM_AFTER));
            self.after(at, What::Fault);
        }
        let mut happenings = 0;
        while let Some(((at, _), what)) = self.coming.pop_first() {
            self.now = at;
            self.happen(what)?;
            happenings += 1;
            if happenings > HAPPENINGS_MAX {
                return Err(Broken(format!("the world does not end: {} runs are open", self.server.open.len())));
            }
        }
        self.judge_end()?;
        Ok(self.server.runs.len() as u64)
    }

    fn happen(&mut self, what: What) -> Result<(), Broken> {
        match what {
            What::Ask(number) => self.ask(number),
            What::Cancel(run) => {
                if !self.server.up || !self.server.runs.contains_key(&run) {
                    return Ok(());
                }
                self.tally.count("cancels");
                self.event(run, Event::Stop(Stop::Cancel { reason: "not today".to_owned() }))?;
                self.settle()
            }
            What::ToServer(agent, connection, message) => {
                let stale = self.agents[&agent].connection != Some(connection);
                if !self.server.up || (stale && !self.random.once_in(5)) {
                    return Ok(());
                }
                self.hear(agent, message)
            }
            What::ToAgent(agent, connection, life, message) => {
                let at = &self.agents[&agent];
                if at.life == life && at.alive && (at.connection == Some(connection) || self.random.once_in(5)) {
                    self.obey(agent, message);
                }
                Ok(())
            }
            What::Dial(agent) => self.dial(agent),
            What::Reborn(agent) => {
                self.agent(agent).alive = true;
                self.dial(agent)
            }
            What::Gone(agent, connection) => {
                self.went_offline(agent, connection);
                Ok(())
            }
            What::Work(agent, life, key) => {
                self.work(agent, life, key);
                Ok(())
            }
            What::Alarm => self.alarm(),
            What::ServerUp => self.server_up(),
            What::Fault => {
                self.fault();
                Ok(())
            }
        }
    }

    pub(crate) fn after(&mut self, pause: Duration, what: What) {
        self.made += 1;
        self.coming.insert((self.now.plus(pause), self.made), what);
    }

    /// Whether something goes wrong that goes wrong once in `times`.
    pub(crate) fn misfortune(&mut self, times: u64) -> bool {
        self.now < self.calm_at && self.random.once_in(times)
    }

    pub(crate) fn agent(&mut self, id: AgentId) -> &mut Agent {
        self.agents.entry(id).or_insert_with(|| Agent::new(false))
    }

    /// Sends to the server, if there is a connection.
    pub(crate) fn say(&mut self, agent: AgentId, message: FromAgent) {
        let Some(connection) = self.agents[&agent].connection else { return };
        self.carry(agent, |message| What::ToServer(agent, connection, message), message);
    }

    /// Sends to an agent, if the server believes in a connection.
    pub(crate) fn tell(&mut self, agent: AgentId, message: ToAgent) {
        let Some(connection) = self.server.links.get(&agent).copied() else { return };
        let life = self.agents[&agent].life;
        self.carry(agent, |message| What::ToAgent(agent, connection, life, message), message);
    }

    fn carry<M: Clone>(&mut self, agent: AgentId, what: impl Fn(M) -> What, message: M) {
        if self.misfortune(100) {
            self.tally.count("messages lost");
            return self.cut(agent);
        }
        if self.misfortune(20) {
            self.tally.count("messages repeated");
            let again = self.random.millis(0, 5_000);
            self.after(again, what(message.clone()));
        }
        let pause = if self.misfortune(30) { self.random.millis(0, 20_000) } else { self.random.millis(0, 50) };
        self.after(pause, what(message));
    }

    /// Ends an agent's connection; both sides notice when they do.
    pub(crate) fn cut(&mut self, agent: AgentId) {
        if let Some(connection) = self.agent(agent).connection.take() {
            let noticed = self.random.millis(0, 65_000);
            self.after(noticed, What::Gone(agent, connection));
        }
        let back = if self.random.once_in(4) { self.random.millis(0, 200_000) } else { self.random.millis(0, 10_000) };
        self.after(back, What::Dial(agent));
    }

    fn dial(&mut self, agent: AgentId) -> Result<(), Broken> {
        let (alive, connected) = (self.agents[&agent].alive, self.agents[&agent].connection.is_some());
        if !alive || connected {
            return Ok(());
        }
        if !self.server.up {
            let later = self.random.millis(500, 10_000);
            self.after(later, What::Dial(agent));
            return Ok(());
        }
        self.connections += 1;
        let connection = self.connections;
        let at = self.agent(agent);
        at.connection = Some(connection);
        let (running, undelivered) = (at.known(), at.undelivered());
        self.came_online(agent, connection, &running)?;
        for report in undelivered {
            self.say(agent, FromAgent::Finished(report));
        }
        Ok(())
    }

    fn fault(&mut self) {
        let agents: Vec<AgentId> = self.agents.keys().copied().collect();
        let agent = self.random.one_of(&agents);
        match self.random.below(5) {
            0 => self.cut(agent),
            1 | 2 => {
                self.tally.count("agents killed");
                self.kill(agent);
                // Some never come back.
                if !self.random.once_in(10) {
                    let back = self.random.millis(0, 120_000);
                    self.after(back, What::Reborn(agent));
                }
            }
            3 => self.crash("the server killed"),
            _ => {
                self.tally.count("the clock set");
                let skew = self.random.between(0, 20_000_000);
                self.server.skew = i64::try_from(skew).unwrap_or(0) - 10_000_000;
                self.after(Duration::ZERO, What::Alarm);
            }
        }
    }
}

pub(crate) fn run_id(number: u64) -> RunId {
    RunId::from_uuid(Uuid::from_u128(u128::from(number) + 1))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
