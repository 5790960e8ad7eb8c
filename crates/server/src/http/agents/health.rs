//! How an agent is: its liveness, its crashes, and what its wrapper finds out when asked.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderValue, header};
use sallyport_domain::liveness::{self, Facts, Life, Liveness, Part};
use sallyport_protocol::{Examination, Finding, UpdateStep};
use sallyport_store::{Agent, AgentKind, StoredCrash};
use serde::Serialize;
use utoipa::ToSchema;

use super::find;
use super::view::AgentView;
use crate::app::App;
use crate::gateway::AskError;
use crate::http::download::disposition;
use crate::http::extract::Path;
use crate::http::page::PageView;
use crate::http::problem::{Problem, Result};
use crate::http::time::{maybe_rfc3339, rfc3339};
use crate::http::who::Who;

/// A part's state.
#[derive(Serialize, ToSchema)]
pub(crate) struct LifeView {
    /// online, stopped (on purpose), lost or unknown.
    state: &'static str,
    /// Since when.
    since: Option<String>,
    /// What was seen of it last.
    text: String,
}

/// Agent, wrapper and target, each apart.
#[derive(Serialize, ToSchema)]
pub(crate) struct LivenessView {
    /// The agent's connection.
    agent: LifeView,
    /// The wrapper's connection.
    wrapper: LifeView,
    /// The system that a connection of the agent was tested with last.
    target: LifeView,
    /// Why it is likely not online: deactivated, never_started, stopped, update, credentials, licence, refused, hang,
    /// crash, not_running, network or machine_off; null while it is.
    cause: Option<&'static str>,
    /// The same in words.
    cause_text: Option<String>,
}

/// A crash of an agent or its wrapper.
#[derive(Serialize, ToSchema)]
pub(crate) struct CrashView {
    /// The file's name, to download it by.
    file: String,
    /// When, by the machine's clock.
    at: String,
    /// When the server heard of it.
    received_at: String,
    /// agent or wrapper.
    program: String,
    /// Its version.
    version: String,
    /// panic, hang, out_of_memory, descriptors_exhausted, abort, stack_overflow, bad_memory or other.
    cause: &'static str,
    /// What it said, or how it ended.
    message: String,
    /// The thread.
    thread: Option<String>,
    /// Where in the source.
    place: Option<String>,
}

/// What a wrapper found.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExaminationView {
    /// When, by the machine's clock.
    at: String,
    /// The wrapper's version.
    wrapper_version: String,
    /// The worst of the findings: ok, warning or failed.
    verdict: &'static str,
    /// One for each check.
    findings: Vec<FindingView>,
}

/// One check.
#[derive(Serialize, ToSchema)]
pub(crate) struct FindingView {
    /// process, service, settings, dns, proxy, route, tls, clock, credentials, licence, version, logs, disk,
    /// descriptors, memory, updates, policy or crashes.
    check: String,
    /// ok, warning, failed or skipped.
    verdict: &'static str,
    /// What was seen.
    seen: String,
    /// What to do.
    advice: Option<String>,
}

impl From<Life> for LifeView {
    fn from(life: Life) -> Self {
        Self { state: life.state.word(), since: maybe_rfc3339(life.since), text: life.text }
    }
}

impl From<Liveness> for LivenessView {
    fn from(liveness: Liveness) -> Self {
        let (cause, cause_text) = liveness.cause.map(|(cause, text)| (cause.word(), text)).unzip();
        Self {
            agent: liveness.agent.into(),
            wrapper: liveness.wrapper.into(),
            target: liveness.target.into(),
            cause,
            cause_text,
        }
    }
}

impl From<StoredCrash> for CrashView {
    fn from(stored: StoredCrash) -> Self {
        let StoredCrash { crash, received_at } = stored;
        Self {
            file: crash.file,
            at: rfc3339(crash.at),
            received_at: rfc3339(received_at),
            program: crash.program,
            version: crash.version,
            cause: crash.cause.word(),
            message: crash.message,
            thread: crash.thread,
            place: crash.place,
        }
    }
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        let Finding { check, verdict, seen, advice } = finding;
        Self { check, verdict: verdict.word(), seen, advice }
    }
}

impl From<Examination> for ExaminationView {
    fn from(examination: Examination) -> Self {
        Self {
            at: rfc3339(examination.at),
            wrapper_version: examination.wrapper_version.clone(),
            verdict: examination.verdict().word(),
            findings: examination.findings.into_iter().map(FindingView::from).collect(),
        }
    }
}

/// Adds what only one agent is asked for.
pub(super) async fn complete(view: &mut AgentView, agent: &Agent, app: &App) -> Result<()> {
    if agent.kind == AgentKind::Background {
        return Ok(());
    }
    let mut facts = Facts {
        active: agent.active,
        agent_since: agent.connected_since,
        wrapper_since: agent.wrapper_since,
        seen_at: agent.last_seen_at,
        updating: [&agent.update, &agent.wrapper_update]
            .into_iter()
            .flatten()
            .any(|update| matches!(update.step, UpdateStep::Draining | UpdateStep::Confirming)),
        refusal: app.live.gateway.turned_away(agent.id),
        ..Facts::default()
    };
    for (part, sign) in app.store.signs(agent.id).await? {
        match part {
            Part::Agent => facts.agent = Some(sign),
            Part::Wrapper => facts.wrapper = Some(sign),
            Part::Process => facts.process = Some(sign),
            Part::Target => facts.target = Some(sign),
        }
    }
    view.liveness = Some(liveness::judge(&facts).into());
    view.last_crash = app.store.crashes(agent.environment, agent.id).await?.into_iter().next().map(CrashView::from);
    Ok(())
}

/// Have an agent's wrapper examine the installation: process, network, proxy, TLS, clock, credentials, disk and more.
/// It works while the agent is down.
#[utoipa::path(post, path = "/agents/{id}/doctor", tag = "agents",
    params(("id" = String, Path, description = "Id or name")), responses((status = 200, body = ExaminationView)))]
pub(crate) async fn doctor(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<ExaminationView>> {
    let agent = find(&app, &who, &id).await?;
    let examined = app.live.gateway.examine(agent.id, &who.name()).await;
    examined.map(|examination| Json(examination.into())).map_err(|error| unanswered(&agent, error))
}

/// Fetch a support bundle from an agent's wrapper: a zip with logs, settings without secrets and the doctor's findings.
#[utoipa::path(post, path = "/agents/{id}/bundle", tag = "agents",
    params(("id" = String, Path, description = "Id or name")),
    responses((status = 200, content_type = "application/zip", body = Vec<u8>, description = "`<name>.bundle.zip`")))]
pub(crate) async fn bundle(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Response> {
    let agent = find(&app, &who, &id).await?;
    let pieces = app.live.gateway.bundle(agent.id, &who.name()).await.map_err(|error| unanswered(&agent, error))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(header::CONTENT_DISPOSITION, disposition(&format!("{}.bundle.zip", agent.name))?);
    let body = unfold(pieces, |mut pieces| async move { Some((pieces.recv().await?, pieces)) });
    Ok((headers, Body::from_stream(body)).into_response())
}

/// The crashes of an agent and its wrapper, the newest first: at most 50.
#[utoipa::path(get, path = "/agents/{id}/crashes", tag = "agents",
    params(("id" = String, Path, description = "Id or name")),
    responses((status = 200, body = PageView<CrashView>)))]
pub(crate) async fn crashes(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<PageView<CrashView>>> {
    let agent = find(&app, &who, &id).await?;
    let crashes = app.store.crashes(who.environment.id, agent.id).await?;
    Ok(Json(PageView::whole(crashes.into_iter().map(CrashView::from).collect())))
}

/// Download a crash file, with stack and last log lines.
#[utoipa::path(get, path = "/agents/{id}/crashes/{file}", tag = "agents",
    params(("id" = String, Path, description = "Id or name"), ("file" = String, Path, description = "Its name")),
    responses((status = 200, content_type = "application/json", body = String, description = "The crash file")))]
pub(crate) async fn crash(
    State(app): State<Arc<App>>,
    who: Who,
    Path((id, file)): Path<(String, String)>,
) -> Result<Response> {
    let agent = find(&app, &who, &id).await?;
    let stored = app.store.crash(who.environment.id, agent.id, &file).await.map_err(Problem::naming("crash", &file))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_DISPOSITION, disposition(&stored.crash.file)?);
    Ok((headers, Json(stored.crash)).into_response())
}

fn unanswered(agent: &Agent, error: AskError) -> Problem {
    let what = match error {
        AskError::Offline => "its wrapper is not connected",
        AskError::Silent => "its wrapper did not answer in time",
        AskError::TooOld => "its wrapper is too old for this; download the agent again",
    };
    let more = "on its machine, `sallyport-wrapper doctor` says what is wrong";
    Problem::new(error.into(), format!("agent `{}`: {what}; {more}", agent.name))
}
