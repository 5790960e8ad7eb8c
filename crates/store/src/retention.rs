//! What is removed once its time is over, some at a time: no transaction holds up the writer for long.

use rusqlite::{Connection as Sqlite, OptionalExtension, Row, params};
use sallyport_domain::retention::Retention;
use sallyport_protocol::{EnvironmentId, RunId, Timestamp};

use crate::row::{Micros, Text};
use crate::{Error, Store};

/// The most log lines removed in one transaction.
const LINES_MAX: usize = 5000;

/// The most runs removed in one transaction, and those whose log is.
const RUNS_MAX: usize = 200;

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Runs with their steps.
    pub runs: usize,
    /// Log lines of runs and agents.
    pub lines: usize,
    /// Whether there is more to remove.
    pub more: bool,
}

impl Store {
    /// How long an environment keeps things.
    pub async fn retention(&self, environment: EnvironmentId) -> Result<Retention, Error> {
        self.read(move |sql| {
            let mut statement =
                sql.prepare_cached("SELECT runs_days, logs_days FROM retention WHERE environment = ?")?;
            Ok(statement.query_row(params![Text(environment)], retention_row).optional()?.unwrap_or_default())
        })
        .await
    }

    /// Sets how long an environment keeps things.
    pub async fn set_retention(&self, environment: EnvironmentId, retention: Retention) -> Result<(), Error> {
        self.record(move |sql| {
            sql.execute(
                "INSERT INTO retention(environment, runs_days, logs_days) VALUES (?, ?, ?) ON CONFLICT (environment) \
                 DO UPDATE SET runs_days = excluded.runs_days, logs_days = excluded.logs_days",
                params![Text(environment), retention.runs, retention.logs],
            )?;
            Ok(())
        })
        .await
    }

    /// Removes some of what an environment keeps no longer. What has ended stays while somebody is still to act on its
    /// end, and so does the last run of each task.
    pub async fn remove_old(
        &self,
        environment: EnvironmentId,
        retention: Retention,
        now: Timestamp,
    ) -> Result<Removed, Error> {
        self.record(move |sql| {
            let mut work = Work { sql, environment, left: LINES_MAX, removed: Removed::default() };
            if let Some(before) = retention.logs_before(now) {
                work.agents_lines(before)?;
                work.logs_of_runs(before)?;
            }
            if let Some(before) = retention.runs_before(now) {
                work.runs(before)?;
            }
            work.removed.more |= work.left == 0;
            Ok(work.removed)
        })
        .await
    }

    /// Forgets what processes have last sent that have sent nothing since.
    pub async fn forget_log_batches(&self, before: Timestamp) -> Result<(), Error> {
        self.record(move |sql| {
            sql.execute("DELETE FROM log_batch WHERE stored_at < ?", params![Micros(before)])?;
            Ok(())
        })
        .await
    }
}

/// One transaction's share.
struct Work<'a> {
    sql: &'a Sqlite,
    environment: EnvironmentId,
    /// Lines that may still go.
    left: usize,
    removed: Removed,
}

impl Work<'_> {
    /// Lines are stored in the order of their time, so that only the oldest are looked at.
    fn agents_lines(&mut self, before: Timestamp) -> Result<(), Error> {
        let mut statement = self.sql.prepare_cached(
            "DELETE FROM agent_log WHERE received_at < ?1 AND seq IN \
             (SELECT seq FROM agent_log WHERE environment = ?2 ORDER BY seq LIMIT ?3)",
        )?;
        let gone = statement.execute(params![Micros(before), Text(self.environment), to_sql(self.left)])?;
        self.took(gone);
        Ok(())
    }

    fn logs_of_runs(&mut self, before: Timestamp) -> Result<(), Error> {
        let runs = self.ended(
            "SELECT id FROM run WHERE environment = ?1 AND finished_at < ?2 AND log_removed = 0 \
             ORDER BY finished_at LIMIT ?3",
            before,
        )?;
        let mut note = self.sql.prepare_cached("UPDATE run SET log_removed = 1 WHERE id = ?")?;
        for run in runs {
            if !self.log_of(run)? {
                return Ok(());
            }
            note.execute(params![Text(run)])?;
        }
        Ok(())
    }

    fn runs(&mut self, before: Timestamp) -> Result<(), Error> {
        let runs = self.ended(
            "SELECT id FROM run WHERE environment = ?1 AND finished_at < ?2 \
             AND NOT EXISTS (SELECT 1 FROM run_outbox o WHERE o.run = run.id) \
             AND (EXISTS (SELECT 1 FROM run newer WHERE newer.task = run.task AND newer.queued_at > run.queued_at \
                          AND newer.finished_at IS NOT NULL) \
                  OR EXISTS (SELECT 1 FROM task WHERE task.id = run.task AND task.deleted_at IS NOT NULL)) \
             ORDER BY finished_at LIMIT ?3",
            before,
        )?;
        for run in runs {
            if !self.log_of(run)? {
                return Ok(());
            }
            self.sql.prepare_cached("DELETE FROM step_run WHERE run = ?")?.execute(params![Text(run)])?;
            self.sql.prepare_cached("DELETE FROM run WHERE id = ?")?.execute(params![Text(run)])?;
            self.removed.runs += 1;
        }
        Ok(())
    }

    fn ended(&mut self, query: &str, before: Timestamp) -> Result<Vec<RunId>, Error> {
        let mut statement = self.sql.prepare_cached(query)?;
        let rows = statement.query_map(params![Text(self.environment), Micros(before), to_sql(RUNS_MAX)], |row| {
            Ok(row.get::<_, Text<RunId>>(0)?.0)
        })?;
        let runs: Vec<RunId> = rows.collect::<rusqlite::Result<_>>()?;
        self.removed.more |= runs.len() == RUNS_MAX;
        Ok(runs)
    }

    /// Removes a run's lines; answers whether all of them are gone.
    fn log_of(&mut self, run: RunId) -> Result<bool, Error> {
        let mut statement = self.sql.prepare_cached(
            "DELETE FROM run_log WHERE seq IN (SELECT seq FROM run_log WHERE run = ? ORDER BY seq LIMIT ?)",
        )?;
        let gone = statement.execute(params![Text(run), to_sql(self.left)])?;
        self.took(gone);
        Ok(self.left > 0)
    }

    fn took(&mut self, lines: usize) {
        self.left = self.left.saturating_sub(lines);
        self.removed.lines += lines;
    }
}

fn to_sql(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn retention_row(row: &Row<'_>) -> rusqlite::Result<Retention> {
    Ok(Retention { runs: row.get("runs_days")?, logs: row.get("logs_days")? })
}
