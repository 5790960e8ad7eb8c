//! A document that is not saved: what is wrong with it, and when it would run.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sallyport_domain::task::{Task, parse};
use sallyport_protocol::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::problems;
use crate::app::App;
use crate::http::extract::Text;
use crate::http::problem::{FieldProblem, Problem, Result};
use crate::http::time::rfc3339;
use crate::http::who::Who;

/// How many coming times of a trigger are shown.
const NEXT: usize = 5;

/// What is wrong with a document.
#[derive(Serialize, ToSchema)]
pub(crate) struct Validation {
    /// Whether it could be saved.
    valid: bool,
    /// Every field that is not right.
    problems: Vec<FieldProblem>,
    /// When its triggers would start it, if it can be read so far.
    triggers: Vec<Coming>,
}

/// When a trigger would start the task.
#[derive(Serialize, ToSchema)]
pub(crate) struct Coming {
    /// The trigger's name.
    name: String,
    /// The next five times; none for webhooks, after other tasks, and for what is inactive or not right.
    next: Vec<String>,
}

/// Check a document without saving it.
#[utoipa::path(post, path = "/tasks/validate", tag = "tasks", request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = Validation)))]
pub(crate) async fn validate(State(app): State<Arc<App>>, who: Who, Text(document): Text) -> Result<Json<Validation>> {
    let problems = problems(&app, &who, &document).await?.err().unwrap_or_default();
    let now = app.clock.now();
    let coming = tokio::task::spawn_blocking(move || parse(&document).map(|task| coming(&task, now)));
    let triggers = coming.await.map_err(|error| Problem::internal(&error.into()))?.unwrap_or_default();
    Ok(Json(Validation { valid: problems.is_empty(), problems, triggers }))
}

fn coming(task: &Task, now: Timestamp) -> Vec<Coming> {
    let times = task.triggers.iter().map(|trigger| {
        let schedule = trigger.schedule().ok().flatten().filter(|_| task.active && trigger.active);
        let next = schedule.map(|schedule| schedule.upcoming(now).take(NEXT).map(rfc3339).collect());
        Coming { name: trigger.name.clone(), next: next.unwrap_or_default() }
    });
    times.collect()
}
