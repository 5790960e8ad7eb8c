//! Tasks and their versions. A version is never changed: an edit adds one.

use rusqlite::{Connection as Sqlite, OptionalExtension, Row, params};
use sallyport_protocol::{CompanyId, EnvironmentId, TaskId, TaskVersionId, Timestamp};
use serde_json::Value;

use crate::company::company_of;
use crate::error::taken;
use crate::page::{Filter, Listing, fetch};
use crate::row::{Json, Micros, Text};
use crate::trigger::{self, NewTrigger};
use crate::{Error, ListRequest, Page, Store};

/// A task with its current version.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub company: CompanyId,
    /// Where it belongs.
    pub environment: EnvironmentId,
    /// Unique in the environment, case ignored.
    pub name: String,
    /// Whether it may be run.
    pub active: bool,
    /// The version that runs.
    pub current: TaskVersion,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was edited last.
    pub updated_at: Timestamp,
}

/// One saved version.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskVersion {
    /// Its id.
    pub id: TaskVersionId,
    /// The task.
    pub task: TaskId,
    /// From 1; also the task's version for optimistic edits.
    pub number: i64,
    /// As it was written.
    pub document: String,
    /// As it was understood.
    pub parsed: Value,
    /// Who wrote it.
    pub author: String,
    /// When.
    pub created_at: Timestamp,
}

/// A version to save.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTask {
    /// From the document.
    pub name: String,
    /// From the document.
    pub active: bool,
    /// As it was written.
    pub document: String,
    /// As it was understood.
    pub parsed: Value,
    /// What starts it by itself.
    pub triggers: Vec<NewTrigger>,
    /// Who writes.
    pub author: String,
    /// Now.
    pub now: Timestamp,
}

/// Which tasks to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Active or inactive only.
    pub active: Option<bool>,
    /// Part of the name.
    pub search: Option<String>,
}

const COLUMNS: &str = "t.id AS task_id, t.company, t.environment, t.name, t.active, t.created_at AS made_at, \
                       t.updated_at, v.id, v.task, v.number, v.document, v.parsed, v.author, v.created_at";
const FROM: &str = "task t JOIN task_version v ON v.task = t.id AND v.number = t.number";

const TASKS: Listing = Listing {
    columns: COLUMNS,
    from: FROM,
    id: "t.id",
    sorts: &[("name", "t.name"), ("created_at", "t.created_at"), ("updated_at", "t.updated_at")],
    default_sort: "name",
};

const VERSIONS: Listing = Listing {
    columns: "v.*",
    from: "task_version v",
    id: "v.id",
    sorts: &[("number", "v.number")],
    default_sort: "-number",
};

impl Store {
    /// Adds a task with its first version.
    pub async fn create_task(&self, environment: EnvironmentId, new: NewTask) -> Result<Task, Error> {
        self.write(move |sql| {
            let id = TaskId::new();
            taken(
                sql.execute(
                    "INSERT INTO task(id, company, environment, name, active, number, created_at, updated_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?6)",
                    params![
                        Text(id),
                        Text(company_of(sql, environment)?),
                        Text(environment),
                        new.name,
                        new.active,
                        Micros(new.now)
                    ],
                ),
                "task name",
            )?;
            add_version(sql, environment, id, &new)
        })
        .await
    }

    /// Adds a version to a task if it still has the one the caller saw (any, if `None`). The same document again adds
    /// none.
    pub async fn edit_task(
        &self,
        environment: EnvironmentId,
        id: TaskId,
        expected: Option<i64>,
        new: NewTask,
    ) -> Result<Task, Error> {
        self.write(move |sql| {
            let task = expect(sql, environment, id, expected)?;
            if task.current.document == new.document {
                return Ok(task);
            }
            add_version(sql, environment, id, &new)
        })
        .await
    }

    /// Removes a task; its runs and versions stay. Refused while a run of it is open.
    pub async fn delete_task(
        &self,
        environment: EnvironmentId,
        id: TaskId,
        expected: Option<i64>,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |sql| {
            expect(sql, environment, id, expected)?;
            let open: Option<String> = sql
                .query_row(
                    "SELECT id FROM run WHERE task = ? AND finished_at IS NULL LIMIT 1",
                    params![Text(id)],
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(run) = open {
                return Err(Error::InUse { by: format!("run {run}") });
            }
            sql.execute("UPDATE task SET deleted_at = ? WHERE id = ?", params![Micros(now), Text(id)])?;
            trigger::remove(sql, id)?;
            Ok(())
        })
        .await
    }

    /// A task of the environment, by id or name.
    pub async fn task(&self, environment: EnvironmentId, id_or_name: &str) -> Result<Task, Error> {
        let wanted = id_or_name.to_owned();
        self.read(move |sql| find(sql, environment, &wanted)).await
    }

    /// The tasks of an environment.
    pub async fn tasks(
        &self,
        environment: EnvironmentId,
        filter: TaskFilter,
        request: ListRequest,
    ) -> Result<Page<Task>, Error> {
        let mut conditions = Filter::new("t.environment = ?", environment.to_string());
        conditions
            .always("t.deleted_at IS NULL")
            .and_if("t.active = ?", filter.active)
            .and_if("instr(lower(t.name), lower(?)) > 0", filter.search);
        self.list(move |sql| fetch(sql, &TASKS, &conditions, &request, task_row)).await
    }

    /// The versions of a task, the newest first.
    pub async fn task_versions(
        &self,
        environment: EnvironmentId,
        task: TaskId,
        request: ListRequest,
    ) -> Result<Page<TaskVersion>, Error> {
        let mut conditions = Filter::new("v.environment = ?", environment.to_string());
        conditions.and("v.task = ?", task.to_string());
        self.list(move |sql| fetch(sql, &VERSIONS, &conditions, &request, version_row)).await
    }

    /// The current versions of the environment's tasks, inactive ones included.
    pub async fn current_tasks(&self, environment: EnvironmentId) -> Result<Vec<TaskVersion>, Error> {
        self.read(move |sql| current_versions(sql, environment)).await
    }

    /// One version, by its id: for a run, which keeps the version it was started with.
    pub async fn task_version(&self, id: TaskVersionId) -> Result<TaskVersion, Error> {
        self.read(move |sql| {
            sql.query_row("SELECT v.* FROM task_version v WHERE v.id = ?", params![Text(id)], version_row)
                .optional()?
                .ok_or(Error::NotFound)
        })
        .await
    }
}

/// The current versions of the environment's tasks.
pub(crate) fn current_versions(sql: &Sqlite, environment: EnvironmentId) -> Result<Vec<TaskVersion>, Error> {
    let text = format!("SELECT v.* FROM {FROM} WHERE t.environment = ? AND t.deleted_at IS NULL ORDER BY t.name");
    let mut statement = sql.prepare_cached(&text)?;
    let rows = statement.query_map(params![Text(environment)], version_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn add_version(sql: &Sqlite, environment: EnvironmentId, id: TaskId, new: &NewTask) -> Result<Task, Error> {
    let changed = sql.query_row(
        "UPDATE task SET name = ?, active = ?, number = number + 1, updated_at = ? WHERE id = ? RETURNING number",
        params![new.name, new.active, Micros(new.now), Text(id)],
        |row| row.get::<_, i64>(0),
    );
    let number = taken(changed, "task name")?;
    sql.execute(
        "INSERT INTO task_version(id, task, company, environment, number, document, parsed, author, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            Text(TaskVersionId::new()),
            Text(id),
            Text(company_of(sql, environment)?),
            Text(environment),
            number,
            new.document,
            Json(&new.parsed),
            new.author,
            Micros(new.now)
        ],
    )?;
    trigger::replace(sql, environment, id, &new.triggers, new.now)?;
    find(sql, environment, &id.to_string())
}

fn expect(sql: &Sqlite, environment: EnvironmentId, id: TaskId, expected: Option<i64>) -> Result<Task, Error> {
    let task = find(sql, environment, &id.to_string())?;
    match expected {
        Some(version) if version != task.current.number => Err(Error::Stale { current: task.current.number }),
        _ => Ok(task),
    }
}

pub(crate) fn find(sql: &Sqlite, environment: EnvironmentId, id_or_name: &str) -> Result<Task, Error> {
    let text = format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE t.environment = ?1 AND (t.id = ?2 OR t.name = ?2) \
         AND t.deleted_at IS NULL ORDER BY t.id = ?2 DESC LIMIT 1"
    );
    sql.prepare_cached(&text)?
        .query_row(params![Text(environment), id_or_name], task_row)
        .optional()?
        .ok_or(Error::NotFound)
}

fn task_row(row: &Row<'_>) -> rusqlite::Result<Task> {
    Ok(Task {
        id: row.get::<_, Text<_>>("task_id")?.0,
        company: row.get::<_, Text<_>>("company")?.0,
        environment: row.get::<_, Text<_>>("environment")?.0,
        name: row.get("name")?,
        active: row.get("active")?,
        current: version_row(row)?,
        created_at: row.get::<_, Micros>("made_at")?.0,
        updated_at: row.get::<_, Micros>("updated_at")?.0,
    })
}

fn version_row(row: &Row<'_>) -> rusqlite::Result<TaskVersion> {
    Ok(TaskVersion {
        id: row.get::<_, Text<_>>("id")?.0,
        task: row.get::<_, Text<_>>("task")?.0,
        number: row.get("number")?,
        document: row.get("document")?,
        parsed: row.get::<_, Json<_>>("parsed")?.0,
        author: row.get("author")?,
        created_at: row.get::<_, Micros>("created_at")?.0,
    })
}
