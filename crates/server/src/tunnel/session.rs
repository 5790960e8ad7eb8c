//! One tunnel: what a person opened for one connection, over as many lines as it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use sallyport_protocol::{AgentId, LogLevel, ServerToAgent, Timestamp, TunnelId, UserId, event};

use super::Tunnels;
use crate::gateway::Handle;

/// Lines of one tunnel: streams at one time.
const LINES_MAX: usize = 1024;

/// A tunnel that stands as long as one of its lines.
pub(crate) struct Session {
    id: TunnelId,
    /// The connection's name.
    connection: String,
    agent: AgentId,
    who: String,
    began: Timestamp,
    gateway: Handle,
    lines: AtomicUsize,
    pub(super) streams: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
}

/// One line of a tunnel.
pub(crate) struct Seat(pub(super) Arc<Session>);

impl Tunnels {
    /// Takes a place in a tunnel, which begins with its first line; `None` when it has too many.
    pub(crate) fn join(
        &self,
        gateway: &Handle,
        (user, who): (UserId, String),
        id: TunnelId,
        (connection, agent): (&str, AgentId),
    ) -> Option<Seat> {
        let mut sessions = self.inner.sessions();
        let standing = sessions.get(&(user, id)).and_then(std::sync::Weak::upgrade);
        // Another connection under the same id is another tunnel.
        let session = match standing.filter(|session| session.connection == connection && session.agent == agent) {
            Some(session) => session,
            None => {
                let began = gateway.parts().clock.now();
                let (connection, gateway) = (connection.to_owned(), gateway.clone());
                let zero = || AtomicU64::new(0);
                let (lines, streams, refused, sent, received) = (AtomicUsize::new(0), zero(), zero(), zero(), zero());
                let session =
                    Session { id, connection, agent, who, began, gateway, lines, streams, refused, sent, received };
                let session = Arc::new(session);
                session.begins();
                sessions.insert((user, id), Arc::downgrade(&session));
                session
            }
        };
        drop(sessions);
        let seat = Seat(session);
        (seat.0.lines.fetch_add(1, Ordering::Relaxed) < LINES_MAX).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.lines.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Session {
    pub(super) fn id(&self) -> TunnelId {
        self.id
    }

    pub(super) fn who(&self) -> &str {
        &self.who
    }

    fn begins(&self) {
        let Self { id, connection, agent, who, .. } = self;
        tracing::info!(event = event::REQUEST_TUNNEL, tunnel = %id, connection, %agent, who, "a tunnel begins");
        self.note(format!("{who} opened tunnel {id} to connection `{connection}`"));
    }

    /// Adds a line to the agent's log on the server.
    fn note(&self, text: String) {
        let (gateway, agent) = (self.gateway.clone(), self.agent);
        self.gateway.parts().tasks.spawn(async move { gateway.note(agent, LogLevel::Info, text).await });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let seconds = self.gateway.parts().clock.now().since(self.began).as_secs();
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (streams, refused) = (value(&self.streams), value(&self.refused));
        let (sent, received) = (value(&self.sent), value(&self.received));
        let reason =
            if self.gateway.parts().stop.is_cancelled() { "the server stops" } else { "its person's side closed it" };
        let Self { id, connection, agent, who, .. } = &*self;
        tracing::info!(
            tunnel = %id, connection, %agent, who, streams, refused, sent, received, seconds, reason, "a tunnel ended"
        );
        self.note(format!(
            "tunnel {id} of {who} to connection `{connection}` ended after {seconds} s: {reason}; {streams} streams, \
             {refused} of them refused, {sent} bytes to the target, {received} bytes back"
        ));
        if let Some(link) = self.gateway.link_of(*agent) {
            link.send(ServerToAgent::TunnelEnded { tunnel: *id, reason: reason.to_owned() });
        }
    }
}
