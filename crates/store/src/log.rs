//! Log lines of runs, agents and wrappers.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection as Sqlite, OptionalExtension, Row, params};
use sallyport_protocol::{AgentId, EnvironmentId, InstanceId, LogBatch, LogLevel, RunId, Timestamp};

use crate::agent::find as find_agent;
use crate::page::{Filter, Listing, fetch, rows};
use crate::row::{Micros, Rank, Text};
use crate::{Error, ListRequest, Page, Store};

/// The most lines given at once to a reader that follows a log; no more than a page has.
const FOLLOW_MAX: u32 = 500;

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSource {
    /// The agent.
    Agent,
    /// Its wrapper.
    Wrapper,
    /// The server, about the agent.
    Server,
}

/// The text names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of agent, wrapper, server")]
pub struct ParseSourceError;

impl fmt::Display for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agent => "agent",
            Self::Wrapper => "wrapper",
            Self::Server => "server",
        })
    }
}

impl FromStr for LogSource {
    type Err = ParseSourceError;

    fn from_str(text: &str) -> Result<Self, ParseSourceError> {
        match text {
            "agent" => Ok(Self::Agent),
            "wrapper" => Ok(Self::Wrapper),
            "server" => Ok(Self::Server),
            _ => Err(ParseSourceError),
        }
    }
}

/// A line for a run's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLogLine {
    /// The step; absent for the run as a whole.
    pub step: Option<String>,
    /// The attempt.
    pub attempt: Option<u32>,
    /// When, by the writer's clock.
    pub at: Timestamp,
    /// How serious.
    pub level: LogLevel,
    /// In words.
    pub message: String,
}

/// A line of a run's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLogEntry {
    /// Grows with every line stored.
    pub seq: i64,
    /// The step; absent for the run as a whole.
    pub step: Option<String>,
    /// The attempt.
    pub attempt: Option<u32>,
    /// The agent that wrote it; absent for the server's own lines.
    pub agent: Option<AgentId>,
    /// When, by the writer's clock.
    pub at: Timestamp,
    /// How serious.
    pub level: LogLevel,
    /// The part of the program.
    pub target: String,
    /// A stable name, where it has one.
    pub event: Option<String>,
    /// In words.
    pub message: String,
}

/// A line of an agent's or wrapper's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentLogEntry {
    /// Grows with every line stored.
    pub seq: i64,
    /// Whose log.
    pub agent: AgentId,
    /// Its name.
    pub agent_name: String,
    /// Who wrote it.
    pub source: LogSource,
    /// When, by the writer's clock.
    pub at: Timestamp,
    /// When it was stored.
    pub received_at: Timestamp,
    /// How serious.
    pub level: LogLevel,
    /// The part of the program.
    pub target: String,
    /// A stable name, where it has one.
    pub event: Option<String>,
    /// In words.
    pub message: String,
    /// The run it is about.
    pub run: Option<RunId>,
}

/// Which lines to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Of this agent (agents' logs).
    pub agent: Option<AgentId>,
    /// By this source (agents' logs).
    pub source: Option<LogSource>,
    /// Of this step (runs' logs).
    pub step: Option<String>,
    /// Of this attempt (runs' logs).
    pub attempt: Option<u32>,
    /// At least this serious.
    pub level: Option<LogLevel>,
    /// With this event.
    pub event: Option<String>,
    /// Part of the message.
    pub search: Option<String>,
    /// Stored after this line.
    pub after: Option<i64>,
    /// Stored before this line.
    pub before: Option<i64>,
}

const RUN_LOG: Listing = Listing {
    columns: "l.*",
    from: "run_log l",
    id: "l.seq",
    sorts: &[("seq", "l.seq"), ("at", "l.at")],
    default_sort: "seq",
};

const AGENT_LOG: Listing = Listing {
    columns: "l.*, a.name AS agent_name",
    from: "agent_log l JOIN agent a ON a.id = l.agent",
    id: "l.seq",
    sorts: &[("seq", "l.seq"), ("at", "l.at")],
    default_sort: "-seq",
};

impl Store {
    /// Stores a batch of an agent or wrapper once, however often it is sent; lines about runs of the agent's
    /// environment go to those runs' logs too. Answers whether it was new.
    pub async fn store_log_batch(
        &self,
        agent: AgentId,
        source: LogSource,
        instance: InstanceId,
        batch: LogBatch,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.record(move |sql| {
            let stored: Option<i64> = sql
                .prepare_cached("SELECT seq FROM log_batch WHERE agent = ? AND source = ? AND instance = ?")?
                .query_row(params![Text(agent), Text(source), Text(instance)], |row| row.get(0))
                .optional()?;
            let seq = i64::try_from(batch.seq).unwrap_or(i64::MAX);
            if stored.is_some_and(|stored| stored >= seq) {
                return Ok(false);
            }
            sql.prepare_cached(
                "INSERT OR REPLACE INTO log_batch(agent, source, instance, seq, stored_at) VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(params![Text(agent), Text(source), Text(instance), seq, Micros(now)])?;
            insert_batch(sql, agent, source, &batch, now)?;
            Ok(true)
        })
        .await
    }

    /// Adds the server's own lines to a run's log.
    pub async fn append_run_log(&self, run: RunId, lines: Vec<RunLogLine>) -> Result<(), Error> {
        self.record(move |sql| insert_run_lines(sql, run, &lines)).await
    }

    /// Adds the server's own line to an agent's log.
    pub async fn append_agent_log(
        &self,
        agent: AgentId,
        level: LogLevel,
        event: Option<&'static str>,
        message: String,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.record(move |sql| {
            let found = find_agent(sql, agent)?;
            sql.prepare_cached(INSERT_AGENT_LINE)?.execute(params![
                Text(found.company),
                Text(found.environment),
                Text(agent),
                Text(LogSource::Server),
                Micros(now),
                Micros(now),
                Rank(level),
                "server",
                event,
                message,
                None::<String>
            ])?;
            Ok(())
        })
        .await
    }

    /// A run's log.
    pub async fn run_log(
        &self,
        environment: EnvironmentId,
        run: RunId,
        filter: LogFilter,
        request: ListRequest,
    ) -> Result<Page<RunLogEntry>, Error> {
        let conditions = run_conditions(environment, run, &filter);
        self.list(move |sql| fetch(sql, &RUN_LOG, &conditions, &request, run_entry)).await
    }

    /// The lines of a run's log after `filter.after`, at most 500: for followers.
    pub async fn run_log_after(
        &self,
        environment: EnvironmentId,
        run: RunId,
        filter: LogFilter,
    ) -> Result<Vec<RunLogEntry>, Error> {
        let conditions = run_conditions(environment, run, &filter);
        self.list(move |sql| Ok(rows(sql, &RUN_LOG, &conditions, &follow(), run_entry)?.items)).await
    }

    /// The agents' and wrappers' logs of an environment.
    pub async fn agent_log(
        &self,
        environment: EnvironmentId,
        filter: LogFilter,
        request: ListRequest,
    ) -> Result<Page<AgentLogEntry>, Error> {
        let conditions = agent_conditions(environment, filter);
        self.list(move |sql| fetch(sql, &AGENT_LOG, &conditions, &request, agent_entry)).await
    }

    /// The lines of agents' and wrappers' logs after `filter.after`, at most 500: for followers.
    pub async fn agent_log_after(
        &self,
        environment: EnvironmentId,
        filter: LogFilter,
    ) -> Result<Vec<AgentLogEntry>, Error> {
        let conditions = agent_conditions(environment, filter);
        self.list(move |sql| Ok(rows(sql, &AGENT_LOG, &conditions, &follow(), agent_entry)?.items)).await
    }
}

const INSERT_AGENT_LINE: &str = "INSERT INTO agent_log(company, environment, agent, source, at, received_at, level, \
                                 target, event, message, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// A run of another environment takes no lines: the selection is by the agent's environment.
const INSERT_RUN_LINE: &str = "INSERT INTO run_log(company, environment, run, step, attempt, agent, at, level, target, \
                               event, message) SELECT company, environment, id, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 \
                               FROM run WHERE id = ?9 AND (?10 IS NULL OR environment = ?10)";

fn insert_batch(
    sql: &Sqlite,
    agent: AgentId,
    source: LogSource,
    batch: &LogBatch,
    now: Timestamp,
) -> Result<(), Error> {
    let found = find_agent(sql, agent)?;
    let mut add = sql.prepare_cached(INSERT_AGENT_LINE)?;
    let mut add_to_run = sql.prepare_cached(INSERT_RUN_LINE)?;
    let mut add_line = |at, level, target: &str, event: Option<&str>, message: &str, run: Option<RunId>| {
        add.execute(params![
            Text(found.company),
            Text(found.environment),
            Text(agent),
            Text(source),
            Micros(at),
            Micros(now),
            Rank(level),
            target,
            event,
            message,
            run.map(Text)
        ])
    };
    if batch.dropped > 0 {
        let message = format!("{} lines were lost before this one: the spool was full", batch.dropped);
        add_line(now, LogLevel::Warning, "spool", None, &message, None)?;
    }
    for line in &batch.lines {
        let run = line.run.as_ref();
        add_line(line.at, line.level, &line.target, line.event.as_deref(), &line.message, run.map(|run| run.run))?;
        if let Some(run) = run {
            add_to_run.execute(params![
                run.step,
                run.attempt,
                Text(agent),
                // A clock that runs ahead must not keep its lines, and those after them, for longer than others.
                Micros(line.at.min(now)),
                Rank(line.level),
                line.target,
                line.event,
                line.message,
                Text(run.run),
                Text(found.environment)
            ])?;
        }
    }
    Ok(())
}

pub(crate) fn insert_run_lines(sql: &Sqlite, run: RunId, lines: &[RunLogLine]) -> Result<(), Error> {
    let mut add = sql.prepare_cached(INSERT_RUN_LINE)?;
    for line in lines {
        add.execute(params![
            line.step,
            line.attempt,
            None::<String>,
            Micros(line.at),
            Rank(line.level),
            "server",
            None::<String>,
            line.message,
            Text(run),
            None::<String>
        ])?;
    }
    Ok(())
}

fn follow() -> ListRequest {
    ListRequest { limit: FOLLOW_MAX, cursor: None, sort: Some("seq".into()) }
}

fn agent_conditions(environment: EnvironmentId, filter: LogFilter) -> Filter {
    let mut conditions = Filter::new("l.environment = ?", environment.to_string());
    conditions
        .and_if("l.agent = ?", filter.agent.map(|agent| agent.to_string()))
        .and_if("l.source = ?", filter.source.map(|source| source.to_string()))
        .and_if("l.level >= ?", filter.level.map(|level| Rank(level).number()))
        .and_if("l.event = ?", filter.event)
        .and_if("instr(lower(l.message), lower(?)) > 0", filter.search)
        .and_if("l.seq > ?", filter.after)
        .and_if("l.seq < ?", filter.before);
    conditions
}

fn run_conditions(environment: EnvironmentId, run: RunId, filter: &LogFilter) -> Filter {
    let mut conditions = Filter::new("l.run = ?", run.to_string());
    conditions
        .and("l.environment = ?", environment.to_string())
        .and_if("l.step = ?", filter.step.clone())
        .and_if("l.attempt = ?", filter.attempt)
        .and_if("l.level >= ?", filter.level.map(|level| Rank(level).number()))
        .and_if("l.event = ?", filter.event.clone())
        .and_if("instr(lower(l.message), lower(?)) > 0", filter.search.clone())
        .and_if("l.seq > ?", filter.after)
        .and_if("l.seq < ?", filter.before);
    conditions
}

fn run_entry(row: &Row<'_>) -> rusqlite::Result<RunLogEntry> {
    Ok(RunLogEntry {
        seq: row.get("seq")?,
        step: row.get("step")?,
        attempt: row.get("attempt")?,
        agent: row.get::<_, Option<Text<_>>>("agent")?.map(|id| id.0),
        at: row.get::<_, Micros>("at")?.0,
        level: row.get::<_, Rank>("level")?.0,
        target: row.get("target")?,
        event: row.get("event")?,
        message: row.get("message")?,
    })
}

fn agent_entry(row: &Row<'_>) -> rusqlite::Result<AgentLogEntry> {
    Ok(AgentLogEntry {
        seq: row.get("seq")?,
        agent: row.get::<_, Text<_>>("agent")?.0,
        agent_name: row.get("agent_name")?,
        source: row.get::<_, Text<_>>("source")?.0,
        at: row.get::<_, Micros>("at")?.0,
        received_at: row.get::<_, Micros>("received_at")?.0,
        level: row.get::<_, Rank>("level")?.0,
        target: row.get("target")?,
        event: row.get("event")?,
        message: row.get("message")?,
        run: row.get::<_, Option<Text<_>>>("run")?.map(|id| id.0),
    })
}
