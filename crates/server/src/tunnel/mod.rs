//! Tunnels: TCP streams of people, of steps, and of programs beside the server, to a target near an agent.
//!
//! The asker's lines, or sockets that an entry has accepted, and an agent's lines are joined stream by stream. Invariant:
//! bytes pass through; nothing here looks into them or keeps more of them than one buffer a direction. Each stream has
//! sockets of its own, so that one tunnel's bulk delays neither another's nor a heartbeat. Who may open a stream is asked
//! again while a tunnel stands.

mod entry;
mod grounds;
mod lines;
mod open;
mod serve;
mod session;
mod step;
mod upgrade;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sallyport_dataplane::tunnel::{Limits, Line};
use sallyport_domain::connection::Reach;
use sallyport_protocol::{AgentId, ConnectionId, TunnelId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use entry::{Entries, Standing};
pub(crate) use lines::AgentLine;
use lines::Lines;
pub(crate) use open::Opened;
pub(crate) use serve::{Asker, Right, serve};
use session::Kept;
pub(crate) use session::{Owner, Session};
pub(crate) use step::{admit, line};
pub(crate) use upgrade::{is, upgrade};

/// How long a stream may last where nobody says otherwise.
pub(crate) const LIMITS: Limits = Limits { idle: Duration::from_secs(3600), total: Duration::from_secs(7 * 24 * 3600) };

/// A person or connection that has changed is noticed by the streams that begin later than this.
const GROUNDS_KEPT: Duration = Duration::from_secs(2);

/// How often lines that nobody needs are given up.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// Connections of which something is remembered; beyond it all is forgotten and seen anew.
const REACH_MAX: usize = 16 * 1024;

/// Figures for operators; all of them grow but those that say `open` or `idle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Tunnels that stand.
    pub(crate) tunnels_open: u64,
    /// Streams that carry bytes now.
    pub(crate) streams_open: u64,
    /// Streams since the start.
    pub(crate) streams_total: u64,
    /// Streams that did not come about since the start.
    pub(crate) refused_total: u64,
    /// Bytes passed since the start, both ways.
    pub(crate) bytes_total: u64,
    /// Agents' lines that wait for a stream.
    pub(crate) lines_idle: u64,
}

/// Every tunnel of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tunnels {
    inner: Arc<Inner>,
}

struct Inner {
    lines: Lines,
    sessions: Mutex<HashMap<(Owner, TunnelId), Weak<Session>>>,
    kept: Mutex<HashMap<(Owner, ConnectionId), Kept>>,
    /// What streams have shown of targets since the start.
    reach: Mutex<HashMap<ConnectionId, Reach>>,
    /// Agents that said nothing, and until when they come last.
    passed: Mutex<HashMap<AgentId, Instant>>,
    streams_open: AtomicU64,
    streams_total: AtomicU64,
    refused_total: AtomicU64,
    bytes_total: AtomicU64,
    stop: CancellationToken,
}

impl Tunnels {
    /// Without any; everything ends when `stop` fires.
    pub(crate) fn new(tasks: TaskTracker, stop: CancellationToken) -> Self {
        let inner = Inner {
            lines: Lines::new(tasks.clone(), stop.clone()),
            sessions: Mutex::default(),
            kept: Mutex::default(),
            reach: Mutex::default(),
            passed: Mutex::default(),
            streams_open: AtomicU64::new(0),
            streams_total: AtomicU64::new(0),
            refused_total: AtomicU64::new(0),
            bytes_total: AtomicU64::new(0),
            stop,
        };
        let tunnels = Self { inner: Arc::new(inner) };
        tasks.spawn(sweep(tunnels.clone()));
        tunnels
    }

    /// A line that an agent has opened: it waits for a stream, or goes to one that waits for it.
    pub(crate) fn arrive(&self, agent: AgentId, line: Line) {
        self.inner.lines.arrive(agent, line);
    }

    /// Whether an agent may open another line.
    pub(crate) fn has_room(&self, agent: AgentId) -> bool {
        self.inner.lines.has_room(agent)
    }

    /// Fires when an agent is sent away.
    pub(crate) fn revoked(&self, agent: AgentId) -> CancellationToken {
        self.inner.lines.revoked(agent)
    }

    /// Ends an agent's lines and the streams on them.
    pub(crate) fn drop_all(&self, agent: AgentId) {
        self.inner.lines.drop_all(agent);
    }

    /// Takes a line back that has carried its stream.
    pub(crate) fn give(&self, agent: AgentId, line: AgentLine) {
        self.inner.lines.give(agent, line);
    }

    /// Counts a stream as long as this is held.
    pub(crate) fn counted(&self) -> Counted {
        self.inner.streams_open.fetch_add(1, Ordering::Relaxed);
        self.inner.streams_total.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(&self.inner))
    }

    /// Counts a stream that does not come about.
    fn refused(&self) {
        self.inner.refused_total.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns when a stream on this line of an agent has to end, and says why.
    pub(crate) fn ending(&self, line: &AgentLine) -> impl Future<Output = String> + Send + use<> {
        let (revoked, stop) = (line.revoked.clone(), self.inner.stop.clone());
        async move {
            tokio::select! {
                () = revoked.cancelled() => "the agent was sent away".to_owned(),
                () = stop.cancelled() => "the server stops".to_owned(),
            }
        }
    }

    /// What streams have shown of a connection's target since the server's start.
    pub(crate) fn reach(&self, connection: ConnectionId) -> Option<Reach> {
        self.inner.reach().get(&connection).cloned()
    }

    /// What goes on.
    pub(crate) fn figures(&self) -> Figures {
        let inner = &self.inner;
        let tunnels = inner.sessions().values().filter(|session| session.strong_count() > 0).count();
        Figures {
            tunnels_open: tunnels as u64,
            streams_open: inner.streams_open.load(Ordering::Relaxed),
            streams_total: inner.streams_total.load(Ordering::Relaxed),
            refused_total: inner.refused_total.load(Ordering::Relaxed),
            bytes_total: inner.bytes_total.load(Ordering::Relaxed),
            lines_idle: inner.lines.idle() as u64,
        }
    }
}

/// A stream that carries bytes.
pub(crate) struct Counted(Arc<Inner>);

impl Counted {
    /// So many bytes have passed.
    pub(crate) fn moved(&self, bytes: u64) {
        self.0.bytes_total.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.streams_open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inner {
    fn sessions(&self) -> MutexGuard<'_, HashMap<(Owner, TunnelId), Weak<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self) -> MutexGuard<'_, HashMap<ConnectionId, Reach>> {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn passed(&self) -> MutexGuard<'_, HashMap<AgentId, Instant>> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<(Owner, ConnectionId), Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sweep(tunnels: Tunnels) {
    let mut tick = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = tunnels.inner.stop.cancelled() => return tunnels.inner.kept().clear(),
        }
        tunnels.inner.kept().retain(|_, kept| kept.is_used());
        tunnels.inner.sessions().retain(|_, session| session.strong_count() > 0);
        tunnels.inner.lines.trim();
    }
}
