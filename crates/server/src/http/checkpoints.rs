//! Checkpoints of a task's incremental reads: shown, set and cleared, with their history.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use sallyport_domain::plan::plan;
use sallyport_protocol::CHECKPOINT_BYTES_MAX;
use sallyport_store::{Checkpoint, CheckpointChange, CheckpointEdit, CheckpointKey, Task};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::http::extract::Params;
use crate::http::page::{PageView, Paging};
use crate::http::problem::{Code, Problem, Result};
use crate::http::time::rfc3339;
use crate::http::who::Who;

/// How far an incremental read is committed.
#[derive(Serialize, ToSchema)]
pub(crate) struct CheckpointView {
    /// The reading step.
    step: String,
    /// The step that writes its rows.
    sink: String,
    /// How far; null: nothing was read yet, or everything will be read again.
    checkpoint: Option<Value>,
    /// Commits since a person has changed it last.
    sequence: u64,
    /// The run that has committed it.
    run: Option<String>,
    /// Who has changed it last; null: nobody yet.
    changed_by: Option<String>,
    /// When it was changed last.
    changed_at: Option<String>,
}

/// A change of a checkpoint.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangeView {
    /// The reading step.
    step: String,
    /// The step that writes its rows.
    sink: String,
    /// committed, set, cleared, full_refresh.
    action: String,
    /// The new value.
    checkpoint: Option<Value>,
    /// Rows that were committed with it.
    rows: Option<u64>,
    /// The run that did it.
    run: Option<String>,
    /// Who did it, or started that run.
    who: String,
    /// When.
    at: String,
}

/// Where a step is to go on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetBody {
    /// The reading step; may be left out where the task has one.
    step: Option<String>,
    /// The cursor's value up to which all is considered read, as text or number, or a whole checkpoint as an object.
    checkpoint: Value,
}

/// Which checkpoint.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// The reading step; may be left out where the task has one.
    step: Option<String>,
}

impl CheckpointView {
    fn of(key: &CheckpointKey, kept: Option<Checkpoint>) -> Self {
        let changed = kept.as_ref().filter(|kept| !kept.who.is_empty());
        Self {
            step: key.source.clone(),
            sink: key.sink.clone(),
            changed_by: changed.map(|kept| kept.who.clone()),
            changed_at: changed.map(|kept| rfc3339(kept.changed_at)),
            sequence: kept.as_ref().map_or(0, |kept| kept.sequence),
            run: kept.as_ref().and_then(|kept| kept.run).map(|run| run.to_string()),
            checkpoint: kept.and_then(|kept| kept.value),
        }
    }
}

impl From<CheckpointChange> for ChangeView {
    fn from(change: CheckpointChange) -> Self {
        Self {
            step: change.source,
            sink: change.sink,
            action: change.action,
            checkpoint: change.value,
            rows: change.rows,
            run: change.run.map(|run| run.to_string()),
            who: change.who,
            at: rfc3339(change.at),
        }
    }
}

/// How far the incremental steps of a task are.
#[utoipa::path(get, path = "/tasks/{id}/checkpoints", tag = "checkpoints",
    params(("id" = String, Path, description = "Id or name of the task")),
    responses((status = 200, body = PageView<CheckpointView>)))]
pub(crate) async fn list(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Json<Value>> {
    let task = crate::http::tasks::find(&app, &who, &id).await?;
    let mut kept = app.store.checkpoints(who.environment.id, task.id).await?;
    let mut views = Vec::new();
    for key in keys(&app, &who, &task).await? {
        let place = kept.iter().position(|one| one.source == key.source && one.sink == key.sink);
        views.push(CheckpointView::of(&key, place.map(|place| kept.remove(place))));
    }
    // Those of steps that the task no longer has.
    for one in kept {
        let key = CheckpointKey { task: task.id, source: one.source.clone(), sink: one.sink.clone() };
        views.push(CheckpointView::of(&key, Some(one)));
    }
    Ok(Json(json!({ "total": views.len(), "items": views, "next_cursor": null })))
}

/// Say where a step goes on with its next run. What its target keeps no longer counts.
#[utoipa::path(put, path = "/tasks/{id}/checkpoints", tag = "checkpoints", request_body = SetBody,
    params(("id" = String, Path, description = "Id or name of the task")),
    responses((status = 200, body = CheckpointView)))]
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Json(body): Json<SetBody>,
) -> Result<Json<CheckpointView>> {
    let value = match body.checkpoint {
        value @ (Value::String(_) | Value::Number(_)) => json!({ "value": value }),
        value @ Value::Object(_) if value.to_string().len() <= CHECKPOINT_BYTES_MAX => value,
        _ => {
            let message = format!("expected a text, a number, or an object of at most {CHECKPOINT_BYTES_MAX} bytes");
            return Err(Problem::field("/checkpoint", "type", message));
        }
    };
    change(&app, &who, &id, body.step.as_deref(), Some(value)).await
}

/// Forget how far a step is: its next run reads everything.
#[utoipa::path(delete, path = "/tasks/{id}/checkpoints", tag = "checkpoints",
    params(("id" = String, Path, description = "Id or name of the task"), Which),
    responses((status = 200, body = CheckpointView)))]
pub(crate) async fn clear(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Params(which): Params<Which>,
) -> Result<Json<CheckpointView>> {
    change(&app, &who, &id, which.step.as_deref(), None).await
}

/// What has moved the checkpoints of a task, the newest first. Sorts: at.
#[utoipa::path(get, path = "/tasks/{id}/checkpoints/history", tag = "checkpoints",
    params(("id" = String, Path, description = "Id or name of the task"), Which, Paging),
    responses((status = 200, body = PageView<ChangeView>)))]
pub(crate) async fn history(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Params(which): Params<Which>,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<ChangeView>>> {
    let task = crate::http::tasks::find(&app, &who, &id).await?;
    let page = app.store.checkpoint_changes(who.environment.id, task.id, which.step, paging.into()).await?;
    Ok(Json(page.map(ChangeView::from).into()))
}

async fn change(
    app: &App,
    who: &Who,
    id: &str,
    step: Option<&str>,
    value: Option<Value>,
) -> Result<Json<CheckpointView>> {
    let task = crate::http::tasks::find(app, who, id).await?;
    let mut keys = keys(app, who, &task).await?;
    keys.retain(|key| step.is_none_or(|step| key.source == step));
    let key = match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => key,
        (Some(_), false) => {
            let message = format!("task `{id}` has several steps that read incrementally; say which in `step`");
            return Err(Problem::field("/step", "ambiguous", message));
        }
        (None, _) => {
            let message = match step {
                Some(step) => format!("no active step `{step}` of task `{id}` reads incrementally"),
                None => format!("no active step of task `{id}` reads incrementally"),
            };
            return Err(Problem::new(Code::NotFound, message));
        }
    };
    let edit = CheckpointEdit { value, who: who.name(), now: app.clock.now() };
    let kept = app.store.edit_checkpoint(who.environment.id, key.clone(), edit).await?;
    tracing::info!(task = %task.id, step = key.source, by = %who.person.id, "checkpoint changed");
    Ok(Json(CheckpointView::of(&key, Some(kept))))
}

/// The incremental reads of a task as it stands; none where it does not fit its environment.
async fn keys(app: &App, who: &Who, task: &Task) -> Result<Vec<CheckpointKey>> {
    let Ok(document) = serde_json::from_value(task.current.parsed.clone()) else { return Ok(Vec::new()) };
    let world = app.world(who.environment.id).await?;
    let Ok(plan) = plan(&document, &world) else { return Ok(Vec::new()) };
    let name = |step: usize| plan.steps[step].name.clone();
    let key = |stream: sallyport_domain::plan::Stream| CheckpointKey {
        task: task.id,
        source: name(stream.source),
        sink: name(stream.sink),
    };
    Ok(plan.streams().map(key).collect())
}
