//! Agents' and wrappers' sessions.
//!
//! Invariant: a session is online when the store has admitted it and not a moment longer than its connection; what an
//! agent reports is acknowledged after it is stored, never before.

mod admission;
mod agent;
mod data;
mod handle;
mod login;
mod registry;
mod routes;
mod session;
mod socket;
#[cfg(test)]
mod tests;
mod wrapper;

use std::sync::Arc;
use std::time::Duration;

use sallyport_protocol::Clock;
use sallyport_store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine;
use crate::relay::Relay;

pub(crate) use handle::Handle;
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

/// Writes signs of life down until the server stops.
pub(crate) async fn note_seen(gateway: Handle) {
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
    }
}
