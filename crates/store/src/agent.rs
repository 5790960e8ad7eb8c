//! Agents as the platform knows them.

use rusqlite::{Connection as Sqlite, OptionalExtension, Row, params};
use sallyport_domain::agent::Kind;
use sallyport_protocol::{
    AgentExit, AgentId, CompanyId, EnvironmentId, Levels, LogLevel, Presence, Timestamp, UpdateReport,
};

use crate::company::company_of;
use crate::connection::{Connection, connections_of};
use crate::error::taken;
use crate::page::{Filter, Listing, fetch};
use crate::row::{Json, Micros, Rank, Text};
use crate::task::{TaskVersion, current_versions};
use crate::{Error, ListRequest, Page, Store};

/// The platform's own agent or one that a site installed.
pub type AgentKind = Kind;

/// An agent with what is known of its last or present process.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Whose it is.
    pub company: CompanyId,
    /// Where it belongs.
    pub environment: EnvironmentId,
    /// Unique in the environment, case ignored.
    pub name: String,
    /// The platform's own or a site's.
    pub kind: AgentKind,
    /// Inactive agents cannot log in.
    pub active: bool,
    /// For file and console.
    pub levels: Levels,
    /// The platform its download is made for unless asked otherwise.
    pub platform: Option<String>,
    /// Grows with every edit.
    pub version: i64,
    /// What the agent process said last.
    pub presence: Option<Presence>,
    /// What the wrapper said last.
    pub wrapper_presence: Option<Presence>,
    /// Where the agent's connection came from last.
    pub address: Option<String>,
    /// Third-party connectors that the site registered.
    pub programs: Vec<String>,
    /// How its process ended last, as the wrapper said.
    pub last_exit: Option<AgentExit>,
    /// What its wrapper said last about updates.
    pub update: Option<UpdateReport>,
    /// What its wrapper said last about updates of itself.
    pub wrapper_update: Option<UpdateReport>,
    /// Online since; absent while offline.
    pub connected_since: Option<Timestamp>,
    /// The wrapper is online since.
    pub wrapper_since: Option<Timestamp>,
    /// The last sign of life.
    pub last_seen_at: Option<Timestamp>,
    /// When the agent program's version changed last.
    pub last_update_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was edited last.
    pub updated_at: Timestamp,
}

/// An agent to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAgent {
    /// Checked by the caller.
    pub name: String,
    /// For file and console.
    pub levels: Levels,
    /// The platform to make its download for.
    pub platform: Option<String>,
    /// Now.
    pub now: Timestamp,
}

/// What to change of an agent; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentEdit {
    /// Checked by the caller.
    pub name: Option<String>,
    /// For the file.
    pub file_level: Option<LogLevel>,
    /// For the console.
    pub console_level: Option<LogLevel>,
    /// Whether it may log in.
    pub active: Option<bool>,
    /// The platform to make its download for.
    pub platform: Option<String>,
}

/// Which agents to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentFilter {
    /// Active or inactive only.
    pub active: Option<bool>,
    /// Online or offline only.
    pub online: Option<bool>,
    /// Part of the name.
    pub search: Option<String>,
}

/// What a rule about an agent is decided by. Only what the rule asks for is read, in the transaction that writes.
pub struct AgentUse<'a> {
    /// The agent as it stands.
    pub agent: Agent,
    sql: &'a Sqlite,
}

impl AgentUse<'_> {
    /// The current versions of all tasks of the environment, inactive ones included.
    pub fn tasks(&self) -> Result<Vec<TaskVersion>, Error> {
        current_versions(self.sql, self.agent.environment)
    }

    /// All connections of the environment.
    pub fn connections(&self) -> Result<Vec<Connection>, Error> {
        connections_of(self.sql, self.agent.environment)
    }

    /// All agents of the environment.
    pub fn agents(&self) -> Result<Vec<Agent>, Error> {
        agents_of(self.sql, self.agent.environment)
    }
}

/// How many active agents are online and how many are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnlineCounts {
    /// With a session.
    pub online: u64,
    /// Without.
    pub offline: u64,
}

const FROM: &str = "agent a LEFT JOIN agent_session s ON s.agent = a.id LEFT JOIN wrapper_session w ON w.agent = a.id";

const AGENTS: Listing = Listing {
    columns: "a.*, s.since AS connected_since, w.since AS wrapper_since",
    from: FROM,
    id: "a.id",
    sorts: &[
        ("name", "a.name"),
        ("created_at", "a.created_at"),
        ("status", "(s.agent IS NULL)"),
        ("connected_since", "coalesce(s.since, 0)"),
        ("machine_name", "coalesce(json_extract(a.presence, '$.machine_name'), '')"),
        ("address", "coalesce(a.address, '')"),
        ("last_update", "coalesce(a.last_update_at, 0)"),
    ],
    default_sort: "name",
};

impl Store {
    /// Adds a remote agent.
    pub async fn create_agent(&self, environment: EnvironmentId, new: NewAgent) -> Result<Agent, Error> {
        self.write(move |sql| {
            let id = AgentId::new();
            taken(
                sql.execute(
                    "INSERT INTO agent(id, company, environment, name, kind, file_level, console_level, \
                     created_at, updated_at, platform) VALUES (?1, ?2, ?3, ?4, 'remote', ?5, ?6, ?7, ?7, ?8)",
                    params![
                        Text(id),
                        Text(company_of(sql, environment)?),
                        Text(environment),
                        new.name,
                        Rank(new.levels.file),
                        Rank(new.levels.console),
                        Micros(new.now),
                        new.platform
                    ],
                ),
                "agent name",
            )?;
            find(sql, id)
        })
        .await
    }

    /// An agent of the environment, by id or name.
    pub async fn agent(&self, environment: EnvironmentId, id_or_name: &str) -> Result<Agent, Error> {
        let wanted = id_or_name.to_owned();
        self.read(move |sql| find_in(sql, environment, &wanted)).await
    }

    /// An agent by its id alone: for sessions, which know the environment only from the agent.
    pub async fn agent_anywhere(&self, id: AgentId) -> Result<Agent, Error> {
        self.read(move |sql| find(sql, id)).await
    }

    /// The agents of an environment.
    pub async fn agents(
        &self,
        environment: EnvironmentId,
        filter: AgentFilter,
        request: ListRequest,
    ) -> Result<Page<Agent>, Error> {
        let mut conditions = Filter::new("a.environment = ?", environment.to_string());
        conditions
            .always("a.deleted_at IS NULL")
            .and_if("a.active = ?", filter.active)
            .and_if("(s.agent IS NOT NULL) = ?", filter.online)
            .and_if("instr(lower(a.name), lower(?)) > 0", filter.search);
        self.list(move |sql| fetch(sql, &AGENTS, &conditions, &request, agent_row)).await
    }

    /// Every agent of one kind in the installation.
    pub async fn all_agents(&self, kind: AgentKind) -> Result<Vec<Agent>, Error> {
        self.read(move |sql| {
            let text = format!("SELECT {} FROM {FROM} WHERE a.kind = ? AND a.deleted_at IS NULL", AGENTS.columns);
            let mut statement = sql.prepare_cached(&text)?;
            let rows = statement.query_map([kind_word(kind)], agent_row)?.collect::<rusqlite::Result<_>>()?;
            Ok(rows)
        })
        .await
    }

    /// All agents of an environment.
    pub async fn environment_agents(&self, environment: EnvironmentId) -> Result<Vec<Agent>, Error> {
        self.read(move |sql| agents_of(sql, environment)).await
    }

    /// How many active agents of an environment are online.
    pub async fn online_counts(&self, environment: EnvironmentId) -> Result<OnlineCounts, Error> {
        self.read(move |sql| {
            let text = format!(
                "SELECT count(s.agent), count(*) - count(s.agent) FROM {FROM} \
                 WHERE a.environment = ? AND a.deleted_at IS NULL AND a.active"
            );
            let counts = sql.query_row(&text, params![Text(environment)], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })?;
            Ok(OnlineCounts {
                online: u64::try_from(counts.0).unwrap_or(0),
                offline: u64::try_from(counts.1).unwrap_or(0),
            })
        })
        .await
    }

    /// Changes an agent if it still has the version the caller saw (any, if `expected` is `None`) and the rule agrees.
    pub async fn edit_agent<E: From<Error> + Send + 'static>(
        &self,
        environment: EnvironmentId,
        id: AgentId,
        (expected, now): (Option<i64>, Timestamp),
        edit: AgentEdit,
        rule: impl FnOnce(&AgentUse<'_>) -> Result<(), E> + Send + 'static,
    ) -> Result<Agent, E> {
        self.write(move |sql| {
            let facts = agent_use(sql, environment, id)?;
            let agent = &facts.agent;
            if expected.is_some_and(|version| version != agent.version) {
                return Err(Error::Stale { current: agent.version }.into());
            }
            rule(&facts)?;
            let changed = sql.execute(
                "UPDATE agent SET name = ?, active = ?, file_level = ?, console_level = ?, platform = ?, \
                 version = version + 1, updated_at = ? WHERE id = ?",
                params![
                    edit.name.as_ref().unwrap_or(&agent.name),
                    edit.active.unwrap_or(agent.active),
                    Rank(edit.file_level.unwrap_or(agent.levels.file)),
                    Rank(edit.console_level.unwrap_or(agent.levels.console)),
                    edit.platform.as_ref().or(agent.platform.as_ref()),
                    Micros(now),
                    Text(id)
                ],
            );
            taken(changed, "agent name")?;
            Ok(find(sql, id)?)
        })
        .await
    }

    /// Asks something of an agent and of what may use it.
    pub async fn ask_agent<T: Send + 'static>(
        &self,
        environment: EnvironmentId,
        id: AgentId,
        question: impl FnOnce(&AgentUse<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.read(move |sql| question(&agent_use(sql, environment, id)?)).await
    }

    /// Keeps how an agent's process ended.
    pub async fn note_agent_exit(&self, id: AgentId, exit: AgentExit) -> Result<(), Error> {
        self.record(move |sql| {
            sql.execute("UPDATE agent SET last_exit = ? WHERE id = ?", params![Json(exit), Text(id)])?;
            Ok(())
        })
        .await
    }

    /// Keeps signs of life, many at once.
    pub async fn note_seen(&self, seen: Vec<(AgentId, Timestamp)>) -> Result<(), Error> {
        self.record(move |sql| {
            let mut statement = sql.prepare_cached("UPDATE agent SET last_seen_at = ? WHERE id = ?")?;
            for (id, at) in seen {
                statement.execute(params![Micros(at), Text(id)])?;
            }
            Ok(())
        })
        .await
    }
}

pub(crate) fn find(sql: &Sqlite, id: AgentId) -> Result<Agent, Error> {
    let text = format!("SELECT {} FROM {FROM} WHERE a.id = ? AND a.deleted_at IS NULL", AGENTS.columns);
    sql.prepare_cached(&text)?.query_row(params![Text(id)], agent_row).optional()?.ok_or(Error::NotFound)
}

fn find_in(sql: &Sqlite, environment: EnvironmentId, id_or_name: &str) -> Result<Agent, Error> {
    let text = format!(
        "SELECT {} FROM {FROM} WHERE a.environment = ?1 AND (a.id = ?2 OR a.name = ?2) AND a.deleted_at IS NULL \
         ORDER BY a.id = ?2 DESC LIMIT 1",
        AGENTS.columns
    );
    sql.prepare_cached(&text)?
        .query_row(params![Text(environment), id_or_name], agent_row)
        .optional()?
        .ok_or(Error::NotFound)
}

fn agent_use(sql: &Sqlite, environment: EnvironmentId, id: AgentId) -> Result<AgentUse<'_>, Error> {
    let agent = find(sql, id)?;
    if agent.environment == environment { Ok(AgentUse { agent, sql }) } else { Err(Error::NotFound) }
}

fn agents_of(sql: &Sqlite, environment: EnvironmentId) -> Result<Vec<Agent>, Error> {
    let text = format!(
        "SELECT {} FROM {FROM} WHERE a.environment = ? AND a.deleted_at IS NULL ORDER BY a.name",
        AGENTS.columns
    );
    let mut statement = sql.prepare_cached(&text)?;
    let rows = statement.query_map(params![Text(environment)], agent_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Background => "background",
        Kind::Remote => "remote",
    }
}

fn agent_row(row: &Row<'_>) -> rusqlite::Result<Agent> {
    let time = |column| row.get::<_, Option<Micros>>(column).map(|at| at.map(|at| at.0));
    let kind: String = row.get("kind")?;
    Ok(Agent {
        id: row.get::<_, Text<_>>("id")?.0,
        company: row.get::<_, Text<_>>("company")?.0,
        environment: row.get::<_, Text<_>>("environment")?.0,
        name: row.get("name")?,
        kind: if kind == "background" { Kind::Background } else { Kind::Remote },
        active: row.get("active")?,
        levels: Levels { file: row.get::<_, Rank>("file_level")?.0, console: row.get::<_, Rank>("console_level")?.0 },
        platform: row.get("platform")?,
        version: row.get("version")?,
        presence: row.get::<_, Option<Json<_>>>("presence")?.map(|json| json.0),
        wrapper_presence: row.get::<_, Option<Json<_>>>("wrapper_presence")?.map(|json| json.0),
        address: row.get("address")?,
        programs: row.get::<_, Json<_>>("programs")?.0,
        last_exit: row.get::<_, Option<Json<_>>>("last_exit")?.map(|json| json.0),
        update: row.get::<_, Option<Json<_>>>("update_report")?.map(|json| json.0),
        wrapper_update: row.get::<_, Option<Json<_>>>("wrapper_update_report")?.map(|json| json.0),
        connected_since: time("connected_since")?,
        wrapper_since: time("wrapper_since")?,
        last_seen_at: time("last_seen_at")?,
        last_update_at: time("last_update_at")?,
        created_at: row.get::<_, Micros>("created_at")?.0,
        updated_at: row.get::<_, Micros>("updated_at")?.0,
    })
}
