//! Logs of runs, agents and wrappers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sallyport_protocol::{EnvironmentId, LogLevel};
use sallyport_store::{AgentLogEntry, LogFilter, LogSource, RunLogEntry};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::http::extract::{Params, Path};
use crate::http::page::{PageView, Paging};
use crate::http::problem::{Problem, Result};
use crate::http::time::rfc3339;
use crate::http::who::Who;

/// A line of a run's log.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunLineView {
    /// Grows with every line; `after` and `Last-Event-ID` take it.
    pub(crate) seq: i64,
    /// When, by the writer's clock.
    at: String,
    /// Trace, Debug, Info, Warning, Error or Fatal.
    level: &'static str,
    /// The step; null for the run as a whole.
    step: Option<String>,
    /// The attempt.
    attempt: Option<u32>,
    /// The agent that wrote it; null for the server's own lines.
    agent_id: Option<String>,
    /// A stable name, where it has one.
    event: Option<String>,
    /// In words.
    message: String,
}

/// A line of an agent's or wrapper's log.
#[derive(Serialize, ToSchema)]
pub(crate) struct LineView {
    /// Grows with every line; `after` and `Last-Event-ID` take it.
    pub(crate) seq: i64,
    /// When, by the writer's clock.
    at: String,
    /// When the server had it.
    received_at: String,
    /// Trace, Debug, Info, Warning, Error or Fatal.
    level: &'static str,
    /// The agent's name.
    agent: String,
    /// `agent_...`
    agent_id: String,
    /// Who wrote it: agent, wrapper or server.
    source: String,
    /// The part of the program.
    target: String,
    /// A stable name, where it has one.
    event: Option<String>,
    /// In words.
    message: String,
    /// The run it is about.
    run_id: Option<String>,
}

impl From<RunLogEntry> for RunLineView {
    fn from(entry: RunLogEntry) -> Self {
        Self {
            seq: entry.seq,
            at: rfc3339(entry.at),
            level: entry.level.name(),
            step: entry.step,
            attempt: entry.attempt,
            agent_id: entry.agent.map(|agent| agent.to_string()),
            event: entry.event,
            message: entry.message,
        }
    }
}

impl From<AgentLogEntry> for LineView {
    fn from(entry: AgentLogEntry) -> Self {
        Self {
            seq: entry.seq,
            at: rfc3339(entry.at),
            received_at: rfc3339(entry.received_at),
            level: entry.level.name(),
            agent: entry.agent_name,
            agent_id: entry.agent.to_string(),
            source: entry.source.to_string(),
            target: entry.target,
            event: entry.event,
            message: entry.message,
            run_id: entry.run.map(|run| run.to_string()),
        }
    }
}

/// Which lines of a run's log.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunLines {
    /// Of this step.
    step: Option<String>,
    /// Of this attempt.
    attempt: Option<u32>,
    /// At least this serious: Trace, Debug, Info, Warning, Error, Fatal.
    level: Option<String>,
    /// Part of the message.
    search: Option<String>,
    /// After the line with this `seq`.
    after: Option<i64>,
}

/// Which lines of agents' and wrappers' logs.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AgentLines {
    /// Of this agent: id or name.
    agent: Option<String>,
    /// By the `agent`, its `wrapper`, or the `server` about it.
    source: Option<String>,
    /// At least this serious: Trace, Debug, Info, Warning, Error, Fatal.
    level: Option<String>,
    /// With this event, such as `heartbeatFailed`.
    event: Option<String>,
    /// Part of the message.
    search: Option<String>,
    /// After the line with this `seq`.
    after: Option<i64>,
    /// Before the line with this `seq`.
    before: Option<i64>,
}

impl RunLines {
    pub(crate) fn filter(self) -> Result<LogFilter> {
        Ok(LogFilter {
            step: self.step,
            attempt: self.attempt,
            level: self.level.as_deref().map(level).transpose()?,
            search: self.search,
            after: self.after,
            ..LogFilter::default()
        })
    }
}

impl AgentLines {
    /// Of one agent, whatever was asked for.
    pub(crate) fn of(self, agent: String) -> Self {
        Self { agent: Some(agent), ..self }
    }

    pub(crate) async fn filter(self, app: &App, who: &Who) -> Result<LogFilter> {
        let agent = match &self.agent {
            Some(agent) => Some(crate::http::agents::find(app, who, agent).await?.id),
            None => None,
        };
        let source = self.source.as_deref().map(|source| {
            source
                .parse::<LogSource>()
                .map_err(|error| Problem::field("/source", "source", format!("`source`: {error}")))
        });
        Ok(LogFilter {
            agent,
            source: source.transpose()?,
            level: self.level.as_deref().map(level).transpose()?,
            event: self.event,
            search: self.search,
            after: self.after,
            before: self.before,
            ..LogFilter::default()
        })
    }
}

/// A run's log, the oldest line first. Sorts: seq, at.
#[utoipa::path(get, path = "/runs/{id}/log", tag = "runs",
    params(("id" = String, Path, description = "The run's id"), RunLines, Paging),
    responses((status = 200, body = PageView<RunLineView>)))]
pub(crate) async fn of_run(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Params(lines): Params<RunLines>,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<RunLineView>>> {
    let run = crate::http::runs::find(&app, &who, &id).await?;
    let page = app.store.run_log(who.environment.id, run.id, lines.filter()?, paging.into()).await?;
    Ok(Json(page.map(RunLineView::from).into()))
}

/// An agent's log with its wrapper's, the newest line first. Sorts: seq, at.
#[utoipa::path(get, path = "/agents/{id}/log", tag = "agents",
    params(("id" = String, Path, description = "Id or name"), AgentLines, Paging),
    responses((status = 200, body = PageView<LineView>)))]
pub(crate) async fn of_agent(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Params(lines): Params<AgentLines>,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<LineView>>> {
    let filter = lines.of(id).filter(&app, &who).await?;
    page(&app, who.environment.id, filter, paging).await
}

/// The logs of all agents and wrappers, the newest line first. Sorts: seq, at.
#[utoipa::path(get, path = "/logs", tag = "logs", params(AgentLines, Paging),
    responses((status = 200, body = PageView<LineView>)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Who,
    Params(lines): Params<AgentLines>,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<LineView>>> {
    let filter = lines.filter(&app, &who).await?;
    page(&app, who.environment.id, filter, paging).await
}

async fn page(
    app: &App,
    environment: EnvironmentId,
    filter: LogFilter,
    paging: Paging,
) -> Result<Json<PageView<LineView>>> {
    let page = app.store.agent_log(environment, filter, paging.into()).await?;
    Ok(Json(page.map(LineView::from).into()))
}

fn level(text: &str) -> Result<LogLevel> {
    text.parse().map_err(|error| Problem::field("/level", "level", format!("`level` is `{text}`: {error}")))
}
