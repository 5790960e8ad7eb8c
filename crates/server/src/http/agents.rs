//! Agents: the list, one, and what people may set of it.

pub(crate) mod change;
pub(crate) mod health;
pub(crate) mod history;
mod uses;
mod view;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use sallyport_domain::agent::{Refused, check_name};
use sallyport_protocol::LogLevel;
use sallyport_store::{Agent, AgentEdit, AgentFilter, AgentKind, AgentUse, NewAgent};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::http::extract::{Body, IfMatch, Params, Path, etag, located};
use crate::http::page::{PageView, Paging};
use crate::http::problem::{Code, Problem, Result};
use crate::http::who::Who;
use crate::release::PLATFORMS;

use view::{AgentView, CountsView, LevelsView};

/// Which agents to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filters {
    /// Active (true) or inactive (false) ones only.
    active: Option<bool>,
    /// `online` or `offline` ones only.
    status: Option<String>,
    /// Part of the name.
    search: Option<String>,
}

/// An agent to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateAgent {
    /// 1 to 64 characters; it names the download, so none of `/ \ : * ? " < > |`.
    name: String,
    /// For log file and console; Info by default.
    #[serde(default)]
    levels: LevelsView,
    /// The platform to make the download for; the server's own by default.
    platform: Option<String>,
}

/// What to change of an agent; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditAgent {
    /// Another name; refused while a task names the agent.
    name: Option<String>,
    /// For log file and console; an agent that is online takes them up at once.
    levels: Option<EditLevels>,
    /// The platform to make the download for.
    platform: Option<String>,
}

/// Log levels to change; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditLevels {
    /// For the log file and the server.
    #[schema(value_type = Option<String>)]
    file: Option<LogLevel>,
    /// For the console.
    #[schema(value_type = Option<String>)]
    console: Option<LogLevel>,
}

/// The agents. Sorts: name, status, connected_since, machine_name, address, last_update, created_at.
#[utoipa::path(get, path = "/agents", tag = "agents", params(Filters, Paging),
    responses((status = 200, body = PageView<AgentView>)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Who,
    Params(filters): Params<Filters>,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<AgentView>>> {
    let online = match filters.status.as_deref() {
        None => None,
        Some("online") => Some(true),
        Some("offline") => Some(false),
        Some(other) => {
            let message = format!("`status` is `{other}`: expected online or offline");
            return Err(Problem::field("/status", "status", message));
        }
    };
    let filter = AgentFilter { active: filters.active, online, search: filters.search };
    let page = app.store.agents(who.environment.id, filter, paging.into()).await?;
    Ok(Json(page.map(|agent| AgentView::of(&agent, &app)).into()))
}

/// How many active agents are online and offline.
#[utoipa::path(get, path = "/agents-status", tag = "agents", responses((status = 200, body = CountsView)))]
pub(crate) async fn counts(State(app): State<Arc<App>>, who: Who) -> Result<Json<CountsView>> {
    let counts = app.store.online_counts(who.environment.id).await?;
    Ok(Json(CountsView { online: counts.online, offline: counts.offline }))
}

/// Add a remote agent. Download it next: the download carries its credentials.
#[utoipa::path(post, path = "/agents", tag = "agents", request_body = CreateAgent,
    responses((status = 201, body = AgentView)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    who: Who,
    Body(create): Body<CreateAgent>,
) -> Result<(StatusCode, HeaderMap, Json<AgentView>)> {
    check_name(&create.name).map_err(refused)?;
    check_platform(create.platform.as_deref())?;
    let new =
        NewAgent { name: create.name, levels: create.levels.into(), platform: create.platform, now: app.clock.now() };
    let agent = app.store.create_agent(who.environment.id, new).await?;
    tracing::info!(agent = %agent.id, name = agent.name, by = %who.person.id, "agent added");
    let headers = located(etag(agent.version), &format!("/api/v1/agents/{}", agent.id));
    Ok((StatusCode::CREATED, headers, Json(AgentView::of(&agent, &app))))
}

/// One agent with everything known of it.
#[utoipa::path(get, path = "/agents/{id}", tag = "agents", params(("id" = String, Path, description = "Id or name")),
    responses((status = 200, body = AgentView)))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<(HeaderMap, Json<AgentView>)> {
    let agent = find(&app, &who, &id).await?;
    let mut view = AgentView::of(&agent, &app);
    health::complete(&mut view, &agent, &app).await?;
    Ok((etag(agent.version), Json(view)))
}

/// Change an agent's name, log levels or platform.
#[utoipa::path(patch, path = "/agents/{id}", tag = "agents", request_body = EditAgent,
    params(("id" = String, Path, description = "Id or name"), ("If-Match" = String, Header, description = "The ETag, or *")),
    responses((status = 200, body = AgentView)))]
pub(crate) async fn edit(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(edit): Body<EditAgent>,
) -> Result<(HeaderMap, Json<AgentView>)> {
    let agent = find(&app, &who, &id).await?;
    check_platform(edit.platform.as_deref())?;
    let levels = edit.levels.unwrap_or_default();
    let renamed = edit.name.clone().filter(|name| *name != agent.name);
    if let Some(name) = &renamed {
        if agent.kind == AgentKind::Background {
            return Err(refused(Refused::Background("renamed")));
        }
        check_name(name).map_err(refused)?;
    }
    let change = AgentEdit {
        name: edit.name,
        file_level: levels.file,
        console_level: levels.console,
        active: None,
        platform: edit.platform,
    };
    let agent = app
        .store
        .edit_agent(who.environment.id, agent.id, (expected, app.clock.now()), change, move |facts| {
            if renamed.is_some() { may_rename(facts) } else { Ok(()) }
        })
        .await?;
    app.live.gateway.set_levels(agent.id, agent.levels);
    tracing::info!(agent = %agent.id, by = %who.person.id, "agent edited");
    Ok((etag(agent.version), Json(AgentView::of(&agent, &app))))
}

/// An agent of the asker's environment.
pub(crate) async fn find(app: &App, who: &Who, id_or_name: &str) -> Result<Agent> {
    app.store.agent(who.environment.id, id_or_name).await.map_err(Problem::naming("agent", id_or_name))
}

/// A rule's refusal as a problem.
pub(crate) fn refused(refused: Refused) -> Problem {
    let text = refused.to_string();
    match refused {
        Refused::Name(_) => Problem::field("/name", "name", text),
        Refused::Online(_) => Problem::new(Code::AgentOnline, text),
        Refused::InUse { .. } => Problem::new(Code::InUse, text),
        Refused::Background(_) => Problem::new(Code::BackgroundAgent, text),
    }
}

/// Tasks name agents; a new name would leave them without one.
fn may_rename(facts: &AgentUse<'_>) -> Result<()> {
    let name = &facts.agent.name;
    match uses::naming_task(facts)? {
        Some((task, step)) => Err(Problem::new(
            Code::InUse,
            format!("step `{step}` of task `{task}` names agent `{name}`; change the task first"),
        )),
        None => Ok(()),
    }
}

fn check_platform(platform: Option<&str>) -> Result<()> {
    match platform {
        Some(platform) if !PLATFORMS.contains(&platform) => {
            let message = format!("`{platform}` is no platform: expected one of {}", PLATFORMS.join(", "));
            Err(Problem::field("/platform", "platform", message))
        }
        _ => Ok(()),
    }
}
