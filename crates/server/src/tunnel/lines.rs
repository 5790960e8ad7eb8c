//! The lines that agents have opened: some wait ahead while an agent's tunnels are used, and carry one stream after the
//! other, so that a stream costs a round trip and no handshake.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sallyport_dataplane::tunnel::{Line, Rest, Resting};
use sallyport_protocol::{AgentId, ServerToAgent};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::Link;

/// Lines that wait while an agent's tunnels are used.
const SPARE: usize = 4;

/// Lines that may wait after many streams at a time.
const RESTING_MAX: usize = 256;

/// Lines of one agent.
const LINES_MAX: usize = 1024;

/// How long an agent may take to open a line.
const DIAL_MAX: Duration = Duration::from_secs(10);

/// An agent was told to open lines and did not: it is told again.
const ASKED_MAX: Duration = Duration::from_secs(3);

/// A line of an agent.
pub(crate) struct AgentLine {
    pub(crate) line: Line,
    /// Fires when the agent is sent away.
    pub(super) revoked: CancellationToken,
    /// Counts it while it stands.
    place: Place,
}

/// Why there is no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoLine {
    Offline,
    Silent,
}

/// All of them.
pub(super) struct Lines {
    agents: Mutex<HashMap<AgentId, Pool>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Default)]
struct Pool {
    resting: Resting<Place>,
    waiting: VecDeque<oneshot::Sender<AgentLine>>,
    /// Lines that the agent was asked for and has not opened yet.
    asked: usize,
    asked_at: Option<Instant>,
    open: Arc<AtomicUsize>,
    /// Whether any was taken since the last sweep.
    used: bool,
    revoked: CancellationToken,
}

struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lines {
    pub(super) fn new(tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { agents: Mutex::default(), tasks, stop }
    }

    pub(super) fn has_room(&self, agent: AgentId) -> bool {
        self.agents().get(&agent).is_none_or(|pool| pool.open.load(Ordering::Relaxed) < LINES_MAX)
    }

    /// How much an agent has to do: its streams, and those that wait for a line.
    pub(super) fn busy(&self, agent: AgentId) -> usize {
        self.agents().get(&agent).map_or(0, |pool| {
            let waiting = pool.waiting.iter().filter(|waiting| !waiting.is_closed()).count();
            pool.open.load(Ordering::Relaxed).saturating_sub(pool.resting.len()) + waiting
        })
    }

    pub(super) fn idle(&self) -> usize {
        self.agents().values().map(|pool| pool.resting.len()).sum()
    }

    pub(super) fn arrive(&self, agent: AgentId, line: Line) {
        let mut agents = self.agents();
        let pool = agents.entry(agent).or_default();
        pool.asked = pool.asked.saturating_sub(1);
        pool.open.fetch_add(1, Ordering::Relaxed);
        let line = AgentLine { line, revoked: pool.revoked.clone(), place: Place(Arc::clone(&pool.open)) };
        self.place(pool, line);
    }

    /// Takes a line back that has carried its stream.
    pub(super) fn give(&self, agent: AgentId, line: AgentLine) {
        let mut agents = self.agents();
        if let Some(pool) = agents.get_mut(&agent).filter(|_| !line.revoked.is_cancelled()) {
            self.place(pool, line);
        }
    }

    /// A line for a stream.
    pub(super) async fn take(&self, agent: AgentId, link: &Link<ServerToAgent>) -> Result<AgentLine, NoLine> {
        loop {
            let (rest, revoked) = {
                let mut agents = self.agents();
                let pool = agents.entry(agent).or_default();
                pool.used = true;
                pool.resting.weed();
                let rest = pool.resting.pop();
                if rest.is_some() {
                    pool.ask(link);
                }
                (rest, pool.revoked.clone())
            };
            let Some((rest, place)) = rest else { break };
            if let Some(line) = rest.take().await {
                return Ok(AgentLine { line, revoked, place });
            }
        }
        let due = Instant::now() + DIAL_MAX;
        let (give, mut given) = oneshot::channel();
        self.queue(agent, give, link);
        loop {
            tokio::select! {
                line = timeout(ASKED_MAX, &mut given) => match line {
                    Ok(Ok(line)) => return Ok(line),
                    Ok(Err(_)) => return Err(NoLine::Offline),
                    Err(_) if Instant::now() >= due => return Err(NoLine::Silent),
                    Err(_) => {}
                },
                () = link.closed() => return Err(NoLine::Offline),
            }
            if let Some(pool) = self.agents().get_mut(&agent) {
                pool.ask(link);
            }
        }
    }

    pub(super) fn revoked(&self, agent: AgentId) -> CancellationToken {
        self.agents().entry(agent).or_default().revoked.clone()
    }

    /// Ends an agent's lines.
    pub(super) fn drop_all(&self, agent: AgentId) {
        if let Some(pool) = self.agents().remove(&agent) {
            pool.revoked.cancel();
        }
    }

    /// Gives up lines that were not needed for a while.
    pub(super) fn trim(&self) {
        for pool in self.agents().values_mut() {
            pool.resting.sweep(if pool.used { SPARE } else { 0 });
            // Also what streams still hold counts as use.
            pool.used = pool.open.load(Ordering::Relaxed) > pool.resting.len();
        }
    }

    fn queue(&self, agent: AgentId, give: oneshot::Sender<AgentLine>, link: &Link<ServerToAgent>) {
        let mut agents = self.agents();
        let pool = agents.entry(agent).or_default();
        pool.waiting.retain(|waiting| !waiting.is_closed());
        pool.waiting.push_back(give);
        pool.ask(link);
    }

    fn place(&self, pool: &mut Pool, mut line: AgentLine) {
        while let Some(waiting) = pool.waiting.pop_front() {
            match waiting.send(line) {
                Ok(()) => return,
                Err(back) => line = back,
            }
        }
        if pool.resting.len() < RESTING_MAX {
            let AgentLine { line, revoked, place } = line;
            let (rest, keeping) = Rest::new(line);
            let stop = self.stop.clone();
            self.tasks.spawn(async move {
                tokio::select! {
                    () = keeping => {}
                    () = revoked.cancelled() => {}
                    () = stop.cancelled() => {}
                }
            });
            pool.resting.put(rest, place);
        }
    }

    fn agents(&self) -> MutexGuard<'_, HashMap<AgentId, Pool>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// Has the agent open what is missing.
    fn ask(&mut self, link: &Link<ServerToAgent>) {
        let now = Instant::now();
        if self.asked_at.is_some_and(|at| now - at > ASKED_MAX) {
            self.asked = 0;
        }
        let room = LINES_MAX.saturating_sub(self.open.load(Ordering::Relaxed) + self.asked);
        let wanted = (self.waiting.len() + SPARE).saturating_sub(self.resting.len() + self.asked).min(room);
        if wanted > 0 {
            self.asked += wanted;
            self.asked_at = Some(now);
            link.send(ServerToAgent::DialTunnels { count: u32::try_from(wanted).unwrap_or(u32::MAX) });
        }
    }
}
