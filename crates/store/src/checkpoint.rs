//! Checkpoints of incremental reads, and who moved them.
//!
//! The target's own ledger is the truth for the rows; what stands here is what the targets have reported, for people and
//! for targets that keep nothing. A person's word counts more than either: it begins a new epoch.

use rusqlite::{Connection as Sqlite, OptionalExtension, Row, named_params, params};
use sallyport_protocol::{Committed, EnvironmentId, RunId, TaskId, Timestamp};
use serde_json::Value;

use crate::page::{Filter, Listing, fetch};
use crate::row::{Json, Micros, Text};
use crate::{Error, ListRequest, Page, Store};

/// Changes that are kept of one checkpoint.
const CHANGES_KEPT: i64 = 1000;

/// Names a checkpoint: a reading and a writing step of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointKey {
    /// The task.
    pub task: TaskId,
    /// The reading step's name.
    pub source: String,
    /// The writing step's name.
    pub sink: String,
}

/// How far an incremental read is committed.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The reading step's name.
    pub source: String,
    /// The writing step's name.
    pub sink: String,
    /// Grows when a person changes it.
    pub epoch: u64,
    /// Grows with every attempt.
    pub fence: u64,
    /// How far; from the start where there is none.
    pub value: Option<Value>,
    /// Commits of the epoch.
    pub sequence: u64,
    /// The run that has committed it.
    pub run: Option<RunId>,
    /// Who has changed it last.
    pub who: String,
    /// When.
    pub changed_at: Timestamp,
}

/// A change of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointChange {
    /// Grows.
    pub seq: i64,
    /// The reading step's name.
    pub source: String,
    /// The writing step's name.
    pub sink: String,
    /// `committed`, `set`, `cleared`, `full_refresh`.
    pub action: String,
    /// The new value.
    pub value: Option<Value>,
    /// Rows that were committed with it.
    pub rows: Option<u64>,
    /// The run that did it.
    pub run: Option<RunId>,
    /// Who did it.
    pub who: String,
    /// When.
    pub at: Timestamp,
}

/// What a run's sink has committed.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointCommit {
    /// The reading step's name.
    pub source: String,
    /// The writing step's name.
    pub sink: String,
    /// As its agent has reported it.
    pub committed: Committed,
    /// When.
    pub at: Timestamp,
}

/// A person's change.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointEdit {
    /// `None` for the start.
    pub value: Option<Value>,
    /// Who.
    pub who: String,
    /// When.
    pub now: Timestamp,
}

const CHANGES: Listing =
    Listing { columns: "c.*", from: "checkpoint_change c", id: "c.seq", sorts: &[("at", "c.at")], default_sort: "-at" };

impl Store {
    /// Begins an attempt: its fence is greater than that of every earlier one, also of a server that was restored from
    /// an older copy.
    pub async fn begin_checkpoint(
        &self,
        environment: EnvironmentId,
        key: CheckpointKey,
        now: Timestamp,
    ) -> Result<Checkpoint, Error> {
        self.record(move |sql| {
            let CheckpointKey { task, source, sink } = &key;
            sql.prepare_cached(
                "INSERT INTO checkpoint(task, source, sink, company, environment, epoch, fence, who, changed_at) \
                 SELECT ?1, ?2, ?3, company, id, 1, ?5, '', ?5 FROM environment WHERE id = ?4 \
                 ON CONFLICT (task, source, sink) DO UPDATE SET fence = max(fence + 1, excluded.fence)",
            )?
            .execute(params![Text(*task), source, sink, Text(environment), Micros(now)])?;
            find(sql, &key)?.ok_or(Error::NotFound)
        })
        .await
    }

    /// The checkpoints of a task that have been used.
    pub async fn checkpoints(&self, environment: EnvironmentId, task: TaskId) -> Result<Vec<Checkpoint>, Error> {
        self.read(move |sql| {
            let mut statement = sql
                .prepare_cached("SELECT * FROM checkpoint WHERE task = ? AND environment = ? ORDER BY source, sink")?;
            let rows = statement.query_map(params![Text(task), Text(environment)], checkpoint_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Sets or clears a checkpoint by hand; what targets keep of it no longer counts.
    pub async fn edit_checkpoint(
        &self,
        environment: EnvironmentId,
        key: CheckpointKey,
        edit: CheckpointEdit,
    ) -> Result<Checkpoint, Error> {
        self.write(move |sql| {
            let action = if edit.value.is_some() { "set" } else { "cleared" };
            change(sql, environment, &key, &edit, action, None)?;
            find(sql, &key)?.ok_or(Error::NotFound)
        })
        .await
    }

    /// What has moved the checkpoints of a task. Sorts: at.
    pub async fn checkpoint_changes(
        &self,
        environment: EnvironmentId,
        task: TaskId,
        source: Option<String>,
        request: ListRequest,
    ) -> Result<Page<CheckpointChange>, Error> {
        let mut conditions = Filter::new("c.environment = ?", environment.to_string());
        conditions.and_if("c.task = ?", Some(task.to_string())).and_if("c.source = ?", source);
        self.read(move |sql| fetch(sql, &CHANGES, &conditions, &request, change_row)).await
    }
}

/// A run that reads everything again begins: every checkpoint of its task that was used is cleared.
pub(crate) fn refresh(
    sql: &Sqlite,
    environment: EnvironmentId,
    task: TaskId,
    run: RunId,
    edit: &CheckpointEdit,
) -> Result<(), Error> {
    let mut statement = sql.prepare_cached("SELECT source, sink FROM checkpoint WHERE task = ?")?;
    let keys = statement
        .query_map(params![Text(task)], |row| Ok(CheckpointKey { task, source: row.get(0)?, sink: row.get(1)? }))?;
    for key in keys.collect::<rusqlite::Result<Vec<_>>>()? {
        change(sql, environment, &key, edit, "full_refresh", Some(run))?;
    }
    Ok(())
}

/// Takes over what sinks have committed, unless a person has begun another epoch or a newer attempt was faster.
pub(crate) fn commit(sql: &Sqlite, run: RunId, commits: &[CheckpointCommit]) -> Result<(), Error> {
    for CheckpointCommit { source, sink, committed, at } in commits {
        let value = Json(&committed.checkpoint.0);
        let fence = signed(committed.fence);
        let moved = sql
            .prepare_cached(
                "UPDATE checkpoint SET value = :value, value_fence = :fence, sequence = max(:sequence, sequence + 1), \
                 run = :run, who = (SELECT who FROM run WHERE id = :run), changed_at = :now \
                 WHERE task = (SELECT task FROM run WHERE id = :run) AND source = :source AND sink = :sink \
                 AND epoch = :epoch AND value_fence <= :fence AND value IS NOT :value",
            )?
            .execute(named_params! {
                ":value": value, ":fence": fence, ":sequence": signed(committed.sequence), ":run": Text(run),
                ":now": Micros(*at), ":source": source, ":sink": sink, ":epoch": signed(committed.epoch),
            })?;
        if moved > 0 {
            sql.prepare_cached(
                "INSERT INTO checkpoint_change(task, source, sink, company, environment, action, value, rows, run, who, at) \
                 SELECT task, ?2, ?3, company, environment, 'committed', ?4, ?5, id, who, ?6 FROM run WHERE id = ?1",
            )?
            .execute(params![Text(run), source, sink, value, signed(committed.rows), Micros(*at)])?;
            forget(sql, source, sink)?;
        }
    }
    Ok(())
}

fn change(
    sql: &Sqlite,
    environment: EnvironmentId,
    key: &CheckpointKey,
    edit: &CheckpointEdit,
    action: &str,
    run: Option<RunId>,
) -> Result<(), Error> {
    let CheckpointKey { task, source, sink } = key;
    let value = edit.value.as_ref().map(Json);
    sql.prepare_cached(
        "INSERT INTO checkpoint(task, source, sink, company, environment, epoch, fence, value, run, who, changed_at) \
         SELECT :task, :source, :sink, company, id, :now, :now, :value, :run, :who, :now \
         FROM environment WHERE id = :environment \
         ON CONFLICT (task, source, sink) DO UPDATE SET epoch = max(epoch + 1, excluded.epoch), value = excluded.value, \
         value_fence = 0, sequence = 0, run = excluded.run, who = excluded.who, changed_at = excluded.changed_at",
    )?
    .execute(named_params! {
        ":task": Text(*task), ":source": source, ":sink": sink, ":value": value, ":run": run.map(Text),
        ":who": edit.who, ":now": Micros(edit.now), ":environment": Text(environment),
    })?;
    sql.prepare_cached(
        "INSERT INTO checkpoint_change(task, source, sink, company, environment, action, value, run, who, at) \
         SELECT ?1, ?2, ?3, company, id, ?5, ?6, ?7, ?8, ?9 FROM environment WHERE id = ?4",
    )?
    .execute(params![
        Text(*task),
        source,
        sink,
        Text(environment),
        action,
        value,
        run.map(Text),
        edit.who,
        Micros(edit.now)
    ])?;
    forget(sql, source, sink)
}

/// Keeps the newest changes of the checkpoint that has just changed.
fn forget(sql: &Sqlite, source: &str, sink: &str) -> Result<(), Error> {
    sql.prepare_cached(
        "DELETE FROM checkpoint_change WHERE seq IN (SELECT seq FROM checkpoint_change \
         WHERE task = (SELECT task FROM checkpoint_change WHERE seq = last_insert_rowid()) AND source = ? AND sink = ? \
         ORDER BY seq DESC LIMIT -1 OFFSET ?)",
    )?
    .execute(params![source, sink, CHANGES_KEPT])?;
    Ok(())
}

fn find(sql: &Sqlite, key: &CheckpointKey) -> Result<Option<Checkpoint>, Error> {
    let found = sql
        .prepare_cached("SELECT * FROM checkpoint WHERE task = ? AND source = ? AND sink = ?")?
        .query_row(params![Text(key.task), key.source, key.sink], checkpoint_row)
        .optional()?;
    Ok(found)
}

fn checkpoint_row(row: &Row<'_>) -> rusqlite::Result<Checkpoint> {
    Ok(Checkpoint {
        source: row.get("source")?,
        sink: row.get("sink")?,
        epoch: number(row.get("epoch")?),
        fence: number(row.get("fence")?),
        value: row.get::<_, Option<Json<_>>>("value")?.map(|json| json.0),
        sequence: number(row.get("sequence")?),
        run: row.get::<_, Option<Text<_>>>("run")?.map(|id| id.0),
        who: row.get("who")?,
        changed_at: row.get::<_, Micros>("changed_at")?.0,
    })
}

fn change_row(row: &Row<'_>) -> rusqlite::Result<CheckpointChange> {
    Ok(CheckpointChange {
        seq: row.get("seq")?,
        source: row.get("source")?,
        sink: row.get("sink")?,
        action: row.get("action")?,
        value: row.get::<_, Option<Json<_>>>("value")?.map(|json| json.0),
        rows: row.get::<_, Option<i64>>("rows")?.map(number),
        run: row.get::<_, Option<Text<_>>>("run")?.map(|id| id.0),
        who: row.get("who")?,
        at: row.get::<_, Micros>("at")?.0,
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(signed: i64) -> u64 {
    u64::try_from(signed).unwrap_or(0)
}
