//! Connections: named targets and the agents that reach them. Secrets come and go sealed.

use rusqlite::{Connection as Sqlite, OptionalExtension, Row, params};
use sallyport_protocol::{AgentId, CompanyId, ConnectionId, EnvironmentId, Timestamp};
use serde_json::Value;

use crate::company::company_of;
use crate::error::taken;
use crate::page::{Filter, Listing, fetch};
use crate::row::{Json, Micros, Text};
use crate::task::{TaskVersion, current_versions};
use crate::{Error, ListRequest, Page, Store};

/// A named target.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Whose it is.
    pub company: CompanyId,
    /// Where it belongs.
    pub environment: EnvironmentId,
    /// The agent that reaches it; the first, where several do.
    pub agent: AgentId,
    /// That agent's name.
    pub agent_name: String,
    /// More agents that reach it, each with its name, in order.
    pub others: Vec<(AgentId, String)>,
    /// Unique in the environment, case ignored.
    pub name: String,
    /// The connector's kind.
    pub kind: String,
    /// As the connector's schema says.
    pub settings: Value,
    /// Names of the secrets that are set.
    pub secret_names: Vec<String>,
    /// The secrets, encrypted by the caller.
    pub sealed_secrets: Option<Vec<u8>>,
    /// Grows with every edit.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was edited last.
    pub updated_at: Timestamp,
}

impl Connection {
    /// Every agent that reaches it, in order.
    pub fn agents(&self) -> impl Iterator<Item = AgentId> + '_ {
        std::iter::once(self.agent).chain(self.others.iter().map(|(agent, _)| *agent))
    }

    /// Their names, in the same order.
    pub fn agent_names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.agent_name.as_str()).chain(self.others.iter().map(|(_, name)| name.as_str()))
    }
}

/// A connection to add. The caller makes the id, because the secrets are sealed for it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewConnection {
    /// Made by the caller.
    pub id: ConnectionId,
    /// What it says.
    pub edit: ConnectionEdit,
}

/// Everything of a connection that people write.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionEdit {
    /// The agent that reaches it, or the first of them.
    pub agent: AgentId,
    /// More of them, in order.
    pub others: Vec<AgentId>,
    /// Its name.
    pub name: String,
    /// The connector's kind.
    pub kind: String,
    /// Its settings.
    pub settings: Value,
    /// Names of the secrets.
    pub secret_names: Vec<String>,
    /// The secrets, encrypted.
    pub sealed_secrets: Option<Vec<u8>>,
    /// Now.
    pub now: Timestamp,
}

/// Which connections to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFilter {
    /// Of this kind.
    pub kind: Option<String>,
    /// Reached by this agent.
    pub agent: Option<AgentId>,
    /// Part of the name.
    pub search: Option<String>,
}

const FROM: &str = "connection c JOIN agent a ON a.id = c.agent";

const COLUMNS: &str = "c.*, a.name AS agent_name, \
     (SELECT json_group_array(json_array(g.agent, b.name) ORDER BY g.place) FROM connection_agent g \
      JOIN agent b ON b.id = g.agent WHERE g.connection = c.id) AS others";

const CONNECTIONS: Listing = Listing {
    columns: COLUMNS,
    from: FROM,
    id: "c.id",
    sorts: &[("name", "c.name"), ("kind", "c.kind"), ("agent", "a.name"), ("updated_at", "c.updated_at")],
    default_sort: "name",
};

impl Store {
    /// Adds a connection.
    pub async fn create_connection(&self, environment: EnvironmentId, new: NewConnection) -> Result<Connection, Error> {
        self.write(move |sql| {
            let edit = new.edit;
            belongs(sql, environment, edit.agent)?;
            taken(
                sql.execute(
                    "INSERT INTO connection(id, company, environment, agent, name, kind, settings, secret_names, \
                     sealed_secrets, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)",
                    params![
                        Text(new.id),
                        Text(company_of(sql, environment)?),
                        Text(environment),
                        Text(edit.agent),
                        edit.name,
                        edit.kind,
                        Json(edit.settings),
                        Json(edit.secret_names),
                        edit.sealed_secrets,
                        Micros(edit.now)
                    ],
                ),
                "connection name",
            )?;
            group(sql, environment, new.id, &edit.others)?;
            find(sql, environment, &new.id.to_string())
        })
        .await
    }

    /// A connection of the environment, by id or name.
    pub async fn connection(&self, environment: EnvironmentId, id_or_name: &str) -> Result<Connection, Error> {
        let wanted = id_or_name.to_owned();
        self.read(move |sql| find(sql, environment, &wanted)).await
    }

    /// The connections of an environment.
    pub async fn connections(
        &self,
        environment: EnvironmentId,
        filter: ConnectionFilter,
        request: ListRequest,
    ) -> Result<Page<Connection>, Error> {
        let mut conditions = Filter::new("c.environment = ?", environment.to_string());
        conditions
            .and_if("c.kind = ?", filter.kind)
            .and_if(
                "? IN (SELECT c.agent UNION ALL SELECT g.agent FROM connection_agent g WHERE g.connection = c.id)",
                filter.agent.map(|agent| agent.to_string()),
            )
            .and_if("instr(lower(c.name), lower(?)) > 0", filter.search);
        self.list(move |sql| fetch(sql, &CONNECTIONS, &conditions, &request, connection_row)).await
    }

    /// All connections of an environment.
    pub async fn all_connections(&self, environment: EnvironmentId) -> Result<Vec<Connection>, Error> {
        self.read(move |sql| connections_of(sql, environment)).await
    }

    /// Replaces a connection if it still has the version the caller saw (any, if `None`) and the rule agrees; the rule
    /// sees the current versions of all tasks of the environment.
    pub async fn edit_connection<E: From<Error> + Send + 'static>(
        &self,
        environment: EnvironmentId,
        id: ConnectionId,
        expected: Option<i64>,
        edit: ConnectionEdit,
        rule: impl FnOnce(&Connection, &[TaskVersion]) -> Result<(), E> + Send + 'static,
    ) -> Result<Connection, E> {
        self.write(move |sql| {
            check(sql, environment, id, expected, rule)?;
            belongs(sql, environment, edit.agent)?;
            let changed = sql.execute(
                "UPDATE connection SET agent = ?, name = ?, kind = ?, settings = ?, secret_names = ?, \
                 sealed_secrets = ?, version = version + 1, updated_at = ? WHERE id = ?",
                params![
                    Text(edit.agent),
                    edit.name,
                    edit.kind,
                    Json(edit.settings),
                    Json(edit.secret_names),
                    edit.sealed_secrets,
                    Micros(edit.now),
                    Text(id)
                ],
            );
            taken(changed, "connection name")?;
            group(sql, environment, id, &edit.others)?;
            Ok(find(sql, environment, &id.to_string())?)
        })
        .await
    }

    /// Removes a connection under the same conditions as an edit.
    pub async fn delete_connection<E: From<Error> + Send + 'static>(
        &self,
        environment: EnvironmentId,
        id: ConnectionId,
        expected: Option<i64>,
        rule: impl FnOnce(&Connection, &[TaskVersion]) -> Result<(), E> + Send + 'static,
    ) -> Result<(), E> {
        self.write(move |sql| {
            check(sql, environment, id, expected, rule)?;
            sql.execute("DELETE FROM connection WHERE id = ?", params![Text(id)]).map_err(Error::from)?;
            Ok(())
        })
        .await
    }
}

fn check<E: From<Error>>(
    sql: &Sqlite,
    environment: EnvironmentId,
    id: ConnectionId,
    expected: Option<i64>,
    rule: impl FnOnce(&Connection, &[TaskVersion]) -> Result<(), E>,
) -> Result<(), E> {
    let connection = find(sql, environment, &id.to_string())?;
    if expected.is_some_and(|version| version != connection.version) {
        return Err(Error::Stale { current: connection.version }.into());
    }
    rule(&connection, &current_versions(sql, environment)?)
}

/// Keeps which agents serve a connection beside its first.
fn group(sql: &Sqlite, environment: EnvironmentId, id: ConnectionId, others: &[AgentId]) -> Result<(), Error> {
    sql.prepare_cached("DELETE FROM connection_agent WHERE connection = ?")?.execute([Text(id)])?;
    for (place, agent) in (1_i64..).zip(others) {
        belongs(sql, environment, *agent)?;
        sql.prepare_cached("INSERT INTO connection_agent(connection, place, agent) VALUES (?, ?, ?)")?
            .execute(params![Text(id), place, Text(*agent)])?;
    }
    Ok(())
}

fn belongs(sql: &Sqlite, environment: EnvironmentId, agent: AgentId) -> Result<(), Error> {
    if crate::agent::find(sql, agent)?.environment == environment { Ok(()) } else { Err(Error::NotFound) }
}

pub(crate) fn connections_of(sql: &Sqlite, environment: EnvironmentId) -> Result<Vec<Connection>, Error> {
    let text = format!("SELECT {} FROM {FROM} WHERE c.environment = ? ORDER BY c.name", CONNECTIONS.columns);
    let mut statement = sql.prepare_cached(&text)?;
    let rows = statement.query_map(params![Text(environment)], connection_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn find(sql: &Sqlite, environment: EnvironmentId, id_or_name: &str) -> Result<Connection, Error> {
    let text = format!(
        "SELECT {} FROM {FROM} WHERE c.environment = ?1 AND (c.id = ?2 OR c.name = ?2) ORDER BY c.id = ?2 DESC LIMIT 1",
        CONNECTIONS.columns
    );
    sql.prepare_cached(&text)?
        .query_row(params![Text(environment), id_or_name], connection_row)
        .optional()?
        .ok_or(Error::NotFound)
}

fn connection_row(row: &Row<'_>) -> rusqlite::Result<Connection> {
    Ok(Connection {
        id: row.get::<_, Text<_>>("id")?.0,
        company: row.get::<_, Text<_>>("company")?.0,
        environment: row.get::<_, Text<_>>("environment")?.0,
        agent: row.get::<_, Text<_>>("agent")?.0,
        agent_name: row.get("agent_name")?,
        others: row.get::<_, Json<_>>("others")?.0,
        name: row.get("name")?,
        kind: row.get("kind")?,
        settings: row.get::<_, Json<_>>("settings")?.0,
        secret_names: row.get::<_, Json<_>>("secret_names")?.0,
        sealed_secrets: row.get("sealed_secrets")?,
        version: row.get("version")?,
        created_at: row.get::<_, Micros>("created_at")?.0,
        updated_at: row.get::<_, Micros>("updated_at")?.0,
    })
}
