//! What is known of an agent's health: signs of its parts, and its crashes.

use rusqlite::{OptionalExtension, params};
use sallyport_domain::liveness::{Part, Sign};
use sallyport_protocol::{AgentId, Crash, EnvironmentId, Timestamp};

use crate::row::{Json, Micros, Text};
use crate::{Error, Store};

/// Crashes that are kept of each agent.
pub const CRASHES_MAX: u32 = 50;

/// Names of files are made by agents: a longer one is none.
const FILE_BYTES_MAX: usize = 100;

/// A crash file as the server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCrash {
    /// What it says.
    pub crash: Crash,
    /// When the server heard of it.
    pub received_at: Timestamp,
}

impl Store {
    /// Keeps what was seen last of a part.
    pub async fn note_sign(&self, agent: AgentId, part: Part, sign: Sign) -> Result<(), Error> {
        self.record(move |sql| {
            sql.prepare_cached(
                "INSERT OR REPLACE INTO agent_sign(agent, part, good, text, cause, at) VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                Text(agent),
                part.word(),
                sign.good,
                sign.text,
                sign.cause.map(Json),
                Micros(sign.at)
            ])?;
            Ok(())
        })
        .await
    }

    /// What was seen last of each part.
    pub async fn signs(&self, agent: AgentId) -> Result<Vec<(Part, Sign)>, Error> {
        self.read(move |sql| {
            let mut statement =
                sql.prepare_cached("SELECT part, good, text, cause, at FROM agent_sign WHERE agent = ?")?;
            let rows = statement.query_map(params![Text(agent)], |row| {
                let word: String = row.get("part")?;
                let sign = Sign {
                    good: row.get("good")?,
                    text: row.get("text")?,
                    cause: row.get::<_, Option<Json<_>>>("cause")?.map(|json| json.0),
                    at: row.get::<_, Micros>("at")?.0,
                };
                Ok(Part::ALL.into_iter().find(|part| part.word() == word).map(|part| (part, sign)))
            })?;
            Ok(rows.filter_map(Result::transpose).collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Keeps a crash, and lets the oldest go; one that is told again is kept once. Whether it is new.
    pub async fn note_crash(&self, agent: AgentId, crash: Crash, now: Timestamp) -> Result<bool, Error> {
        self.record(move |sql| {
            if crash.file.len() > FILE_BYTES_MAX {
                return Ok(false);
            }
            let new = sql
                .prepare_cached(
                    "INSERT OR IGNORE INTO agent_crash(agent, file, company, environment, received_at, crash) \
                     SELECT id, ?2, company, environment, ?3, ?4 FROM agent WHERE id = ?1",
                )?
                .execute(params![Text(agent), crash.file, Micros(now), Json(&crash)])?;
            sql.prepare_cached(
                "DELETE FROM agent_crash WHERE agent = ?1 AND file NOT IN \
                 (SELECT file FROM agent_crash WHERE agent = ?1 ORDER BY received_at DESC, file DESC LIMIT ?2)",
            )?
            .execute(params![Text(agent), CRASHES_MAX])?;
            Ok(new > 0)
        })
        .await
    }

    /// The crashes of an agent of the environment, the newest first: at most [`CRASHES_MAX`].
    pub async fn crashes(&self, environment: EnvironmentId, agent: AgentId) -> Result<Vec<StoredCrash>, Error> {
        self.read(move |sql| {
            let mut statement = sql.prepare_cached(
                "SELECT crash, received_at FROM agent_crash WHERE agent = ? AND environment = ? \
                 ORDER BY received_at DESC, file DESC",
            )?;
            let rows = statement.query_map(params![Text(agent), Text(environment)], crash_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// One of them, by its file's name.
    pub async fn crash(&self, environment: EnvironmentId, agent: AgentId, file: &str) -> Result<StoredCrash, Error> {
        let file = file.to_owned();
        self.read(move |sql| {
            sql.prepare_cached(
                "SELECT crash, received_at FROM agent_crash WHERE agent = ? AND environment = ? AND file = ?",
            )?
            .query_row(params![Text(agent), Text(environment), file], crash_row)
            .optional()?
            .ok_or(Error::NotFound)
        })
        .await
    }
}

fn crash_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredCrash> {
    Ok(StoredCrash { crash: row.get::<_, Json<_>>("crash")?.0, received_at: row.get::<_, Micros>("received_at")?.0 })
}
