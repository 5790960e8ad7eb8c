//! What the tasks of an environment can name, read in one snapshot.

use rusqlite::params;
use sallyport_protocol::{AgentId, EnvironmentId};

use crate::agent::{Agent, find};
use crate::connection::{Connection, connections_of};
use crate::row::Text;
use crate::{Error, Store};

/// The agents and connections of an environment.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// All agents, inactive ones included.
    pub agents: Vec<Agent>,
    /// All connections.
    pub connections: Vec<Connection>,
}

impl Store {
    /// What the tasks of an environment can name.
    pub async fn world(&self, environment: EnvironmentId) -> Result<World, Error> {
        self.read(move |sql| {
            let mut statement =
                sql.prepare_cached("SELECT id FROM agent WHERE environment = ? AND deleted_at IS NULL ORDER BY name")?;
            let ids = statement
                .query_map(params![Text(environment)], |row| Ok(row.get::<_, Text<AgentId>>(0)?.0))?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let agents = ids.into_iter().map(|id| find(sql, id)).collect::<Result<_, _>>()?;
            Ok(World { agents, connections: connections_of(sql, environment)? })
        })
        .await
    }
}
