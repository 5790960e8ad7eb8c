//! What lives beside requests: the engine, the sessions, the relay, the background agents. Started and stopped as one.

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sallyport_protocol::{Clock, Descriptor};
use sallyport_store::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use crate::engine::OpenSecrets;
use crate::gateway::HashCredential;
use crate::relay::Relay;
use crate::secrets::Secrets;
use crate::tunnel::Tunnels;
use crate::{background, engine, gateway, outbox, schedule};

/// The name under which this process holds sessions; with more processes each will have its own.
const REPLICA: &str = "embedded";

/// Over how long agents spread their return.
const STOP_SPREAD: Duration = Duration::from_secs(5);

/// How long everything may take to end: a step of the background agent may need six seconds.
const STOP_WITHIN: Duration = Duration::from_secs(7);

/// What the rest of the server gives.
pub(crate) struct Parts {
    /// The truth.
    pub(crate) store: Store,
    /// The time.
    pub(crate) clock: Clock,
    /// The connectors.
    pub(crate) catalog: Arc<Vec<Descriptor>>,
    /// The server's secret key.
    pub(crate) secrets: Arc<Secrets>,
    /// The keyed hash of an agent's password.
    pub(crate) hash_credential: HashCredential,
    /// Opens a connection's sealed secrets.
    pub(crate) open_secrets: OpenSecrets,
    /// What the background agent reads and writes.
    pub(crate) files_root: PathBuf,
    /// Where its steps keep what they cannot hold in memory.
    pub(crate) scratch_root: PathBuf,
    /// How long an agent may be away before what it works on is given up.
    pub(crate) reconnect_grace: Duration,
    /// How often agents say that they live.
    pub(crate) heartbeat_seconds: u32,
}

/// The handles. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) engine: engine::Handle,
    pub(crate) schedule: schedule::Handle,
    pub(crate) gateway: gateway::Handle,
    pub(crate) relay: Relay,
    pub(crate) tunnels: Tunnels,
    news: watch::Sender<()>,
    tasks: TaskTracker,
    stop: CancellationToken,
    broken: CancellationToken,
}

impl Live {
    /// Forgets the sessions and scratch folders of an earlier process, takes up its runs, starts the background agents.
    pub(crate) async fn start(parts: Parts) -> anyhow::Result<Self> {
        let Parts { store, clock, catalog, hash_credential, open_secrets, files_root, scratch_root, .. } = parts;
        let (tasks, stop, broken) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        store.clear_sessions(REPLICA).await.context("forgetting old sessions")?;
        outbox::register(&store).await.context("preparing for the ends of runs")?;
        let (news, _) = watch::channel(());
        let relay = Relay::new(parts.secrets);
        let engine_parts = engine::Parts {
            store: store.clone(),
            clock: clock.clone(),
            knowledge: Arc::new(engine::Knowledge::new(store.clone(), Arc::clone(&catalog))),
            catalog,
            relay: relay.clone(),
            open_secrets,
            reconnect_grace: parts.reconnect_grace,
            news: news.clone(),
        };
        let engine = engine::Handle::start(engine_parts, &tasks, stop.clone(), broken.clone());
        let engine = engine.await.context("loading open runs")?;
        let scheduled =
            schedule::Parts { store: store.clone(), clock: clock.clone(), engine: engine.clone(), news: news.clone() };
        let schedule = schedule::Handle::start(scheduled, &tasks, &stop);
        let tunnels = Tunnels::new(tasks.clone(), stop.clone());
        let gateway = gateway::Handle::new(gateway::Parts {
            store,
            clock,
            engine: engine.clone(),
            relay: relay.clone(),
            tunnels: tunnels.clone(),
            hash_credential,
            heartbeat_seconds: parts.heartbeat_seconds,
            replica: REPLICA.to_owned(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        });
        tasks.spawn(gateway::keep_sessions(gateway.clone()));
        sallyport_agent::clear_scratch(&scratch_root);
        let folders = background::Folders { files: files_root, scratch: scratch_root };
        background::start(&gateway, folders).await.context("starting the background agents")?;
        Ok(Self { engine, schedule, gateway, relay, tunnels, news, tasks, stop, broken })
    }

    /// Changes when something has happened to a run.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Returns when a part has ended that nothing goes on without.
    pub(crate) async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Sends agents away, then ends everything; takes at most seven seconds.
    pub(crate) async fn stop(&self) {
        self.gateway.go_away(STOP_SPREAD);
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOP_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "some sessions did not end in time");
        }
    }
}
