//! What every part of the server reaches.

use std::sync::Arc;

use sallyport_domain::plan::{AgentFacts, ConnectionFacts, World};
use sallyport_protocol::{Clock, Descriptor, EnvironmentId};
use sallyport_store::{Connection, Error, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::throttle::Throttle;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::secrets::Secrets;
use crate::{engine, gateway};

/// The name under which this process holds sessions; with more processes each will have its own.
pub(crate) const REPLICA: &str = "embedded";

/// The server's parts.
pub(crate) struct App {
    /// What is kept.
    pub(crate) store: Store,
    /// The time.
    pub(crate) clock: Clock,
    /// Hashes, seals, tokens.
    pub(crate) secrets: Secrets,
    /// What the server was told.
    pub(crate) config: Config,
    /// The certificate that agents trust besides public ones; absent where a public CA or a proxy does TLS.
    pub(crate) ca_pem: Option<String>,
    /// The connectors.
    pub(crate) catalog: Vec<Descriptor>,
    /// Agents and wrappers that are online.
    pub(crate) gateway: gateway::Handle,
    /// Runs.
    pub(crate) engine: engine::Handle,
    /// Figures for `/metrics`.
    pub(crate) metrics: Arc<Metrics>,
    /// Slows down whoever guesses passwords.
    pub(crate) throttle: Throttle,
    /// Owns what goes on beside requests.
    pub(crate) tasks: TaskTracker,
    /// Fires when the server stops.
    pub(crate) stop: CancellationToken,
    changes: watch::Sender<()>,
}

/// The parts that [`App::new`] cannot make by itself.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) secrets: Secrets,
    pub(crate) config: Config,
    pub(crate) ca_pem: Option<String>,
    pub(crate) stop: CancellationToken,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts { store, clock, secrets, config, ca_pem, stop } = parts;
        Arc::new(Self {
            gateway: gateway::Handle::new(store.clone(), clock.clone()),
            engine: engine::Handle::new(store.clone(), clock.clone()),
            throttle: Throttle::new(clock.clone()),
            store,
            clock,
            secrets,
            config,
            ca_pem,
            catalog: sallyport_connectors::catalog(),
            metrics: Arc::new(Metrics::new()),
            tasks: TaskTracker::new(),
            stop,
            changes: watch::Sender::new(()),
        })
    }

    /// What tasks of an environment can name.
    pub(crate) async fn world(&self, environment: EnvironmentId) -> Result<World, Error> {
        let agents = self.store.environment_agents(environment).await?;
        let connections = self.store.all_connections(environment).await?;
        Ok(World {
            catalog: self.catalog.clone(),
            agents: agents
                .into_iter()
                .map(|agent| AgentFacts { id: agent.id, name: agent.name, kind: agent.kind, active: agent.active })
                .collect(),
            connections: connections.iter().map(connection_facts).collect(),
        })
    }

    /// Says that a log or a run has changed: wakes who follows one. A hint; losing it only delays.
    pub(crate) fn changed(&self) {
        self.changes.send_replace(());
    }

    /// Gives the hints of [`App::changed`].
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

/// A connection as far as tasks can see it.
pub(crate) fn connection_facts(connection: &Connection) -> ConnectionFacts {
    ConnectionFacts {
        id: connection.id,
        name: connection.name.clone(),
        kind: connection.kind.clone(),
        agent: connection.agent,
    }
}
