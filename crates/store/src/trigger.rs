//! Triggers: rows made from a task's current version, each with where it stands.
//!
//! A trigger whose definition has not changed keeps its state when its task is saved again.

use rusqlite::{Connection as Sqlite, OptionalExtension, Row, params};
use sallyport_domain::trigger::{Kind, TaskFacts};
use sallyport_protocol::{CompanyId, EnvironmentId, LogLevel, RunId, TaskId, Timestamp};
use serde_json::Value;

use crate::company::company_of;
use crate::log::{RunLogLine, insert_run_lines};
use crate::outbox::{self, Happening};
use crate::page::{Filter, Listing, fetch};
use crate::row::{Json, Micros, Text};
use crate::{Error, ListRequest, Page, Store};

/// A trigger of a task's version that is being saved.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTrigger {
    /// Unique in the task.
    pub name: String,
    /// What sets it off.
    pub kind: Kind,
    /// As the document says.
    pub definition: Value,
    /// The task whose ended runs it follows.
    pub follows: Option<String>,
    /// Whether it and its task are active.
    pub active: bool,
    /// When it is due first, should it be new or changed.
    pub due_at: Option<Timestamp>,
}

/// A trigger and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// The task.
    pub task: TaskId,
    /// The task's name.
    pub task_name: String,
    /// Unique in the task.
    pub name: String,
    /// Whose it is.
    pub company: CompanyId,
    /// Where it belongs.
    pub environment: EnvironmentId,
    /// What sets it off.
    pub kind: Kind,
    /// As the document says.
    pub definition: Value,
    /// The task whose ended runs it follows.
    pub follows: Option<String>,
    /// Whether it and its task are active.
    pub active: bool,
    /// When it is due next.
    pub due_at: Option<Timestamp>,
    /// Until then it starts nothing.
    pub paused_until: Option<Timestamp>,
    /// When it started a run last.
    pub fired_at: Option<Timestamp>,
    /// The run.
    pub fired_run: Option<RunId>,
    /// Why it cannot start anything.
    pub problem: Option<String>,
    /// The keyed hash of the webhook's token.
    pub token_hash: Option<Vec<u8>>,
    /// The webhook's sealed secret.
    pub sealed_secret: Option<Vec<u8>>,
}

/// What became of a trigger that was due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// The due time that was dealt with; nothing is changed if the trigger has another one meanwhile.
    pub due_at: Timestamp,
    /// The next one.
    pub next: Option<Timestamp>,
    /// The newest run that it started, and when.
    pub run: Option<(RunId, Timestamp)>,
    /// Why it cannot start anything.
    pub problem: Option<String>,
}

/// Which triggers to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TriggerFilter {
    /// Of this task.
    pub task: Option<TaskId>,
}

const COLUMNS: &str = "g.*, t.name AS task_name";
const FROM: &str = "task_trigger g JOIN task t ON t.id = g.task";

const TRIGGERS: Listing = Listing {
    columns: COLUMNS,
    from: FROM,
    id: "g.rowid",
    sorts: &[("task", "t.name"), ("name", "g.name"), ("due_at", "coalesce(g.due_at, 9223372036854775807)")],
    default_sort: "task",
};

impl Store {
    /// The triggers of an environment.
    pub async fn triggers(
        &self,
        environment: EnvironmentId,
        filter: TriggerFilter,
        request: ListRequest,
    ) -> Result<Page<Trigger>, Error> {
        let mut conditions = Filter::new("g.environment = ?", environment.to_string());
        conditions.and_if("g.task = ?", filter.task.map(|task| task.to_string()));
        self.read(move |sql| fetch(sql, &TRIGGERS, &conditions, &request, trigger_row)).await
    }

    /// One trigger of a task.
    pub async fn trigger(&self, environment: EnvironmentId, task: TaskId, name: &str) -> Result<Trigger, Error> {
        let name = name.to_owned();
        self.read(move |sql| {
            let text = format!("SELECT {COLUMNS} FROM {FROM} WHERE g.environment = ? AND g.task = ? AND g.name = ?");
            sql.prepare_cached(&text)?
                .query_row(params![Text(environment), Text(task), name], trigger_row)
                .optional()?
                .ok_or(Error::NotFound)
        })
        .await
    }

    /// The webhook with this token, whatever its environment: the token says whose it is.
    pub async fn trigger_by_token(&self, hash: Vec<u8>) -> Result<Trigger, Error> {
        self.read(move |sql| {
            sql.prepare_cached(&format!("SELECT {COLUMNS} FROM {FROM} WHERE g.token_hash = ?"))?
                .query_row([hash], trigger_row)
                .optional()?
                .ok_or(Error::NotFound)
        })
        .await
    }

    /// Active triggers of the installation that are due, the earliest first.
    pub async fn due_triggers(&self, now: Timestamp, limit: u32) -> Result<Vec<Trigger>, Error> {
        self.read(move |sql| {
            let text = format!(
                "SELECT {COLUMNS} FROM {FROM} WHERE g.due_at <= ? AND g.active ORDER BY g.due_at, g.task LIMIT ?"
            );
            let mut statement = sql.prepare_cached(&text)?;
            let rows = statement.query_map(params![Micros(now), limit], trigger_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Active triggers of the installation that are not due yet, or wait for nothing: to look at their times anew.
    pub async fn waiting_triggers(&self, now: Timestamp) -> Result<Vec<Trigger>, Error> {
        self.read(move |sql| {
            let text = format!(
                "SELECT {COLUMNS} FROM {FROM} WHERE g.active AND g.kind IN ('cron', 'every', 'at') \
                 AND (g.due_at > ? OR g.due_at IS NULL)"
            );
            let mut statement = sql.prepare_cached(&text)?;
            let rows = statement.query_map([Micros(now)], trigger_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Active triggers that follow a task's runs.
    pub async fn following_triggers(&self, environment: EnvironmentId, task: TaskId) -> Result<Vec<Trigger>, Error> {
        self.read(move |sql| {
            let text = format!(
                "SELECT {COLUMNS} FROM {FROM} WHERE g.environment = ?1 AND g.active \
                 AND g.follows = (SELECT name FROM task WHERE id = ?2) ORDER BY g.task, g.name"
            );
            let mut statement = sql.prepare_cached(&text)?;
            let rows = statement.query_map(params![Text(environment), Text(task)], trigger_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The tasks of an environment, each with the tasks that it follows, and those that its steps start.
    pub async fn task_facts(&self, environment: EnvironmentId) -> Result<Vec<TaskFacts>, Error> {
        self.read(move |sql| {
            let mut statement = sql.prepare_cached(
                "SELECT t.name, g.follows FROM task t LEFT JOIN task_trigger g ON g.task = t.id \
                 AND g.follows IS NOT NULL WHERE t.environment = ? AND t.deleted_at IS NULL ORDER BY t.name",
            )?;
            let rows = statement.query_map([Text(environment)], |row| {
                Ok((row.get::<_, String>("name")?, row.get::<_, Option<String>>("follows")?))
            })?;
            let mut facts: Vec<TaskFacts> = Vec::new();
            for row in rows {
                let (name, follows) = row?;
                match facts.last_mut().filter(|last| last.name == name) {
                    Some(last) => last.follows.extend(follows),
                    None => {
                        facts.push(TaskFacts { name, follows: follows.into_iter().collect(), calls: Vec::new() });
                    }
                }
            }
            let mut statement = sql.prepare_cached(
                "SELECT t.name, json_extract(s.value, '$.task') AS called \
                 FROM task t JOIN task_version v ON v.task = t.id AND v.number = t.number, json_each(v.parsed, '$.steps') s \
                 WHERE t.environment = ? AND t.deleted_at IS NULL AND json_extract(s.value, '$.task') IS NOT NULL",
            )?;
            let mut rows = statement.query([Text(environment)])?;
            while let Some(row) = rows.next()? {
                let (name, called): (String, String) = (row.get("name")?, row.get("called")?);
                facts.iter_mut().filter(|facts| facts.name == name).for_each(|facts| facts.calls.push(called.clone()));
            }
            Ok(facts)
        })
        .await
    }

    /// When something is due next: a trigger, or a run that will be late.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        self.read(|sql| {
            let mut statement = sql.prepare_cached(
                "SELECT min(at) FROM (SELECT min(due_at) AS at FROM task_trigger WHERE due_at IS NOT NULL AND active \
                 UNION ALL SELECT min(late_at) FROM run \
                 WHERE late_at IS NOT NULL AND late_since IS NULL AND finished_at IS NULL)",
            )?;
            Ok(statement.query_row([], |row| row.get::<_, Option<Micros>>(0))?.map(|at| at.0))
        })
        .await
    }

    /// Moves a trigger on to its next time, unless somebody has changed it meanwhile.
    pub async fn trigger_fired(&self, task: TaskId, name: &str, fired: Fired) -> Result<(), Error> {
        let name = name.to_owned();
        self.record(move |sql| {
            let (run, at) = fired.run.unzip();
            sql.prepare_cached(
                "UPDATE task_trigger SET due_at = ?4, fired_run = coalesce(?5, fired_run), \
                 fired_at = coalesce(?6, fired_at), problem = ?7 WHERE task = ?1 AND name = ?2 AND due_at = ?3",
            )?
            .execute(params![
                Text(task),
                name,
                Micros(fired.due_at),
                fired.next.map(Micros),
                run.map(Text),
                at.map(Micros),
                fired.problem
            ])?;
            Ok(())
        })
        .await
    }

    /// Sets when a trigger is due, if it still has the time that the caller saw.
    pub async fn rearm_trigger(
        &self,
        task: TaskId,
        name: &str,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<(), Error> {
        let name = name.to_owned();
        self.write(move |sql| {
            sql.execute(
                "UPDATE task_trigger SET due_at = ?4, problem = NULL WHERE task = ?1 AND name = ?2 AND due_at IS ?3",
                params![Text(task), name, from.map(Micros), to.map(Micros)],
            )?;
            Ok(())
        })
        .await
    }

    /// Notes that a trigger without times has started a run, or why it could not.
    pub async fn note_trigger(
        &self,
        task: TaskId,
        name: &str,
        outcome: Result<RunId, String>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let name = name.to_owned();
        self.record(move |sql| {
            let (run, problem) = match outcome {
                Ok(run) => (Some(run), None),
                Err(problem) => (None, Some(problem)),
            };
            sql.prepare_cached(
                "UPDATE task_trigger SET fired_run = coalesce(?3, fired_run), \
                 fired_at = CASE WHEN ?3 IS NULL THEN fired_at ELSE ?4 END, problem = ?5 WHERE task = ?1 AND name = ?2",
            )?
            .execute(params![Text(task), name, run.map(Text), Micros(now), problem])?;
            Ok(())
        })
        .await
    }

    /// Stops a trigger until a time, or lets it go on (`None`) with its next time.
    pub async fn pause_trigger(
        &self,
        task: TaskId,
        name: &str,
        until: Option<Timestamp>,
        due_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        let name = name.to_owned();
        self.write(move |sql| {
            let changed = sql.execute(
                "UPDATE task_trigger SET paused_until = ?3, due_at = CASE WHEN active THEN ?4 END \
                 WHERE task = ?1 AND name = ?2",
                params![Text(task), name, until.map(Micros), due_at.map(Micros)],
            )?;
            if changed == 0 { Err(Error::NotFound) } else { Ok(()) }
        })
        .await
    }

    /// Gives a webhook a new token and secret; the old ones are worth nothing from now on.
    pub async fn set_trigger_token(
        &self,
        task: TaskId,
        name: &str,
        token_hash: Vec<u8>,
        sealed_secret: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let name = name.to_owned();
        self.write(move |sql| {
            let changed = sql.execute(
                "UPDATE task_trigger SET token_hash = ?3, sealed_secret = ?4 \
                 WHERE task = ?1 AND name = ?2 AND kind = 'webhook'",
                params![Text(task), name, token_hash, sealed_secret],
            )?;
            if changed == 0 { Err(Error::NotFound) } else { Ok(()) }
        })
        .await
    }

    /// Marks the runs that are late, each with a line in its log; answers which.
    pub async fn mark_late(&self, now: Timestamp) -> Result<Vec<RunId>, Error> {
        self.record(move |sql| {
            let mut statement = sql.prepare_cached(
                "UPDATE run SET late_since = ?1 WHERE late_at <= ?1 AND late_since IS NULL AND finished_at IS NULL \
                 RETURNING id",
            )?;
            let rows = statement.query_map([Micros(now)], |row| row.get::<_, Text<RunId>>(0))?;
            let runs: Vec<RunId> = rows.map(|row| row.map(|id| id.0)).collect::<rusqlite::Result<_>>()?;
            for run in &runs {
                let message = "the run is late: it has not ended within its trigger's `late_after`".to_owned();
                let line = RunLogLine { step: None, attempt: None, at: now, level: LogLevel::Warning, message };
                insert_run_lines(sql, *run, &[line])?;
                outbox::note(sql, *run, Happening::Late)?;
            }
            Ok(runs)
        })
        .await
    }
}

/// Makes a task's triggers be those of the version that is saved.
pub(crate) fn replace(
    sql: &Sqlite,
    environment: EnvironmentId,
    task: TaskId,
    triggers: &[NewTrigger],
    now: Timestamp,
) -> Result<(), Error> {
    let company = company_of(sql, environment)?;
    let mut known = sql.prepare_cached("SELECT name FROM task_trigger WHERE task = ?")?;
    let known: Vec<String> =
        known.query_map([Text(task)], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    for gone in known.iter().filter(|name| !triggers.iter().any(|trigger| trigger.name == **name)) {
        sql.execute("DELETE FROM task_trigger WHERE task = ? AND name = ?", params![Text(task), gone])?;
    }
    let mut put = sql.prepare_cached(
        "INSERT INTO task_trigger(task, name, company, environment, kind, definition, follows, active, due_at, \
         created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
         ON CONFLICT (task, name) DO UPDATE SET \
         due_at = CASE WHEN active AND excluded.active AND definition = excluded.definition THEN due_at \
           ELSE excluded.due_at END, \
         problem = CASE WHEN definition = excluded.definition THEN problem END, \
         token_hash = CASE WHEN kind = excluded.kind THEN token_hash END, \
         sealed_secret = CASE WHEN kind = excluded.kind THEN sealed_secret END, \
         kind = excluded.kind, definition = excluded.definition, follows = excluded.follows, active = excluded.active",
    )?;
    for trigger in triggers {
        put.execute(params![
            Text(task),
            trigger.name,
            Text(company),
            Text(environment),
            Text(trigger.kind),
            Json(&trigger.definition),
            trigger.follows,
            trigger.active,
            trigger.due_at.map(Micros),
            Micros(now)
        ])?;
    }
    Ok(())
}

/// Removes the triggers of a task that is removed.
pub(crate) fn remove(sql: &Sqlite, task: TaskId) -> Result<(), Error> {
    sql.execute("DELETE FROM task_trigger WHERE task = ?", [Text(task)])?;
    Ok(())
}

fn trigger_row(row: &Row<'_>) -> rusqlite::Result<Trigger> {
    let time = |column| row.get::<_, Option<Micros>>(column).map(|at| at.map(|at| at.0));
    Ok(Trigger {
        task: row.get::<_, Text<_>>("task")?.0,
        task_name: row.get("task_name")?,
        name: row.get("name")?,
        company: row.get::<_, Text<_>>("company")?.0,
        environment: row.get::<_, Text<_>>("environment")?.0,
        kind: row.get::<_, Text<_>>("kind")?.0,
        definition: row.get::<_, Json<_>>("definition")?.0,
        follows: row.get("follows")?,
        active: row.get("active")?,
        due_at: time("due_at")?,
        paused_until: time("paused_until")?,
        fired_at: time("fired_at")?,
        fired_run: row.get::<_, Option<Text<_>>>("fired_run")?.map(|id| id.0),
        problem: row.get("problem")?,
        token_hash: row.get("token_hash")?,
        sealed_secret: row.get("sealed_secret")?,
    })
}
