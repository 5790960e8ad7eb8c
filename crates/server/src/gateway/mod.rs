//! Agents' and wrappers' sessions.
//!
//! Invariant: a session is online when the store has admitted it and not a moment longer than its connection; what an
//! agent reports is acknowledged after it is stored, never before.

mod admission;
mod agent;
mod data;
mod errands;
mod handle;
mod hurry;
mod login;
mod offer;
mod registry;
mod rehearsal;
mod routes;
mod seat;
mod session;
mod socket;
#[cfg(test)]
mod tests;
mod wrapper;

use std::sync::Arc;
use std::time::Duration;

use sallyport_protocol::Clock;
use sallyport_store::{SessionKind, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine;
use crate::relay::Relay;
use crate::tunnel::Tunnels;

pub(crate) use handle::{AskError, Handle};
pub(crate) use hurry::NotUpdated;
pub(crate) use routes::routes;
pub(crate) use session::open;
pub(crate) use wrapper::exit_text;

/// How often the last signs of life are written down; heartbeats themselves write nothing.
const SEEN_EVERY: Duration = Duration::from_secs(30);

/// The keyed hash of an agent's password.
pub(crate) type HashCredential = Arc<dyn Fn(&str) -> Vec<u8> + Send + Sync>;

/// What the sessions work with.
pub(crate) struct Parts {
    /// The truth.
    pub(crate) store: Store,
    /// The time.
    pub(crate) clock: Clock,
    /// Takes what agents report.
    pub(crate) engine: engine::Handle,
    /// Joins data connections.
    pub(crate) relay: Relay,
    /// Joins tunnel lines.
    pub(crate) tunnels: Tunnels,
    /// The keyed hash of an agent's password.
    pub(crate) hash_credential: HashCredential,
    /// How often agents say that they live.
    pub(crate) heartbeat_seconds: u32,
    /// The name under which this process holds sessions.
    pub(crate) replica: String,
    /// Owns the sessions.
    pub(crate) tasks: TaskTracker,
    /// Fires when the server stops.
    pub(crate) stop: CancellationToken,
}

/// A session that is not in the registry by then is no newcomer but a leftover.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// Writes signs of life down, and takes off sessions that could not be when they ended, until the server stops.
pub(crate) async fn keep_sessions(gateway: Handle) {
    let mut tick = tokio::time::interval(SEEN_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = gateway.parts().stop.cancelled() => return,
        }
        let seen = gateway.seen();
        if !seen.is_empty()
            && let Err(error) = gateway.parts().store.note_seen(seen).await
        {
            tracing::warn!(%error, "signs of life were not written");
        }
        if let Err(error) = release_leftovers(&gateway).await {
            tracing::warn!(%error, "leftover sessions were not taken off");
        }
    }
}

/// An agent whose end was not stored would be online, and keep a place of the licence, until the next start.
async fn release_leftovers(gateway: &Handle) -> Result<(), sallyport_store::Error> {
    let Parts { store, clock, replica, .. } = gateway.parts();
    let now = clock.now();
    let settled = now.minus(SETTLED_AFTER);
    for kind in [SessionKind::Agent, SessionKind::Wrapper] {
        for (agent, epoch) in store.sessions_before(kind, replica, settled).await? {
            if !gateway.holds(kind, agent, epoch) && store.release(kind, agent, epoch, now).await? {
                tracing::warn!(%agent, epoch, "a session that had ended was taken off late");
            }
        }
    }
    Ok(())
}
