//! Tasks: documents with versions.

pub(crate) mod check;
pub(crate) mod preview;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use sallyport_domain::plan::{check_calls, plan};
use sallyport_domain::task::{self, parse};
use sallyport_domain::trigger;
use sallyport_store::{NewTask, Task, TaskFilter, TaskVersion};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use similar::TextDiff;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::http::extract::{IfMatch, Params, Path, SomeIfMatch, Text, etag, located};
use crate::http::page::{PageView, Paging};
use crate::http::problem::{Code, FieldProblem, Problem, Result};
use crate::http::time::rfc3339;
use crate::http::who::Who;
use crate::schedule;

/// Lines around a change in a diff.
const DIFF_CONTEXT: usize = 3;

/// A task in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskSummary {
    /// `task_...`
    id: String,
    /// Unique in the environment.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// Whether it may be run.
    active: bool,
    /// How many steps it has.
    steps: usize,
    /// The current version's number; the `ETag`.
    version: i64,
    /// Who wrote this version.
    author: String,
    /// When the task was made.
    created_at: String,
    /// When it was changed last.
    updated_at: String,
}

/// A task.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskView {
    /// What lists show.
    summary: TaskSummary,
    /// As it was written.
    document: String,
    /// As it was understood, with every default.
    #[schema(value_type = Object)]
    parsed: Value,
}

/// A saved version.
#[derive(Serialize, ToSchema)]
pub(crate) struct VersionView {
    /// `taskver_...`
    id: String,
    /// From 1.
    version: i64,
    /// Who wrote it.
    author: String,
    /// When.
    created_at: String,
    /// As it was written.
    document: String,
}

/// What would happen.
#[derive(Serialize, ToSchema)]
pub(crate) struct DryRun {
    /// The task's name, if the document says it.
    task: Option<String>,
    /// `create`, `change`, `none` or, with problems, `refuse`.
    action: &'static str,
    /// From what stands to what was sent, as a unified diff.
    diff: String,
    /// Every field that is not right.
    problems: Vec<FieldProblem>,
}

/// Which tasks to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filters {
    /// Active or inactive ones only.
    active: Option<bool>,
    /// Part of the name.
    search: Option<String>,
}

/// Whether to only say what would happen.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Mode {
    /// Check and compare, save nothing.
    #[serde(default)]
    dry_run: bool,
}

impl From<Task> for TaskSummary {
    fn from(task: Task) -> Self {
        let parsed = &task.current.parsed;
        Self {
            id: task.id.to_string(),
            name: task.name,
            description: parsed.get("description").and_then(Value::as_str).map(ToOwned::to_owned),
            active: task.active,
            steps: parsed.get("steps").and_then(Value::as_array).map_or(0, Vec::len),
            version: task.current.number,
            author: task.current.author,
            created_at: rfc3339(task.created_at),
            updated_at: rfc3339(task.updated_at),
        }
    }
}

impl From<Task> for TaskView {
    fn from(task: Task) -> Self {
        let (document, parsed) = (task.current.document.clone(), task.current.parsed.clone());
        Self { document, parsed, summary: task.into() }
    }
}

impl From<TaskVersion> for VersionView {
    fn from(version: TaskVersion) -> Self {
        Self {
            id: version.id.to_string(),
            version: version.number,
            author: version.author,
            created_at: rfc3339(version.created_at),
            document: version.document,
        }
    }
}

/// The tasks. Sorts: name, created_at, updated_at.
#[utoipa::path(get, path = "/tasks", tag = "tasks", params(Filters, Paging),
    responses((status = 200, body = PageView<TaskSummary>)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Who,
    Params(filters): Params<Filters>,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<TaskSummary>>> {
    let filter = TaskFilter { active: filters.active, search: filters.search };
    Ok(Json(app.store.tasks(who.environment.id, filter, paging.into()).await?.map(TaskSummary::from).into()))
}

/// Add a task. The body is the document, YAML or JSON. With `dry_run` nothing is saved and a task of this name may
/// stand already: the answer compares the two.
#[utoipa::path(post, path = "/tasks", tag = "tasks", params(Mode), request_body(content = String, content_type = "application/yaml"),
    responses((status = 201, body = TaskView), (status = 200, body = DryRun, description = "With `dry_run`")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    who: Who,
    Params(mode): Params<Mode>,
    Text(document): Text,
) -> Result<Response> {
    if mode.dry_run {
        return Ok(Json(rehearse(&app, &who, document, None).await?).into_response());
    }
    let new = checked(&app, &who, document).await?;
    let task = app.store.create_task(who.environment.id, new).await?;
    app.live.schedule.changed();
    tracing::info!(task = %task.id, name = task.name, by = %who.person.id, "task added");
    let headers = located(etag(task.current.number), &format!("/api/v1/tasks/{}", task.id));
    Ok((StatusCode::CREATED, headers, Json(TaskView::from(task))).into_response())
}

/// The JSON Schema of task documents, for editors.
#[utoipa::path(get, path = "/task-schema", tag = "tasks", security(()), responses((status = 200, body = Object)))]
pub(crate) async fn schema() -> Json<Value> {
    Json(task::schema())
}

/// One task.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks", params(("id" = String, Path, description = "Id or name")),
    responses((status = 200, body = TaskView)))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<(HeaderMap, Json<TaskView>)> {
    let task = find(&app, &who, &id).await?;
    Ok((etag(task.current.number), Json(task.into())))
}

/// Save a new version of a task. Runs that go on keep the version they were started with.
#[utoipa::path(put, path = "/tasks/{id}", tag = "tasks", request_body(content = String, content_type = "application/yaml"),
    params(("id" = String, Path, description = "Id or name"), ("If-Match" = String, Header, description = "The ETag, or *"), Mode),
    responses((status = 200, body = TaskView)))]
pub(crate) async fn replace(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Params(mode): Params<Mode>,
    expected: Result<IfMatch>,
    Text(document): Text,
) -> Result<Response> {
    let task = find(&app, &who, &id).await?;
    if mode.dry_run {
        return Ok(Json(rehearse(&app, &who, document, Some(task)).await?).into_response());
    }
    let IfMatch(expected) = expected?;
    let new = checked(&app, &who, document).await?;
    let task = app.store.edit_task(who.environment.id, task.id, expected, new).await?;
    app.live.schedule.changed();
    tracing::info!(task = %task.id, version = task.current.number, by = %who.person.id, "task saved");
    Ok((etag(task.current.number), Json(TaskView::from(task))).into_response())
}

/// Remove a task; its runs stay to be read. Refused while one of them goes on.
#[utoipa::path(delete, path = "/tasks/{id}", tag = "tasks",
    params(("id" = String, Path, description = "Id or name"), ("If-Match" = Option<String>, Header, description = "The ETag")),
    responses((status = 204, description = "Removed")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    SomeIfMatch(expected): SomeIfMatch,
) -> Result<StatusCode> {
    let task = find(&app, &who, &id).await?;
    app.store.delete_task(who.environment.id, task.id, expected, app.clock.now()).await?;
    tracing::info!(task = %task.id, by = %who.person.id, "task removed");
    Ok(StatusCode::NO_CONTENT)
}

/// The versions of a task, the newest first. Sorts: number.
#[utoipa::path(get, path = "/tasks/{id}/versions", tag = "tasks",
    params(("id" = String, Path, description = "Id or name"), Paging),
    responses((status = 200, body = PageView<VersionView>)))]
pub(crate) async fn versions(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<VersionView>>> {
    let task = find(&app, &who, &id).await?;
    let page = app.store.task_versions(who.environment.id, task.id, paging.into()).await?;
    Ok(Json(page.map(VersionView::from).into()))
}

/// A task of the asker's environment.
pub(crate) async fn find(app: &App, who: &Who, id_or_name: &str) -> Result<Task> {
    app.store.task(who.environment.id, id_or_name).await.map_err(Problem::naming("task", id_or_name))
}

/// The document as it would be kept, or everything that is wrong with it.
async fn problems(app: &App, who: &Who, document: &str) -> Result<std::result::Result<task::Task, Vec<FieldProblem>>> {
    let world = app.world(who.environment.id).await?;
    let others = app.store.task_facts(who.environment.id).await?;
    let called = called(app, who, document).await?;
    let text = document.to_owned();
    // Schemas of many steps take a while to compile.
    let checked = tokio::task::spawn_blocking(move || -> std::result::Result<task::Task, Vec<task::Problem>> {
        let task = parse(&text)?;
        let wrong: Vec<_> =
            trigger::check(&task, &others).into_iter().chain(check_calls(&task, &others, &called)).collect();
        match plan(&task, &world) {
            Ok(_) if wrong.is_empty() => Ok(task),
            planned => Err(planned.err().into_iter().flatten().chain(wrong).collect()),
        }
    });
    let checked = checked.await.map_err(|error| Problem::internal(&error.into()))?;
    Ok(checked.map_err(|problems| problems.into_iter().map(FieldProblem::from).collect()))
}

/// The parameters of the tasks that a document's steps start, as far as there are such tasks.
async fn called(app: &App, who: &Who, document: &str) -> Result<Vec<(String, Vec<task::Parameter>)>> {
    let text = document.to_owned();
    let parsed = tokio::task::spawn_blocking(move || parse(&text)).await;
    // What is wrong with it is said later.
    let Ok(task) = parsed.map_err(|error| Problem::internal(&error.into()))? else { return Ok(Vec::new()) };
    let mut called: Vec<(String, Vec<task::Parameter>)> = Vec::new();
    for name in task.steps.into_iter().filter_map(|step| step.task) {
        if called.iter().any(|(known, _)| *known == name) {
            continue;
        }
        match app.store.task(who.environment.id, &name).await {
            Ok(found) => {
                let parsed: std::result::Result<task::Task, _> = serde_json::from_value(found.current.parsed);
                called.push((name, parsed.map(|task| task.parameters).unwrap_or_default()));
            }
            Err(sallyport_store::Error::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(called)
}

async fn checked(app: &App, who: &Who, document: String) -> Result<NewTask> {
    match problems(app, who, &document).await? {
        Ok(task) => Ok(NewTask {
            parsed: serde_json::to_value(&task).map_err(|error| Problem::internal(&error.into()))?,
            triggers: schedule::saved(&task, app.clock.now()).map_err(|error| Problem::internal(&error.into()))?,
            name: task.task,
            active: task.active,
            document,
            author: who.name(),
            now: app.clock.now(),
        }),
        Err(problems) => {
            let detail = match problems.as_slice() {
                [only] => only.message.clone(),
                all => format!("the task has {} problems; `problems` names every field", all.len()),
            };
            Err(Problem::new(Code::InvalidTask, detail).with(problems))
        }
    }
}

async fn rehearse(app: &App, who: &Who, document: String, standing: Option<Task>) -> Result<DryRun> {
    let checked = problems(app, who, &document).await?;
    let name = checked.as_ref().ok().map(|task| task.task.clone());
    let standing = match (standing, &name) {
        (Some(task), _) => Some(task),
        (None, Some(name)) => match app.store.task(who.environment.id, name).await {
            Ok(task) => Some(task),
            Err(sallyport_store::Error::NotFound) => None,
            Err(error) => return Err(error.into()),
        },
        (None, None) => None,
    };
    let before = standing.as_ref().map_or("", |task| task.current.document.as_str());
    let diff = TextDiff::from_lines(before, document.as_str())
        .unified_diff()
        .context_radius(DIFF_CONTEXT)
        .header("stands", "sent")
        .to_string();
    let problems = checked.err().unwrap_or_default();
    let action = match &standing {
        _ if !problems.is_empty() => "refuse",
        None => "create",
        Some(task) if task.current.document == document => "none",
        Some(_) => "change",
    };
    Ok(DryRun { task: name, action, diff, problems })
}
