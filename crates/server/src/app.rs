//! What every part of the server reaches.

use std::sync::Arc;

use sallyport_domain::plan::World;
use sallyport_protocol::{Clock, Descriptor, EnvironmentId};
use sallyport_store::{Error, Store};
use tokio_util::sync::CancellationToken;

use crate::auth::pace::Pace;
use crate::auth::throttle::Throttle;
use crate::config::Config;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::secrets::Secrets;
use crate::tunnel::Entries;
use crate::via::Tickets;
use crate::world::world;

/// The server's parts.
pub(crate) struct App {
    /// What is kept.
    pub(crate) store: Store,
    /// The time.
    pub(crate) clock: Clock,
    /// Hashes, seals, tokens.
    pub(crate) secrets: Arc<Secrets>,
    /// What the server was told.
    pub(crate) config: Config,
    /// The certificate that agents trust besides public ones; absent where a public CA or a proxy does TLS.
    pub(crate) ca_pem: Option<String>,
    /// The connectors.
    pub(crate) catalog: Arc<Vec<Descriptor>>,
    /// Runs, and agents and wrappers that are online.
    pub(crate) live: Live,
    /// Wakes whoever sends notices.
    pub(crate) notifier: Notifier,
    /// Figures for `/metrics`.
    pub(crate) metrics: Arc<Metrics>,
    /// Slows down whoever guesses passwords.
    pub(crate) throttle: Throttle,
    /// Slows down who calls a webhook too often.
    pub(crate) pace: Pace,
    /// Addresses by which browsers see services.
    pub(crate) tickets: Tickets,
    /// Addresses on this machine that lead to connections.
    pub(crate) entries: Entries,
    /// Fires when the server stops.
    pub(crate) stop: CancellationToken,
}

impl App {
    /// What tasks of an environment can name.
    pub(crate) async fn world(&self, environment: EnvironmentId) -> Result<World, Error> {
        world(&self.store, &self.catalog, environment).await
    }
}
