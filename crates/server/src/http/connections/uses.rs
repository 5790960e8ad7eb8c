//! Which steps of which tasks use a connection.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sallyport_domain::task::Task;
use sallyport_store::{Connection, TaskVersion};
use serde::Serialize;
use utoipa::ToSchema;

use super::find;
use crate::app::App;
use crate::http::extract::Path;
use crate::http::page::PageView;
use crate::http::problem::Result;
use crate::http::who::Who;

/// A step that uses a connection.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct UseView {
    /// The task's name.
    pub(super) task: String,
    /// `task_...`
    task_id: String,
    /// The step's name.
    pub(super) step: String,
    /// Whether the task and the step are active.
    active: bool,
}

/// The steps that use a connection, of inactive tasks too.
#[utoipa::path(get, path = "/connections/{id}/uses", tag = "connections", operation_id = "connection_uses",
    params(("id" = String, Path, description = "Id or name")), responses((status = 200, body = PageView<UseView>)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<PageView<UseView>>> {
    let connection = find(&app, &who, &id).await?;
    let tasks = app.store.current_tasks(who.environment.id).await?;
    Ok(Json(PageView::whole(of(&connection, &tasks).collect())))
}

/// Tasks that this build cannot read use nothing.
pub(super) fn of(connection: &Connection, tasks: &[TaskVersion]) -> impl Iterator<Item = UseView> {
    tasks.iter().flat_map(|version| {
        let task = serde_json::from_value::<Task>(version.parsed.clone()).ok();
        let (name, active) = task.as_ref().map(|task| (task.task.clone(), task.active)).unwrap_or_default();
        let steps = task.into_iter().flat_map(|task| task.steps);
        let using = steps
            .filter(|step| step.connection.as_ref().is_some_and(|named| named.eq_ignore_ascii_case(&connection.name)));
        using.map(move |step| UseView {
            task: name.clone(),
            task_id: version.task.to_string(),
            step: step.name,
            active: active && step.active,
        })
    })
}
