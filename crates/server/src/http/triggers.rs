//! Triggers: what starts tasks by itself, and when.

pub(crate) mod change;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use sallyport_domain::trigger::{Kind, TaskFacts};
use sallyport_protocol::Timestamp;
use sallyport_store::{Trigger, TriggerFilter};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::http::extract::Params;
use crate::http::page::{PageView, Paging};
use crate::http::problem::{Problem, Result};
use crate::http::time::{maybe_rfc3339, rfc3339};
use crate::http::who::Who;
use crate::schedule::{paused, understood};

/// How many coming times are shown.
const NEXT: usize = 5;

/// How many may be asked for.
const NEXT_MAX: usize = 100;

/// A trigger.
#[derive(Serialize, ToSchema)]
pub(crate) struct TriggerView {
    /// The task's name.
    task: String,
    /// `task_...`
    task_id: String,
    /// Unique in the task.
    name: String,
    /// cron, every, at, webhook, after.
    kind: String,
    /// Whether it and its task are active.
    active: bool,
    /// As the task's document says.
    #[schema(value_type = Object)]
    definition: Value,
    /// The next times, five or as many as were asked for; none for webhooks and after other tasks.
    next: Vec<String>,
    /// Whether it is paused.
    paused: bool,
    /// Until when it is paused; null also means until it is resumed.
    paused_until: Option<String>,
    /// When it started a run last.
    last_fired_at: Option<String>,
    /// That run.
    last_run_id: Option<String>,
    /// Whether a webhook has its token.
    has_token: bool,
    /// Why it cannot start anything.
    problem: Option<String>,
}

/// Which triggers to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filters {
    /// Of this task: id or name.
    task: Option<String>,
    /// How many coming times of each trigger to show, at most 100; five by default.
    next: Option<usize>,
}

impl TriggerView {
    fn of(trigger: Trigger, tasks: &[TaskFacts], now: Timestamp, count: usize) -> Self {
        let until = paused(&trigger, now);
        let read = understood(&trigger);
        let lost = trigger.follows.as_ref().filter(|followed| {
            trigger.kind == Kind::After && !tasks.iter().any(|task| task.name.eq_ignore_ascii_case(followed))
        });
        let lost = lost.map(|followed| format!("there is no task `{followed}` any more; correct `after`"));
        let problem = read.as_ref().err().cloned().or(lost).or(trigger.problem);
        let from = until.map_or(now, |until| Timestamp(until.0.saturating_sub(1)));
        let times = read.ok().and_then(|(_, schedule)| schedule).filter(|_| trigger.active);
        let next = times.map(|times| times.upcoming(from).take(count).map(rfc3339).collect());
        Self {
            task: trigger.task_name,
            task_id: trigger.task.to_string(),
            name: trigger.name,
            kind: trigger.kind.to_string(),
            active: trigger.active,
            definition: trigger.definition,
            next: next.unwrap_or_default(),
            paused: until.is_some(),
            paused_until: maybe_rfc3339(until.filter(|until| *until != change::FOR_GOOD)),
            last_fired_at: maybe_rfc3339(trigger.fired_at),
            last_run_id: trigger.fired_run.map(|run| run.to_string()),
            has_token: trigger.token_hash.is_some(),
            problem,
        }
    }
}

/// The triggers, with their next times. Sorts: task, name, due_at.
#[utoipa::path(get, path = "/triggers", tag = "triggers", operation_id = "list_triggers", params(Filters, Paging),
    responses((status = 200, body = PageView<TriggerView>)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Who,
    Params(filters): Params<Filters>,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<TriggerView>>> {
    let task = match &filters.task {
        Some(task) => Some(crate::http::tasks::find(&app, &who, task).await?.id),
        None => None,
    };
    let count = filters.next.unwrap_or(NEXT).min(NEXT_MAX);
    let page = app.store.triggers(who.environment.id, TriggerFilter { task }, paging.into()).await?;
    let (tasks, now) = (app.store.task_facts(who.environment.id).await?, app.clock.now());
    Ok(Json(page.map(|trigger| TriggerView::of(trigger, &tasks, now, count)).into()))
}

/// One trigger of a task.
#[utoipa::path(get, path = "/tasks/{id}/triggers/{name}", tag = "triggers", operation_id = "show_trigger",
    params(("id" = String, Path, description = "The task's id or name"), ("name" = String, Path, description = "The trigger's name")),
    responses((status = 200, body = TriggerView)))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    who: Who,
    Path((task, name)): Path<(String, String)>,
) -> Result<Json<TriggerView>> {
    let trigger = find(&app, &who, &task, &name).await?;
    view(&app, &who, trigger).await.map(Json)
}

async fn view(app: &App, who: &Who, trigger: Trigger) -> Result<TriggerView> {
    let tasks = app.store.task_facts(who.environment.id).await?;
    Ok(TriggerView::of(trigger, &tasks, app.clock.now(), NEXT))
}

/// A trigger of the asker's environment.
async fn find(app: &App, who: &Who, task: &str, name: &str) -> Result<Trigger> {
    let task = crate::http::tasks::find(app, who, task).await?;
    app.store.trigger(who.environment.id, task.id, name).await.map_err(Problem::naming("trigger", name))
}
