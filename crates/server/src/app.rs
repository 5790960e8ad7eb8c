//! What every part of the server reaches.

use std::sync::Arc;

use sallyport_domain::plan::{AgentFacts, ConnectionFacts, World};
use sallyport_protocol::{Clock, Descriptor, EnvironmentId};
use sallyport_store::{Connection, Error, Store};
use tokio_util::sync::CancellationToken;

use crate::auth::pace::Pace;
use crate::auth::throttle::Throttle;
use crate::config::Config;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::secrets::Secrets;

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
    /// Figures for `/metrics`.
    pub(crate) metrics: Arc<Metrics>,
    /// Slows down whoever guesses passwords.
    pub(crate) throttle: Throttle,
    /// Slows down who calls a webhook too often.
    pub(crate) pace: Pace,
    /// Fires when the server stops.
    pub(crate) stop: CancellationToken,
}

impl App {
    /// What tasks of an environment can name.
    pub(crate) async fn world(&self, environment: EnvironmentId) -> Result<World, Error> {
        let agents = self.store.environment_agents(environment).await?;
        let connections = self.store.all_connections(environment).await?;
        Ok(World {
            catalog: self.catalog.as_ref().clone(),
            agents: agents
                .into_iter()
                .map(|agent| AgentFacts { id: agent.id, name: agent.name, kind: agent.kind, active: agent.active })
                .collect(),
            connections: connections.iter().map(facts).collect(),
        })
    }
}

/// A connection as far as tasks can see it.
pub(crate) fn facts(connection: &Connection) -> ConnectionFacts {
    ConnectionFacts {
        id: connection.id,
        name: connection.name.clone(),
        kind: connection.kind.clone(),
        agent: connection.agent,
    }
}
