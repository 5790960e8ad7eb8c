//! When an agent was online, and which steps it serves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sallyport_store::OnlineSpan;
use serde::Serialize;
use utoipa::ToSchema;

use super::{find, uses};
use crate::app::App;
use crate::http::extract::Path;
use crate::http::page::PageView;
use crate::http::problem::Result;
use crate::http::time::{maybe_rfc3339, rfc3339};
use crate::http::who::Who;

/// A time for which an agent was online.
#[derive(Serialize, ToSchema)]
pub(crate) struct SpanView {
    /// From.
    since: String,
    /// To; null while it is online.
    until: Option<String>,
    /// Where the connection came from.
    address: Option<String>,
}

/// A step that an agent serves.
#[derive(Serialize, ToSchema)]
pub(crate) struct ServedView {
    /// The task's name.
    task: String,
    /// The step's name.
    step: String,
}

impl From<OnlineSpan> for SpanView {
    fn from(span: OnlineSpan) -> Self {
        Self { since: rfc3339(span.since), until: maybe_rfc3339(span.until), address: span.address }
    }
}

/// When an agent was online, the newest first: at most 200 connections and the one that stands.
#[utoipa::path(get, path = "/agents/{id}/history", tag = "agents",
    params(("id" = String, Path, description = "Id or name")),
    responses((status = 200, body = PageView<SpanView>)))]
pub(crate) async fn spans(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<PageView<SpanView>>> {
    let agent = find(&app, &who, &id).await?;
    let spans = app.store.online_spans(who.environment.id, agent.id).await?;
    Ok(Json(PageView::whole(spans.into_iter().map(SpanView::from).collect())))
}

/// The active steps of active tasks that an agent serves.
#[utoipa::path(get, path = "/agents/{id}/uses", tag = "agents",
    params(("id" = String, Path, description = "Id or name")),
    responses((status = 200, body = PageView<ServedView>)))]
pub(crate) async fn uses(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<PageView<ServedView>>> {
    let agent = find(&app, &who, &id).await?;
    let all = app.store.ask_agent(who.environment.id, agent.id, uses::of).await?;
    let its = all.into_iter().filter(|used| used.agent == agent.id);
    Ok(Json(PageView::whole(its.map(|used| ServedView { task: used.task, step: used.step }).collect())))
}
