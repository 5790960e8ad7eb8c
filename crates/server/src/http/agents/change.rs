//! What is done to an agent: restart, deactivate, reactivate, rotate.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use sallyport_domain::agent::{Refused, may_deactivate};
use sallyport_protocol::{Levels, Refusal, RefusalCode};
use sallyport_store::{Agent, AgentEdit, AgentKind, AgentUse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::{AgentView, LevelsView};
use super::{find, refused, uses};
use crate::app::App;
use crate::http::extract::{Body, IfMatch, MaybeBody, Path, etag};
use crate::http::problem::{Code, Problem, Result};
use crate::http::who::Who;

/// Why an agent is restarted.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restart {
    /// For the logs and for what is cancelled by it.
    reason: Option<String>,
}

/// What a rotation did.
#[derive(Serialize, ToSchema)]
pub(crate) struct Rotated {
    /// How many passwords were good until now.
    revoked: usize,
    /// What to do next.
    next: String,
}

/// Set an agent's log levels; one that is online takes them up at once.
#[utoipa::path(put, path = "/agents/{id}/levels", tag = "agents", request_body = LevelsView,
    params(("id" = String, Path, description = "Id or name"), ("If-Match" = String, Header, description = "The ETag, or *")),
    responses((status = 200, body = AgentView)))]
pub(crate) async fn levels(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(levels): Body<LevelsView>,
) -> Result<(HeaderMap, Json<AgentView>)> {
    let agent = find(&app, &who, &id).await?;
    let levels = Levels::from(levels);
    let edit = AgentEdit { file_level: Some(levels.file), console_level: Some(levels.console), ..AgentEdit::default() };
    let at = (expected, app.clock.now());
    let agent = app.store.edit_agent(who.environment.id, agent.id, at, edit, |_| Ok::<(), Problem>(())).await?;
    app.live.gateway.set_levels(agent.id, agent.levels);
    Ok((etag(agent.version), Json(AgentView::of(&agent, &app))))
}

/// Restart an agent that is online. Everything it executes is cancelled, with this as the reason.
#[utoipa::path(post, path = "/agents/{id}/restart", tag = "agents", request_body = Option<Restart>,
    params(("id" = String, Path, description = "Id or name")), responses((status = 200, body = AgentView)))]
pub(crate) async fn restart(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    MaybeBody(restart): MaybeBody<Restart>,
) -> Result<Json<AgentView>> {
    let agent = find(&app, &who, &id).await?;
    if agent.kind == AgentKind::Background {
        return Err(refused(Refused::Background("restarted")));
    }
    let reason = restart.reason.unwrap_or_else(|| "asked for on the platform".to_owned());
    app.live.gateway.restart(agent.id, &who.name(), &reason).await.map_err(|_| {
        let detail = format!("agent `{}` is offline; start it on its machine", agent.name);
        Problem::new(Code::AgentOffline, detail)
    })?;
    tracing::info!(agent = %agent.id, by = %who.person.id, reason, "agent restart asked for");
    Ok(Json(AgentView::of(&agent, &app)))
}

/// Deactivate an agent. Refused while it is online, and while an active step of an active task is served by it.
#[utoipa::path(post, path = "/agents/{id}/deactivate", tag = "agents",
    params(("id" = String, Path, description = "Id or name")), responses((status = 200, body = AgentView)))]
pub(crate) async fn deactivate(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<(HeaderMap, Json<AgentView>)> {
    let agent = find(&app, &who, &id).await?;
    let agent = set_active(&app, &agent, false, |facts| {
        let agent = &facts.agent;
        let online = agent.connected_since.is_some();
        may_deactivate(agent.id, &agent.name, agent.kind, online, &uses::of(facts)?).map_err(refused)
    })
    .await?;
    let message = format!("Agent `{}` was deactivated.", agent.name);
    turn_away(&app, &agent, RefusalCode::Deactivated, message);
    tracing::info!(agent = %agent.id, by = %who.person.id, "agent deactivated");
    Ok((etag(agent.version), Json(AgentView::of(&agent, &app))))
}

/// Reactivate an agent: its credentials work again.
#[utoipa::path(post, path = "/agents/{id}/reactivate", tag = "agents",
    params(("id" = String, Path, description = "Id or name")), responses((status = 200, body = AgentView)))]
pub(crate) async fn reactivate(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<(HeaderMap, Json<AgentView>)> {
    let agent = find(&app, &who, &id).await?;
    let agent = set_active(&app, &agent, true, |_| Ok(())).await?;
    tracing::info!(agent = %agent.id, by = %who.person.id, "agent reactivated");
    Ok((etag(agent.version), Json(AgentView::of(&agent, &app))))
}

/// Revoke every password of an agent at once and disconnect it; download it again for a new one.
#[utoipa::path(post, path = "/agents/{id}/rotate", tag = "agents",
    params(("id" = String, Path, description = "Id or name")), responses((status = 200, body = Rotated)))]
pub(crate) async fn rotate(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Json<Rotated>> {
    let agent = find(&app, &who, &id).await?;
    if agent.kind == AgentKind::Background {
        return Err(refused(Refused::Background("rotated: it has no password")));
    }
    let revoked = app.store.revoke_credentials(who.environment.id, agent.id, app.clock.now()).await?;
    let message = "The password was rotated; download the agent again, or copy the new appsettings.json.";
    turn_away(&app, &agent, RefusalCode::RevokedCredentials, message.to_owned());
    tracing::info!(agent = %agent.id, by = %who.person.id, revoked, "agent credentials rotated");
    let next = format!("download agent `{}` again, or copy the new appsettings.json from the download", agent.name);
    Ok(Json(Rotated { revoked, next }))
}

async fn set_active(
    app: &App,
    agent: &Agent,
    active: bool,
    rule: impl FnOnce(&AgentUse<'_>) -> Result<()> + Send + 'static,
) -> Result<Agent> {
    let edit = AgentEdit { active: Some(active), ..AgentEdit::default() };
    app.store.edit_agent(agent.environment, agent.id, (None, app.clock.now()), edit, rule).await
}

fn turn_away(app: &App, agent: &Agent, code: RefusalCode, message: String) {
    app.live.gateway.disconnect(agent.id, Refusal { code, message, retry_after_seconds: None });
}
