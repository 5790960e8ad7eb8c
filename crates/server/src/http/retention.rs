//! How long an environment keeps runs and logs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sallyport_domain::retention::Retention;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::http::extract::Body;
use crate::http::problem::{Code, FieldProblem, Problem, Result};
use crate::http::who::Who;

/// How long things are kept.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetentionView {
    /// Days for which a run is kept after its end, 1 to 36500; null is for ever. The last run of each task is kept longer.
    #[schema(required = true)]
    #[serde(deserialize_with = "Option::deserialize")]
    runs_days: Option<u32>,
    /// Days for which log lines are kept, those of a run after its end, 1 to 36500; null is for ever.
    #[schema(required = true)]
    #[serde(deserialize_with = "Option::deserialize")]
    logs_days: Option<u32>,
}

impl From<Retention> for RetentionView {
    fn from(retention: Retention) -> Self {
        Self { runs_days: retention.runs, logs_days: retention.logs }
    }
}

/// How long runs and logs are kept.
#[utoipa::path(get, path = "/retention", tag = "runs", responses((status = 200, body = RetentionView)))]
pub(crate) async fn show(State(app): State<Arc<App>>, who: Who) -> Result<Json<RetentionView>> {
    Ok(Json(app.store.retention(who.environment.id).await?.into()))
}

/// Set how long runs and logs are kept. What is older is removed within an hour, and cannot be had back.
#[utoipa::path(put, path = "/retention", tag = "runs", request_body = RetentionView,
    responses((status = 200, body = RetentionView)))]
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    who: Who,
    Body(view): Body<RetentionView>,
) -> Result<Json<RetentionView>> {
    let retention = Retention { runs: view.runs_days, logs: view.logs_days };
    let problems: Vec<FieldProblem> = retention.check().into_iter().map(FieldProblem::from).collect();
    if !problems.is_empty() {
        return Err(Problem::new(Code::Invalid, "the days are out of range").with(problems));
    }
    app.store.set_retention(who.environment.id, retention).await?;
    tracing::info!(?retention, environment = who.environment.name, by = %who.person.id, "retention changed");
    Ok(Json(retention.into()))
}
