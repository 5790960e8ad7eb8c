//! What tasks of an environment can name, for the rules of `sallyport_domain`.

use sallyport_domain::connection::{Standing, serving};
use sallyport_domain::plan::{AgentFacts, ConnectionFacts, World};
use sallyport_protocol::{AgentId, Descriptor, EnvironmentId};
use sallyport_store::{Agent, Connection, Error, Store};
use serde_json::Value;

/// What an environment has, as it is now.
pub(crate) struct Surroundings {
    /// All agents.
    pub(crate) agents: Vec<Agent>,
    /// All connections.
    pub(crate) connections: Vec<Connection>,
    /// What rules see of it.
    pub(crate) world: World,
}

/// As it is now.
pub(crate) async fn world(store: &Store, catalog: &[Descriptor], environment: EnvironmentId) -> Result<World, Error> {
    Ok(surroundings(store, catalog, environment).await?.world)
}

/// As it is now.
pub(crate) async fn surroundings(
    store: &Store,
    catalog: &[Descriptor],
    environment: EnvironmentId,
) -> Result<Surroundings, Error> {
    let agents = store.environment_agents(environment).await?;
    let connections = store.all_connections(environment).await?;
    let variables = store.all_variables(environment).await?.into_iter();
    let agent = |a: &Agent| AgentFacts { id: a.id, name: a.name.clone(), kind: a.kind, active: a.active };
    let stands = |id: &AgentId| match agents.iter().find(|agent| agent.id == *id) {
        Some(agent) if !agent.active => Standing::Deactivated,
        Some(agent) if agent.connected_since.is_some() => Standing::Online,
        _ => Standing::Offline,
    };
    let connection = |c: &Connection| {
        let of_it: Vec<AgentId> = c.agents().collect();
        let agent = serving(of_it.iter().copied(), stands).unwrap_or(c.agent);
        ConnectionFacts { id: c.id, name: c.name.clone(), kind: c.kind.clone(), agent, agents: of_it }
    };
    let world = World {
        catalog: catalog.to_vec(),
        agents: agents.iter().map(agent).collect(),
        connections: connections.iter().map(connection).collect(),
        variables: variables.map(|v| (v.name, Value::String(v.value))).collect(),
    };
    Ok(Surroundings { agents, connections, world })
}
