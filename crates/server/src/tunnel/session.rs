//! One tunnel: what a person or an entry opened for one connection, over as many lines as it takes.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sallyport_dataplane::tunnel::End;
use sallyport_protocol::{
    AgentId, ConnectionId, LogLevel, RunId, ServerToAgent, Timestamp, TunnelId, TunnelRefusal, UserId, event,
};

use tokio::time::Instant;

use super::Tunnels;
use crate::gateway::Handle;

/// Lines of one tunnel: streams at one time.
const LINES_MAX: usize = 1024;

/// A tunnel of requests, or of an entry, ends when none has come for so long.
const KEPT: Duration = Duration::from_secs(60);

/// On whose account a tunnel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// A person's, by a login or API token.
    Person(UserId),
    /// A step's, by the ticket of its order.
    Step {
        /// The agent that it runs on.
        agent: AgentId,
        /// Of which run.
        run: RunId,
    },
    /// An entry's, by its number in the server's file.
    Entry(usize),
}

impl Owner {
    /// Why a tunnel ends while the server goes on.
    fn goodbye(self) -> &'static str {
        match self {
            Self::Person(_) => "its person's side closed it",
            Self::Step { .. } => "its step ended",
            Self::Entry(_) => "nothing uses it",
        }
    }
}

/// A tunnel that stands as long as one of its lines.
pub(crate) struct Session {
    id: TunnelId,
    owner: Owner,
    about: ConnectionId,
    /// The connection's name.
    connection: String,
    /// Those that have opened streams of it.
    agents: Mutex<BTreeSet<AgentId>>,
    who: String,
    began: Timestamp,
    gateway: Handle,
    lines: AtomicUsize,
    streams: AtomicU64,
    refused: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

/// One line of a tunnel.
pub(crate) struct Seat(pub(crate) Arc<Session>);

impl Tunnels {
    /// Takes a place in a tunnel, which begins with its first line; `None` when it has too many.
    pub(crate) fn join(
        &self,
        gateway: &Handle,
        (owner, who): (Owner, String),
        id: TunnelId,
        (about, connection): (ConnectionId, &str),
    ) -> Option<Seat> {
        let mut sessions = self.inner.sessions();
        let standing = sessions.get(&(owner, id)).and_then(std::sync::Weak::upgrade);
        // Another connection under the same id is another tunnel.
        let session = match standing.filter(|session| session.about == about) {
            Some(session) => session,
            None => {
                let began = gateway.parts().clock.now();
                let (connection, gateway) = (connection.to_owned(), gateway.clone());
                let zero = || AtomicU64::new(0);
                let (lines, streams, refused, sent, received) = (AtomicUsize::new(0), zero(), zero(), zero(), zero());
                let agents = Mutex::default();
                let session = Session {
                    id,
                    owner,
                    about,
                    connection,
                    agents,
                    who,
                    began,
                    gateway,
                    lines,
                    streams,
                    refused,
                    sent,
                    received,
                };
                let session = Arc::new(session);
                session.begins();
                sessions.insert((owner, id), Arc::downgrade(&session));
                session
            }
        };
        drop(sessions);
        let seat = Seat(session);
        (seat.0.lines.fetch_add(1, Ordering::Relaxed) < LINES_MAX).then_some(seat)
    }
}

/// A tunnel that is kept between its requests or streams.
pub(super) struct Kept {
    seat: Seat,
    used_at: Instant,
}

impl Kept {
    /// Whether requests still come.
    pub(super) fn is_used(&self) -> bool {
        self.used_at.elapsed() < KEPT || self.seat.0.lines.load(Ordering::Relaxed) > 1
    }
}

impl Tunnels {
    /// A place in the tunnel of somebody's requests or streams to a connection: one for all that come within a while.
    pub(crate) fn join_kept(
        &self,
        gateway: &Handle,
        (owner, who): (Owner, String),
        (id, name): (ConnectionId, &str),
    ) -> Option<Seat> {
        let mut kept = self.inner.kept();
        let standing = kept.get_mut(&(owner, id)).map(|standing| {
            standing.used_at = Instant::now();
            standing.seat.0.id
        });
        let tunnel = standing.unwrap_or_else(TunnelId::new);
        let seat = self.join(gateway, (owner, who.clone()), tunnel, (id, name))?;
        if standing.is_none() {
            let held = self.join(gateway, (owner, who), tunnel, (id, name))?;
            kept.insert((owner, id), Kept { seat: held, used_at: Instant::now() });
        }
        Some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.lines.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Session {
    /// The connection.
    pub(super) fn about(&self) -> ConnectionId {
        self.about
    }

    /// The run whose step owns it.
    pub(super) fn run(&self) -> Option<RunId> {
        match self.owner {
            Owner::Person(_) | Owner::Entry(_) => None,
            Owner::Step { run, .. } => Some(run),
        }
    }

    pub(super) fn gateway(&self) -> &Handle {
        &self.gateway
    }

    pub(crate) fn id(&self) -> TunnelId {
        self.id
    }

    pub(crate) fn who(&self) -> &str {
        &self.who
    }

    /// The number of the next stream, from 1.
    pub(crate) fn next_stream(&self) -> u64 {
        self.streams.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A stream has moved so many bytes to the target and back.
    pub(crate) fn moves(&self, sent: u64, received: u64) {
        self.sent.fetch_add(sent, Ordering::Relaxed);
        self.received.fetch_add(received, Ordering::Relaxed);
    }

    /// A stream through an agent has ended.
    pub(super) fn carried(&self, (stream, agent): (u64, AgentId), bytes: (u64, u64), lasted: Duration, end: &End) {
        let (tunnel, (sent, received)) = (self.id, bytes);
        self.moves(sent, received);
        let (reason, micros) = (end.words(), u64::try_from(lasted.as_micros()).unwrap_or(u64::MAX));
        match end {
            End::Lost(_) => tracing::info!(
                event = event::FORWARD_IN_ERROR, %tunnel, stream, %agent, sent, received, micros, reason,
                "a stream was lost"
            ),
            _ => tracing::debug!(%tunnel, stream, %agent, sent, received, micros, reason, "a stream ended"),
        }
    }

    /// A stream did not come about.
    pub(crate) fn refuses(&self, refusal: &TunnelRefusal) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.gateway.parts().tunnels.refused();
        let (tunnel, who, code, reason) = (self.id, &self.who, refusal.code, &refusal.message);
        tracing::warn!(event = event::FORWARD_IN_ERROR, %tunnel, who, ?code, reason, "a stream was refused");
    }

    fn begins(&self) {
        let Self { id, connection, who, .. } = self;
        tracing::info!(event = event::REQUEST_TUNNEL, tunnel = %id, connection, who, "a tunnel begins");
    }

    /// An agent opens a stream of it.
    pub(super) fn uses(&self, agent: AgentId) {
        if self.agents().insert(agent) {
            let Self { id, connection, who, .. } = self;
            self.note(agent, format!("{who} opened tunnel {id} to connection `{connection}`"));
        }
    }

    fn agents(&self) -> MutexGuard<'_, BTreeSet<AgentId>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line to an agent's log on the server.
    fn note(&self, agent: AgentId, text: String) {
        let gateway = self.gateway.clone();
        self.gateway.parts().tasks.spawn(async move { gateway.note(agent, LogLevel::Info, text).await });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let seconds = self.gateway.parts().clock.now().since(self.began).as_secs();
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (streams, refused) = (value(&self.streams), value(&self.refused));
        let (sent, received) = (value(&self.sent), value(&self.received));
        let reason = if self.gateway.parts().stop.is_cancelled() { "the server stops" } else { self.owner.goodbye() };
        let agents = std::mem::take(&mut *self.agents());
        let Self { id, connection, who, .. } = &*self;
        tracing::info!(
            tunnel = %id, connection, ?agents, who, streams, refused, sent, received, seconds, reason, "a tunnel ended"
        );
        for agent in agents {
            self.note(
                agent,
                format!(
                    "tunnel {id} of {who} to connection `{connection}` ended after {seconds} s: {reason}; {streams} \
                     streams, {refused} of them refused, {sent} bytes to the target, {received} bytes back"
                ),
            );
            if let Some(link) = self.gateway.link_of(agent) {
                link.send(ServerToAgent::TunnelEnded { tunnel: *id, reason: reason.to_owned() });
            }
        }
    }
}
