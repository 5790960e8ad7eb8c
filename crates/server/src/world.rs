//! What tasks of an environment can name, for the rules of `sallyport_domain`.

use sallyport_domain::plan::{AgentFacts, ConnectionFacts, World};
use sallyport_protocol::{Descriptor, EnvironmentId};
use sallyport_store::{Error, Store};
use serde_json::Value;

/// As it is now.
pub(crate) async fn world(store: &Store, catalog: &[Descriptor], environment: EnvironmentId) -> Result<World, Error> {
    let agents = store.environment_agents(environment).await?.into_iter();
    let connections = store.all_connections(environment).await?.into_iter();
    let variables = store.all_variables(environment).await?.into_iter();
    Ok(World {
        catalog: catalog.to_vec(),
        agents: agents.map(|a| AgentFacts { id: a.id, name: a.name, kind: a.kind, active: a.active }).collect(),
        connections: connections
            .map(|c| ConnectionFacts { id: c.id, name: c.name, kind: c.kind, agent: c.agent })
            .collect(),
        variables: variables.map(|v| (v.name, Value::String(v.value))).collect(),
    })
}
