//! Runs and their steps. The state machine's own text is kept beside the columns that lists need; a change is a
//! compare-and-set on the run's version and is committed together with its steps and log lines.

use rusqlite::{Connection as Sqlite, OptionalExtension, Row, params};
use sallyport_protocol::{
    AgentId, CompanyId, EnvironmentId, Failure, RunId, StepCounts, TaskId, TaskVersionId, Timestamp,
};
use serde_json::{Map, Value};

use crate::checkpoint::{self, CheckpointCommit, CheckpointEdit};
use crate::error::taken;
use crate::log::{RunLogLine, insert_run_lines};
use crate::outbox::{self, Happening};
use crate::page::{Filter, Listing, fetch};
use crate::row::{Json, Micros, Text};
use crate::{Error, ListRequest, Page, Store};

/// One execution of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Whose it is.
    pub company: CompanyId,
    /// Where it belongs.
    pub environment: EnvironmentId,
    /// The task.
    pub task: TaskId,
    /// The version that it executes.
    pub task_version: TaskVersionId,
    /// The task's name when it was started.
    pub task_name: String,
    /// Makes a repeated start find this run.
    pub start_key: Option<String>,
    /// The state's word.
    pub state: String,
    /// The word of the part that failed.
    pub failure_kind: Option<String>,
    /// Why it stands where it stands.
    pub reason: Option<String>,
    /// What started it: `person`, `api`, ...
    pub trigger: String,
    /// Who started it.
    pub who: String,
    /// The trigger that started it.
    pub trigger_name: Option<String>,
    /// When that was due.
    pub due_at: Option<Timestamp>,
    /// When it is late, if it has not ended by then.
    pub late_at: Option<Timestamp>,
    /// Since when it is known to be, or to have been, late.
    pub late_since: Option<Timestamp>,
    /// Higher first.
    pub priority: i32,
    /// What its task's parameters are, defaults included.
    pub parameters: Map<String, Value>,
    /// The run that it repeats.
    pub rerun_of: Option<RunId>,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended; open until then.
    pub finished_at: Option<Timestamp>,
    /// Whether its log was removed because its time was over.
    pub log_removed: bool,
    /// The state machine's own text.
    pub machine: String,
    /// Grows with every change.
    pub version: i64,
}

/// A run to start.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRun {
    /// Made by the caller.
    pub id: RunId,
    /// The environment.
    pub environment: EnvironmentId,
    /// The task.
    pub task: TaskId,
    /// Its version.
    pub task_version: TaskVersionId,
    /// Its name.
    pub task_name: String,
    /// Unique in the environment where it is given.
    pub start_key: Option<String>,
    /// The state's word.
    pub state: String,
    /// What starts it.
    pub trigger: String,
    /// Who starts it.
    pub who: String,
    /// The trigger that starts it.
    pub trigger_name: Option<String>,
    /// When that was due.
    pub due_at: Option<Timestamp>,
    /// When it is late, if it has not ended by then.
    pub late_at: Option<Timestamp>,
    /// Higher first.
    pub priority: i32,
    /// What its task's parameters are.
    pub parameters: Map<String, Value>,
    /// The run that it repeats.
    pub rerun_of: Option<RunId>,
    /// Now.
    pub queued_at: Timestamp,
    /// The state machine's own text.
    pub machine: String,
    /// Its steps at the start.
    pub steps: Vec<StepRun>,
    /// Where it stands, when it leaves the queue, or ends, as soon as it is there.
    pub stand: RunStand,
    /// Clears the task's checkpoints.
    pub full_refresh: bool,
}

/// Where a new run stands beyond its state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunStand {
    /// The word of the part that failed.
    pub failure_kind: Option<String>,
    /// Why it stands where it stands.
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Lines for the run's log.
    pub log: Vec<RunLogLine>,
}

/// The answer to a start.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// The run: a new one, or the one that the same key has started before.
    pub run: Run,
    /// Whether it is a new one.
    pub created: bool,
}

/// A change of a run, all of it or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct RunCommit {
    /// The run.
    pub id: RunId,
    /// The version that the change was decided on.
    pub expected: i64,
    /// The state's word.
    pub state: String,
    /// The word of the part that failed.
    pub failure_kind: Option<String>,
    /// Why it stands where it stands.
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The state machine's own text.
    pub machine: String,
    /// Steps that changed, by step and attempt.
    pub steps: Vec<StepRun>,
    /// Lines for the run's log.
    pub log: Vec<RunLogLine>,
    /// What the run's sinks have committed of incremental reads.
    pub checkpoints: Vec<CheckpointCommit>,
}

/// One attempt of a step of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRun {
    /// The step's name.
    pub step: String,
    /// From 1; 0 before the first.
    pub attempt: u32,
    /// The step's place in the task.
    pub position: u32,
    /// The pipeline's number in the run.
    pub pipeline: u32,
    /// The state's word.
    pub state: String,
    /// Where it runs.
    pub agent: Option<AgentId>,
    /// That agent's name; only read.
    pub agent_name: Option<String>,
    /// What passed through it.
    pub counts: StepCounts,
    /// How it failed.
    pub failure: Option<Failure>,
    /// Why it stands where it stands.
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Which runs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this task.
    pub task: Option<TaskId>,
    /// In this state, by its word.
    pub state: Option<String>,
    /// Open or ended only.
    pub open: Option<bool>,
    /// Asked for at or after.
    pub since: Option<Timestamp>,
    /// With a step on this agent.
    pub agent: Option<AgentId>,
    /// Part of the task's name.
    pub search: Option<String>,
    /// Started by this trigger's kind.
    pub trigger: Option<String>,
}

const RUNS: Listing = Listing {
    columns: "r.*",
    from: "run r",
    id: "r.id",
    sorts: &[
        ("queued_at", "r.queued_at"),
        ("started_at", "coalesce(r.started_at, 0)"),
        ("finished_at", "coalesce(r.finished_at, 0)"),
        ("task", "r.task_name"),
        ("state", "r.state"),
        ("priority", "r.priority"),
    ],
    default_sort: "-queued_at",
};

impl Store {
    /// Starts a run, or finds the one that the same key has started.
    pub async fn start_run(&self, new: NewRun) -> Result<Started, Error> {
        self.record(move |sql| {
            if let Some(key) = &new.start_key
                && let Some(run) = of_key(sql, new.environment, key)?
            {
                return Ok(Started { run, created: false });
            }
            insert(sql, &new)?;
            put_steps(sql, new.id, &new.steps)?;
            insert_run_lines(sql, new.id, &new.stand.log)?;
            if new.stand.finished_at.is_some() {
                outbox::note(sql, new.id, Happening::Ended)?;
            }
            if new.full_refresh {
                let edit = CheckpointEdit { value: None, who: new.who.clone(), now: new.queued_at };
                checkpoint::refresh(sql, new.environment, new.task, new.id, &edit)?;
            }
            Ok(Started { run: find(sql, new.id)?, created: true })
        })
        .await
    }

    /// The run that a key has started.
    pub async fn run_of_key(&self, environment: EnvironmentId, key: &str) -> Result<Option<Run>, Error> {
        let key = key.to_owned();
        self.read(move |sql| of_key(sql, environment, &key)).await
    }

    /// A run of the environment.
    pub async fn run(&self, environment: EnvironmentId, id: RunId) -> Result<Run, Error> {
        self.read(move |sql| {
            let run = find(sql, id)?;
            if run.environment == environment { Ok(run) } else { Err(Error::NotFound) }
        })
        .await
    }

    /// The runs of an environment.
    pub async fn runs(
        &self,
        environment: EnvironmentId,
        filter: RunFilter,
        request: ListRequest,
    ) -> Result<Page<Run>, Error> {
        let mut conditions = Filter::new("r.environment = ?", environment.to_string());
        conditions
            .and_if("r.task = ?", filter.task.map(|task| task.to_string()))
            .and_if("r.state = ?", filter.state)
            .and_if("(r.finished_at IS NULL) = ?", filter.open)
            .and_if("r.queued_at >= ?", filter.since.map(|since| since.0))
            .and_if(
                "EXISTS (SELECT 1 FROM step_run s WHERE s.run = r.id AND s.agent = ?)",
                filter.agent.map(|agent| agent.to_string()),
            )
            .and_if("instr(lower(r.task_name), lower(?)) > 0", filter.search)
            .and_if("r.trigger = ?", filter.trigger);
        self.list(move |sql| fetch(sql, &RUNS, &conditions, &request, run_row)).await
    }

    /// Every open run of the installation, in the order in which they may start: for the engine's start.
    pub async fn open_runs(&self) -> Result<Vec<Run>, Error> {
        self.read(|sql| {
            let mut statement =
                sql.prepare("SELECT * FROM run WHERE finished_at IS NULL ORDER BY priority DESC, queued_at, id")?;
            let rows = statement.query_map([], run_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The steps of a run of the environment, every attempt, in the task's order.
    pub async fn step_runs(&self, environment: EnvironmentId, run: RunId) -> Result<Vec<StepRun>, Error> {
        self.read(move |sql| {
            if find(sql, run)?.environment != environment {
                return Err(Error::NotFound);
            }
            let mut statement = sql.prepare_cached(
                "SELECT s.*, a.name AS agent_name FROM step_run s LEFT JOIN agent a ON a.id = s.agent \
                 WHERE s.run = ? ORDER BY s.position, s.attempt",
            )?;
            let rows = statement.query_map(params![Text(run)], step_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Writes a change of a run if nobody has changed it since ([`Error::Stale`] otherwise); answers the new version.
    pub async fn commit_run(&self, commit: RunCommit) -> Result<i64, Error> {
        self.record(move |sql| {
            let version: Option<i64> = sql
                .prepare_cached(
                    "UPDATE run SET state = ?, failure_kind = ?, reason = ?, started_at = ?, finished_at = ?, \
                     machine = ?, version = version + 1 WHERE id = ? AND version = ? RETURNING version",
                )?
                .query_row(
                    params![
                        commit.state,
                        commit.failure_kind,
                        commit.reason,
                        commit.started_at.map(Micros),
                        commit.finished_at.map(Micros),
                        commit.machine,
                        Text(commit.id),
                        commit.expected
                    ],
                    |row| row.get(0),
                )
                .optional()?;
            let Some(version) = version else {
                return Err(Error::Stale { current: find(sql, commit.id)?.version });
            };
            put_steps(sql, commit.id, &commit.steps)?;
            insert_run_lines(sql, commit.id, &commit.log)?;
            checkpoint::commit(sql, commit.id, &commit.checkpoints)?;
            if commit.finished_at.is_some() {
                outbox::note(sql, commit.id, Happening::Ended)?;
            }
            Ok(version)
        })
        .await
    }

    /// Writes what passed through steps so far, many at once; attempts that have ended keep their figures.
    pub async fn note_progress(&self, progress: Vec<(RunId, String, u32, StepCounts)>) -> Result<(), Error> {
        self.record(move |sql| {
            let mut statement = sql.prepare_cached(
                "UPDATE step_run SET rows_in = ?, rows_out = ?, bytes = ?, rows_rejected = ? \
                 WHERE run = ? AND step = ? AND attempt = ? AND finished_at IS NULL",
            )?;
            for (run, step, attempt, counts) in progress {
                let [rows_in, rows_out, bytes, rejected] = columns(counts);
                statement.execute(params![rows_in, rows_out, bytes, rejected, Text(run), step, attempt])?;
            }
            Ok(())
        })
        .await
    }
}

fn insert(sql: &Sqlite, new: &NewRun) -> Result<(), Error> {
    taken(
        sql.prepare_cached(
            "INSERT INTO run(id, company, environment, task, task_version, task_name, start_key, state, trigger, who, \
             priority, queued_at, machine, trigger_name, due_at, late_at, parameters, rerun_of, failure_kind, reason, \
             started_at, finished_at) \
             SELECT ?1, company, id, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, \
             ?21 FROM environment WHERE id = ?2",
        )?
        .execute(params![
                Text(new.id),
                Text(new.environment),
                Text(new.task),
                Text(new.task_version),
                new.task_name,
                new.start_key,
                new.state,
                new.trigger,
                new.who,
                new.priority,
                Micros(new.queued_at),
                new.machine,
                new.trigger_name,
                new.due_at.map(Micros),
                new.late_at.map(Micros),
                Json(&new.parameters),
                new.rerun_of.map(Text),
                new.stand.failure_kind,
                new.stand.reason,
                new.stand.started_at.map(Micros),
                new.stand.finished_at.map(Micros)
        ]),
        "run id",
    )?;
    Ok(())
}

fn put_steps(sql: &Sqlite, run: RunId, steps: &[StepRun]) -> Result<(), Error> {
    // What stood for "not tried yet" goes when the first attempt comes.
    let mut clear = sql.prepare_cached("DELETE FROM step_run WHERE run = ? AND step = ? AND attempt = 0")?;
    let mut put = sql.prepare_cached(
        "INSERT OR REPLACE INTO step_run(run, step, attempt, position, pipeline, state, agent, rows_in, rows_out, \
         bytes, rows_rejected, failure, reason, started_at, finished_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for step in steps {
        if step.attempt > 0 {
            clear.execute(params![Text(run), step.step])?;
        }
        let [rows_in, rows_out, bytes, rejected] = columns(step.counts);
        put.execute(params![
            Text(run),
            step.step,
            step.attempt,
            step.position,
            step.pipeline,
            step.state,
            step.agent.map(Text),
            rows_in,
            rows_out,
            bytes,
            rejected,
            step.failure.as_ref().map(Json),
            step.reason,
            step.started_at.map(Micros),
            step.finished_at.map(Micros)
        ])?;
    }
    Ok(())
}

fn of_key(sql: &Sqlite, environment: EnvironmentId, key: &str) -> Result<Option<Run>, Error> {
    let mut found = sql.prepare_cached("SELECT * FROM run WHERE environment = ? AND start_key = ?")?;
    Ok(found.query_row(params![Text(environment), key], run_row).optional()?)
}

pub(crate) fn find(sql: &Sqlite, id: RunId) -> Result<Run, Error> {
    sql.prepare_cached("SELECT * FROM run WHERE id = ?")?
        .query_row(params![Text(id)], run_row)
        .optional()?
        .ok_or(Error::NotFound)
}

fn columns(counts: StepCounts) -> [i64; 4] {
    [counts.rows_in, counts.rows_out, counts.bytes, counts.rows_rejected]
        .map(|count| i64::try_from(count).unwrap_or(i64::MAX))
}

fn run_row(row: &Row<'_>) -> rusqlite::Result<Run> {
    let time = |column| row.get::<_, Option<Micros>>(column).map(|at| at.map(|at| at.0));
    Ok(Run {
        id: row.get::<_, Text<_>>("id")?.0,
        company: row.get::<_, Text<_>>("company")?.0,
        environment: row.get::<_, Text<_>>("environment")?.0,
        task: row.get::<_, Text<_>>("task")?.0,
        task_version: row.get::<_, Text<_>>("task_version")?.0,
        task_name: row.get("task_name")?,
        start_key: row.get("start_key")?,
        state: row.get("state")?,
        failure_kind: row.get("failure_kind")?,
        reason: row.get("reason")?,
        trigger: row.get("trigger")?,
        who: row.get("who")?,
        trigger_name: row.get("trigger_name")?,
        due_at: time("due_at")?,
        late_at: time("late_at")?,
        late_since: time("late_since")?,
        priority: row.get("priority")?,
        parameters: row.get::<_, Json<_>>("parameters")?.0,
        rerun_of: row.get::<_, Option<Text<_>>>("rerun_of")?.map(|id| id.0),
        queued_at: row.get::<_, Micros>("queued_at")?.0,
        started_at: time("started_at")?,
        finished_at: time("finished_at")?,
        log_removed: row.get("log_removed")?,
        machine: row.get("machine")?,
        version: row.get("version")?,
    })
}

fn step_row(row: &Row<'_>) -> rusqlite::Result<StepRun> {
    let count = |column| row.get::<_, i64>(column).map(|count| u64::try_from(count).unwrap_or(0));
    Ok(StepRun {
        step: row.get("step")?,
        attempt: row.get("attempt")?,
        position: row.get("position")?,
        pipeline: row.get("pipeline")?,
        state: row.get("state")?,
        agent: row.get::<_, Option<Text<_>>>("agent")?.map(|id| id.0),
        agent_name: row.get("agent_name")?,
        counts: StepCounts {
            rows_in: count("rows_in")?,
            rows_out: count("rows_out")?,
            bytes: count("bytes")?,
            rows_rejected: count("rows_rejected")?,
        },
        failure: row.get::<_, Option<Json<_>>>("failure")?.map(|json| json.0),
        reason: row.get("reason")?,
        started_at: row.get::<_, Option<Micros>>("started_at")?.map(|at| at.0),
        finished_at: row.get::<_, Option<Micros>>("finished_at")?.map(|at| at.0),
    })
}
