//! What has happened to runs, for those who act on it: written in the transaction in which it happens, taken at least
//! once by every follower. A follower has a place of its own; rows that all of them have passed are removed. While
//! nobody follows, nothing is kept.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection as Sqlite, Row, params};
use sallyport_protocol::{CompanyId, EnvironmentId, RunId, TaskId, Timestamp};

use crate::row::{Micros, Text};
use crate::{Error, Store};

/// What happened to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It has ended.
    Ended,
    /// It goes on longer than its trigger allows for.
    Late,
}

/// The text names nothing that can happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of ended, late")]
pub struct ParseHappeningError;

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "ended",
            Self::Late => "late",
        })
    }
}

impl FromStr for Happening {
    type Err = ParseHappeningError;

    fn from_str(text: &str) -> Result<Self, ParseHappeningError> {
        match text {
            "ended" => Ok(Self::Ended),
            "late" => Ok(Self::Late),
            _ => Err(ParseHappeningError),
        }
    }
}

/// Something that happened to a run; of the run, what most followers need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunNews {
    /// Its place; grows.
    pub seq: i64,
    /// What happened.
    pub what: Happening,
    /// Whose run it is.
    pub company: CompanyId,
    /// Where it belongs.
    pub environment: EnvironmentId,
    /// The run.
    pub run: RunId,
    /// Its task.
    pub task: TaskId,
    /// The task's name when the run was started.
    pub task_name: String,
    /// The run's state, by its word: as it is now.
    pub state: String,
    /// When it ended, if it has.
    pub finished_at: Option<Timestamp>,
}

impl Store {
    /// Takes a follower on: what happens from now on is kept for it. One that is known keeps its place.
    pub async fn follow_runs(&self, follower: &'static str) -> Result<(), Error> {
        self.write(move |sql| {
            sql.execute(
                "INSERT INTO run_follower(name, seq) \
                 SELECT ?, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'run_outbox'), 0) \
                 WHERE true ON CONFLICT (name) DO NOTHING",
                [follower],
            )?;
            Ok(())
        })
        .await
    }

    /// What a follower has not passed yet, the oldest first, at most `limit` rows.
    pub async fn run_news(&self, follower: &'static str, limit: u32) -> Result<Vec<RunNews>, Error> {
        self.read(move |sql| {
            let mut statement = sql.prepare_cached(
                "SELECT o.seq, o.what, r.company, r.environment, r.id, r.task, r.task_name, r.state, r.finished_at \
                 FROM run_outbox o JOIN run r ON r.id = o.run \
                 WHERE o.seq > (SELECT seq FROM run_follower WHERE name = ?) ORDER BY o.seq LIMIT ?",
            )?;
            let rows = statement.query_map(params![follower, limit], news_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The follower has acted on everything up to `seq` and does not want it again.
    pub async fn pass_run_news(&self, follower: &'static str, seq: i64) -> Result<(), Error> {
        self.record(move |sql| {
            sql.prepare_cached("UPDATE run_follower SET seq = max(seq, ?2) WHERE name = ?1")?
                .execute(params![follower, seq])?;
            sql.prepare_cached("DELETE FROM run_outbox WHERE seq <= (SELECT min(seq) FROM run_follower)")?
                .execute([])?;
            Ok(())
        })
        .await
    }
}

/// Keeps what happened for the followers; to be called in the transaction in which it happens.
pub(crate) fn note(sql: &Sqlite, run: RunId, what: Happening) -> Result<(), Error> {
    sql.prepare_cached(
        "INSERT INTO run_outbox(company, environment, run, what) SELECT company, environment, id, ?2 FROM run \
         WHERE id = ?1 AND EXISTS (SELECT 1 FROM run_follower) ON CONFLICT (run, what) DO NOTHING",
    )?
    .execute(params![Text(run), Text(what)])?;
    Ok(())
}

fn news_row(row: &Row<'_>) -> rusqlite::Result<RunNews> {
    Ok(RunNews {
        seq: row.get("seq")?,
        what: row.get::<_, Text<_>>("what")?.0,
        company: row.get::<_, Text<_>>("company")?.0,
        environment: row.get::<_, Text<_>>("environment")?.0,
        run: row.get::<_, Text<_>>("id")?.0,
        task: row.get::<_, Text<_>>("task")?.0,
        task_name: row.get("task_name")?,
        state: row.get("state")?,
        finished_at: row.get::<_, Option<Micros>>("finished_at")?.map(|at| at.0),
    })
}
