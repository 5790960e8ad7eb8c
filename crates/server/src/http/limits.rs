//! Limits of runs at one time: of agents, connections and the environment. A task's own is in its document.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use sallyport_domain::queue::Place;
use sallyport_store::RunLimit;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::http::extract::Body;
use crate::http::problem::{Problem, Result};
use crate::http::who::Who;
use crate::http::{agents, connections};

/// The largest limit.
const AT_ONCE_MAX: u32 = 10_000;

/// All limits.
#[derive(Serialize, ToSchema)]
pub(crate) struct LimitsView {
    /// By kind and name.
    items: Vec<LimitView>,
}

/// A limit.
#[derive(Serialize, ToSchema)]
pub(crate) struct LimitView {
    /// agent, connection or environment.
    kind: &'static str,
    /// What has it.
    name: String,
    /// The most runs at one time; more wait and say why.
    limit: u32,
}

/// What a limit is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetLimit {
    /// The most runs at one time, 1 to 10000.
    limit: u32,
}

impl From<RunLimit> for LimitView {
    fn from(limit: RunLimit) -> Self {
        Self { kind: limit.place.word(), name: limit.name, limit: limit.at_once }
    }
}

/// The limits of runs at one time.
#[utoipa::path(get, path = "/limits", tag = "runs", responses((status = 200, body = LimitsView)))]
pub(crate) async fn list(State(app): State<Arc<App>>, who: Who) -> Result<Json<LimitsView>> {
    let limits = app.store.run_limits(who.environment.id).await?;
    Ok(Json(LimitsView { items: limits.into_iter().map(LimitView::from).collect() }))
}

/// Limit how many runs an agent, a connection or the environment serves at one time. Runs that go on go on.
#[utoipa::path(put, path = "/limits/{kind}/{name}", tag = "runs", request_body = SetLimit,
    params(("kind" = String, Path, description = "agent, connection or environment"),
        ("name" = String, Path, description = "Id or name")),
    responses((status = 200, body = LimitView)))]
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    who: Who,
    Path((kind, name)): Path<(String, String)>,
    Body(SetLimit { limit }): Body<SetLimit>,
) -> Result<Json<LimitView>> {
    let (place, name) = find(&app, &who, &kind, &name).await?;
    if limit == 0 || limit > AT_ONCE_MAX {
        return Err(Problem::field("/limit", "range", format!("expected 1 to {AT_ONCE_MAX}")));
    }
    change(&app, &who, place, Some(limit)).await?;
    Ok(Json(LimitView { kind: place.word(), name, limit }))
}

/// Take a limit away.
#[utoipa::path(delete, path = "/limits/{kind}/{name}", tag = "runs",
    params(("kind" = String, Path, description = "agent, connection or environment"),
        ("name" = String, Path, description = "Id or name")),
    responses((status = 204, description = "There is no limit now")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    who: Who,
    Path((kind, name)): Path<(String, String)>,
) -> Result<StatusCode> {
    let (place, _) = find(&app, &who, &kind, &name).await?;
    change(&app, &who, place, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn change(app: &App, who: &Who, place: Place, limit: Option<u32>) -> Result<()> {
    app.store.set_run_limit(who.environment.id, place, limit).await?;
    app.live.engine.limits_changed(who.environment.id).await;
    tracing::info!(?place, ?limit, by = %who.person.id, "limit of runs changed");
    Ok(())
}

async fn find(app: &App, who: &Who, kind: &str, name: &str) -> Result<(Place, String)> {
    match kind {
        "agent" => agents::find(app, who, name).await.map(|agent| (Place::Agent(agent.id), agent.name)),
        "connection" => connections::find(app, who, name).await.map(|found| (Place::Connection(found.id), found.name)),
        "environment" if who.environment.name.eq_ignore_ascii_case(name) || who.environment.id.to_string() == name => {
            Ok((Place::Environment(who.environment.id), who.environment.name.clone()))
        }
        "environment" => {
            let message =
                format!("`{name}` is not the environment of this request, which is `{}`", who.environment.name);
            Err(Problem::field("/name", "other_environment", message))
        }
        other => {
            let message = format!("`{other}` has no limit: expected agent, connection or environment");
            Err(Problem::field("/kind", "kind", message))
        }
    }
}
