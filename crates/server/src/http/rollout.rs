//! Which agents get which release, and when.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sallyport_domain::agent::Refused;
use sallyport_domain::rollout::{Rollout, SECONDS_MAX, Versions, WINDOWS_MAX};
use sallyport_release::Version;
use sallyport_store::AgentKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::gateway::NotUpdated;
use crate::http::agents::{find, refused};
use crate::http::extract::{Body, Path};
use crate::http::problem::{Code, Problem, Result};
use crate::http::who::Who;

/// What is set for the environment.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RolloutView {
    /// How many of a hundred agents get the newest release, by a hash of their ids; 100 by default.
    percent: u8,
    /// When agents may be updated, such as `sat,sun 01:00-05:00 Europe/Berlin`; any time without one.
    windows: Vec<String>,
    /// This version of the agent and no other.
    pin: Option<String>,
    /// An older version is replaced at once, whatever percentage and windows say.
    minimum: Option<String>,
    /// This version of the wrapper and no other.
    #[serde(default)]
    wrapper_pin: Option<String>,
    /// An older wrapper is replaced at once.
    #[serde(default)]
    wrapper_minimum: Option<String>,
    /// How long the server must have seen a new version work, in seconds; 60 by default.
    confirm_seconds: u32,
    /// How long an agent's runs are waited for before it is restarted, in seconds; 3600 by default.
    drain_seconds: u32,
}

/// What is set for one agent; it goes before what is set for the environment.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionsView {
    /// This version and no other.
    pin: Option<String>,
    /// An older version is replaced at once.
    minimum: Option<String>,
}

/// What was asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct AskedView {
    /// What happens next.
    next: &'static str,
}

impl From<Rollout> for RolloutView {
    fn from(rollout: Rollout) -> Self {
        Self {
            percent: rollout.percent,
            windows: rollout.windows.iter().map(ToString::to_string).collect(),
            pin: rollout.versions.pin,
            minimum: rollout.versions.minimum,
            wrapper_pin: rollout.wrapper.pin,
            wrapper_minimum: rollout.wrapper.minimum,
            confirm_seconds: rollout.confirm_seconds,
            drain_seconds: rollout.drain_seconds,
        }
    }
}

/// What is set for updates of the environment's agents.
#[utoipa::path(get, path = "/rollout", tag = "releases", responses((status = 200, body = RolloutView)))]
pub(crate) async fn show(State(app): State<Arc<App>>, who: Who) -> Result<Json<RolloutView>> {
    Ok(Json(app.store.rollout(who.environment.id).await?.into()))
}

/// Set percentage, maintenance windows, pin and minimum version of the environment's agents.
#[utoipa::path(put, path = "/rollout", tag = "releases", request_body = RolloutView,
    responses((status = 200, body = RolloutView)))]
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    who: Who,
    Body(view): Body<RolloutView>,
) -> Result<Json<RolloutView>> {
    let rollout = rollout(view)?;
    app.store.set_rollout(who.environment.id, rollout.clone(), app.clock.now()).await?;
    tracing::info!(percent = rollout.percent, by = %who.person.id, "rollout changed");
    app.live.gateway.offers_changed();
    Ok(Json(rollout.into()))
}

/// What is set for one agent's version.
#[utoipa::path(get, path = "/agents/{id}/rollout", tag = "releases",
    params(("id" = String, Path, description = "Id or name")), responses((status = 200, body = VersionsView)))]
pub(crate) async fn show_agent(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<VersionsView>> {
    let agent = find(&app, &who, &id).await?;
    let Versions { pin, minimum } = app.store.agent_versions(who.environment.id, agent.id).await?;
    Ok(Json(VersionsView { pin, minimum }))
}

/// Pin one agent to a version, or give it a minimum of its own; null takes it back.
#[utoipa::path(put, path = "/agents/{id}/rollout", tag = "releases", request_body = VersionsView,
    params(("id" = String, Path, description = "Id or name")), responses((status = 200, body = VersionsView)))]
pub(crate) async fn set_agent(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Body(view): Body<VersionsView>,
) -> Result<Json<VersionsView>> {
    let agent = find(&app, &who, &id).await?;
    let versions = versions(("/pin", view.pin.clone()), ("/minimum", view.minimum.clone()))?;
    app.store.set_agent_versions(who.environment.id, agent.id, versions, app.clock.now()).await?;
    tracing::info!(agent = %agent.id, pin = view.pin, by = %who.person.id, "an agent's versions changed");
    app.live.gateway.offers_changed();
    Ok(Json(view))
}

/// Have an agent and its wrapper try a version again that has failed on their machine.
#[utoipa::path(post, path = "/agents/{id}/retry-update", tag = "releases",
    params(("id" = String, Path, description = "Id or name")), responses((status = 200, body = AskedView)))]
pub(crate) async fn retry(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Json<AskedView>> {
    let agent = find(&app, &who, &id).await?;
    app.live
        .gateway
        .retry_update(agent.id, &who.name())
        .map_err(|_| Problem::new(Code::AgentOffline, format!("the wrapper of agent `{}` is offline", agent.name)))?;
    Ok(Json(AskedView { next: "the wrapper tries it again; the agent's update says how it goes" }))
}

/// Update an agent now, whatever percentage and maintenance windows say. What it executes is cancelled, with this as the
/// reason, once the new version has rehearsed.
#[utoipa::path(post, path = "/agents/{id}/update", tag = "agents",
    params(("id" = String, Path, description = "Id or name")), responses((status = 200, body = AskedView)))]
pub(crate) async fn update(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Json<AskedView>> {
    let agent = find(&app, &who, &id).await?;
    if agent.kind == AgentKind::Background {
        return Err(refused(Refused::Background("updated: it is the server's own")));
    }
    app.live.gateway.update_now(&agent, &who.name()).await.map_err(|error| match error {
        NotUpdated::NotReachable => {
            Problem::new(Code::AgentOffline, format!("the wrapper of agent `{}` is offline", agent.name))
        }
        NotUpdated::Nothing(why) => Problem::new(Code::NothingNewer, format!("agent `{}`: {why}", agent.name)),
        NotUpdated::Store(error) => error.into(),
    })?;
    tracing::info!(agent = %agent.id, by = %who.person.id, "agent update asked for");
    Ok(Json(AskedView { next: "the wrapper installs it; the agent's update says how it goes" }))
}

fn rollout(view: RolloutView) -> Result<Rollout> {
    if view.percent > 100 {
        return Err(Problem::field("/percent", "range", "expected 0 to 100"));
    }
    if view.windows.len() > WINDOWS_MAX {
        return Err(Problem::field("/windows", "too_many", format!("at most {WINDOWS_MAX} windows")));
    }
    let windows = view.windows.iter().map(|window| window.parse()).collect::<std::result::Result<_, _>>();
    let windows = windows.map_err(|error: sallyport_domain::rollout::WindowError| {
        Problem::field("/windows", "window", error.to_string())
    })?;
    for (path, seconds) in [("/confirm_seconds", view.confirm_seconds), ("/drain_seconds", view.drain_seconds)] {
        if seconds > SECONDS_MAX {
            return Err(Problem::field(path, "range", format!("expected 0 to {SECONDS_MAX}")));
        }
    }
    Ok(Rollout {
        percent: view.percent,
        windows,
        versions: versions(("/pin", view.pin), ("/minimum", view.minimum))?,
        wrapper: versions(("/wrapper_pin", view.wrapper_pin), ("/wrapper_minimum", view.wrapper_minimum))?,
        confirm_seconds: view.confirm_seconds,
        drain_seconds: view.drain_seconds,
    })
}

/// Each with the field that it came in.
fn versions(pin: (&'static str, Option<String>), minimum: (&'static str, Option<String>)) -> Result<Versions> {
    for (path, version) in [&pin, &minimum] {
        if let Some(version) = version {
            version.parse::<Version>().map_err(|error| Problem::field(path, "version", error.to_string()))?;
        }
    }
    Ok(Versions { pin: pin.1, minimum: minimum.1 })
}
