//! Connections. Their secrets come in and never go out.

pub(crate) mod uses;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use sallyport_domain::connection::{Draft, Reach, check};
use sallyport_domain::liveness::{Part, Sign};
use sallyport_protocol::{AgentId, ConnectionId, ConnectionTest, Secret};
use sallyport_store::{Agent, Connection, ConnectionEdit, ConnectionFilter, NewConnection, TaskVersion};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::http::extract::{Body, IfMatch, Params, Path, SomeIfMatch, etag, located};
use crate::http::page::{PageView, Paging};
use crate::http::problem::{Code, FieldProblem, Problem, Result};
use crate::http::secrets::{hidden, merge};
use crate::http::time::rfc3339;
use crate::http::who::Who;
use crate::tunnel::Standing;

/// A connection document.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionDocument {
    /// Unique in the environment; tasks use it.
    name: String,
    /// The connector's kind, such as `postgres`.
    kind: String,
    /// The agent that reaches it: id or name. Either this or `agents`.
    #[serde(default)]
    agent: Option<String>,
    /// Several agents that reach it, ids or names: a dead one is passed over, new streams go to the least busy.
    #[serde(default)]
    agents: Option<Vec<String>>,
    /// As the connector's `connection_schema` says.
    #[serde(default = "nothing")]
    #[schema(value_type = Object)]
    settings: Value,
    /// By name. Write-only: answers show `***`. On a change, `***` or an absent map keeps what is set, null removes.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    secrets: Option<BTreeMap<String, Option<Secret>>>,
}

/// A connection.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectionView {
    /// `conn_...`
    id: String,
    /// Unique in the environment.
    name: String,
    /// The connector's kind.
    kind: String,
    /// The agent that reaches it; the first, where several do.
    agent: String,
    /// That agent's id.
    agent_id: String,
    /// The names of all agents that reach it, in order.
    agents: Vec<String>,
    /// As the connector's schema says.
    #[schema(value_type = Object)]
    settings: Value,
    /// Names of the secrets that are set, each with `***`.
    #[schema(value_type = Object)]
    secrets: BTreeMap<String, &'static str>,
    /// What tunnels and requests have shown of its target since the server's start; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    reach: Option<ReachView>,
    /// Entries on the server's own machine that lead to it; absent without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entries: Vec<EntryView>,
    /// Grows with every change; the `ETag`.
    version: i64,
    /// When it was made.
    created_at: String,
    /// When it was changed last.
    updated_at: String,
}

/// An address on the server's own machine that leads to a connection.
#[derive(Serialize, ToSchema)]
pub(crate) struct EntryView {
    /// Where: address and port.
    listen: String,
    /// Whether it listens.
    listening: bool,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<(SocketAddr, Standing)> for EntryView {
    fn from((listen, standing): (SocketAddr, Standing)) -> Self {
        let listening = standing == Standing::Listens;
        let reason = if let Standing::Fails(reason) = standing { Some(reason) } else { None };
        Self { listen: listen.to_string(), listening, reason }
    }
}

/// Whether a target is reached.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReachView {
    /// Whether it answered the last time.
    good: bool,
    /// When it last answered.
    opened_at: Option<String>,
    /// When the failures since then began.
    failing_since: Option<String>,
    /// When the last of them was.
    failed_at: Option<String>,
    /// How many there were.
    failures: u64,
    /// What the last of them said.
    reason: Option<String>,
}

impl From<Reach> for ReachView {
    fn from(reach: Reach) -> Self {
        let trouble = reach.trouble.as_ref();
        Self {
            good: trouble.is_none(),
            opened_at: reach.opened_at.map(rfc3339),
            failing_since: trouble.map(|trouble| rfc3339(trouble.since)),
            failed_at: trouble.map(|trouble| rfc3339(trouble.at)),
            failures: trouble.map_or(0, |trouble| trouble.count),
            reason: trouble.map(|trouble| trouble.reason.clone()),
        }
    }
}

/// A test's result.
#[derive(Serialize, ToSchema)]
pub(crate) struct TestView {
    /// Whether every stage passed.
    passed: bool,
    /// In the order they were tried; the first failed one is the last.
    stages: Vec<StageView>,
}

/// One stage of a test.
#[derive(Serialize, ToSchema)]
pub(crate) struct StageView {
    /// settings, name, port, tls, login, query, folder, ...
    stage: String,
    /// Whether it passed.
    ok: bool,
    /// What was seen, or what went wrong and what to do.
    detail: String,
    /// How long it took.
    millis: u64,
}

/// Which connections to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filters {
    /// Of this connector's kind.
    kind: Option<String>,
    /// Reached by this agent: id or name.
    agent: Option<String>,
    /// Part of the name.
    search: Option<String>,
}

impl From<Connection> for ConnectionView {
    fn from(connection: Connection) -> Self {
        Self {
            id: connection.id.to_string(),
            agents: connection.agent_names().map(str::to_owned).collect(),
            name: connection.name,
            kind: connection.kind,
            agent: connection.agent_name,
            agent_id: connection.agent.to_string(),
            settings: connection.settings,
            secrets: hidden(connection.secret_names),
            reach: None,
            entries: Vec::new(),
            version: connection.version,
            created_at: rfc3339(connection.created_at),
            updated_at: rfc3339(connection.updated_at),
        }
    }
}

impl From<ConnectionTest> for TestView {
    fn from(test: ConnectionTest) -> Self {
        let passed = test.passed();
        let stages = test.stages.into_iter().map(|stage| StageView {
            stage: stage.stage,
            ok: stage.ok,
            detail: stage.detail,
            millis: stage.millis,
        });
        Self { passed, stages: stages.collect() }
    }
}

/// The connections. Sorts: name, kind, agent, updated_at.
#[utoipa::path(get, path = "/connections", tag = "connections", params(Filters, Paging),
    responses((status = 200, body = PageView<ConnectionView>)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Who,
    Params(filters): Params<Filters>,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<ConnectionView>>> {
    let agent = match &filters.agent {
        Some(agent) => Some(crate::http::agents::find(&app, &who, agent).await?.id),
        None => None,
    };
    let filter = ConnectionFilter { kind: filters.kind, agent, search: filters.search };
    let page = app.store.connections(who.environment.id, filter, paging.into()).await?;
    Ok(Json(page.map(ConnectionView::from).into()))
}

/// Add a connection.
#[utoipa::path(post, path = "/connections", tag = "connections", request_body = ConnectionDocument,
    responses((status = 201, body = ConnectionView)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    who: Who,
    Body(document): Body<ConnectionDocument>,
) -> Result<(StatusCode, HeaderMap, Json<ConnectionView>)> {
    let id = ConnectionId::new();
    let edit = edit(&app, &who, id, document, BTreeMap::new()).await?;
    let connection = app.store.create_connection(who.environment.id, NewConnection { id, edit }).await?;
    tracing::info!(connection = %id, name = connection.name, by = %who.person.id, "connection added");
    let headers = located(etag(connection.version), &format!("/api/v1/connections/{id}"));
    Ok((StatusCode::CREATED, headers, Json(connection.into())))
}

/// One connection.
#[utoipa::path(get, path = "/connections/{id}", tag = "connections",
    params(("id" = String, Path, description = "Id or name")), responses((status = 200, body = ConnectionView)))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<(HeaderMap, Json<ConnectionView>)> {
    let connection = find(&app, &who, &id).await?;
    let reach = app.live.tunnels.reach(connection.id).map(ReachView::from);
    let about = (connection.id, connection.name.as_str());
    let entries =
        app.entries.to(&app.store, who.environment.id, about).await?.into_iter().map(EntryView::from).collect();
    Ok((etag(connection.version), Json(ConnectionView { reach, entries, ..ConnectionView::from(connection) })))
}

/// Replace a connection. Secrets that are not sent stay.
#[utoipa::path(put, path = "/connections/{id}", tag = "connections", request_body = ConnectionDocument,
    params(("id" = String, Path, description = "Id or name"), ("If-Match" = String, Header, description = "The ETag, or *")),
    responses((status = 200, body = ConnectionView)))]
pub(crate) async fn replace(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(document): Body<ConnectionDocument>,
) -> Result<(HeaderMap, Json<ConnectionView>)> {
    let standing = find(&app, &who, &id).await?;
    let secrets = match &standing.sealed_secrets {
        Some(sealed) => app.secrets.open(standing.id, sealed)?,
        None => BTreeMap::new(),
    };
    let renamed = !document.name.eq_ignore_ascii_case(&standing.name);
    let edit = edit(&app, &who, standing.id, document, secrets).await?;
    // The secrets were kept from what was read just now; a change in between must not bring old ones back.
    let expected = Some(expected.unwrap_or(standing.version));
    let connection = app
        .store
        .edit_connection(who.environment.id, standing.id, expected, edit, move |connection, tasks| {
            if renamed { unused(connection, tasks) } else { Ok(()) }
        })
        .await?;
    tracing::info!(connection = %connection.id, by = %who.person.id, "connection changed");
    Ok((etag(connection.version), Json(connection.into())))
}

/// Remove a connection; refused while a task uses it.
#[utoipa::path(delete, path = "/connections/{id}", tag = "connections",
    params(("id" = String, Path, description = "Id or name"), ("If-Match" = Option<String>, Header, description = "The ETag")),
    responses((status = 204, description = "Removed")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    SomeIfMatch(expected): SomeIfMatch,
) -> Result<StatusCode> {
    let connection = find(&app, &who, &id).await?;
    app.store.delete_connection(who.environment.id, connection.id, expected, unused).await?;
    tracing::info!(connection = %connection.id, by = %who.person.id, "connection removed");
    Ok(StatusCode::NO_CONTENT)
}

/// Test a connection from its agent: name, port, TLS, login, each a stage.
#[utoipa::path(post, path = "/connections/{id}/test", tag = "connections",
    params(("id" = String, Path, description = "Id or name")), responses((status = 200, body = TestView)))]
pub(crate) async fn test(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Json<TestView>> {
    let connection = find(&app, &who, &id).await?;
    let order = app.secrets.open_connection(&connection)?;
    let is_online = |agent: &AgentId| app.live.gateway.link_of(*agent).is_some();
    let agent = connection.agents().find(is_online).unwrap_or(connection.agent);
    let tested = app.live.gateway.test_connection(agent, &connection.kind, order).await;
    if let Ok(test) = &tested {
        let last = test.stages.last().map_or("", |stage| stage.detail.as_str());
        let text = format!("connection `{}`: {last}", connection.name);
        let sign = Sign { good: test.passed(), text, cause: None, at: app.clock.now() };
        app.store.note_sign(agent, Part::Target, sign).await?;
    }
    tested.map(|test| Json(test.into())).map_err(|error| {
        let names = connection.agent_names().collect::<Vec<_>>().join("` or `");
        let detail = format!("connection `{}` is tested by agent `{names}`: {error}", connection.name);
        Problem::new(error.into(), detail)
    })
}

/// A connection of the asker's environment.
pub(crate) async fn find(app: &App, who: &Who, id_or_name: &str) -> Result<Connection> {
    app.store.connection(who.environment.id, id_or_name).await.map_err(Problem::naming("connection", id_or_name))
}

/// Checks a document and seals its secrets together with those that stay.
async fn edit(
    app: &App,
    who: &Who,
    id: ConnectionId,
    mut document: ConnectionDocument,
    mut secrets: BTreeMap<String, Secret>,
) -> Result<ConnectionEdit> {
    merge(&mut secrets, document.secrets.take());
    let mut found = Vec::new();
    for (path, wanted) in wanted(&document)? {
        match app.store.agent(who.environment.id, wanted).await {
            Ok(agent) => found.push(Ok(agent)),
            Err(sallyport_store::Error::NotFound) => found.push(Err(FieldProblem {
                path,
                step: None,
                code: "unknown_agent".into(),
                message: format!("there is no agent `{wanted}` in this environment"),
            })),
            Err(error) => return Err(error.into()),
        }
    }
    let secret_names: Vec<String> = secrets.keys().cloned().collect();
    let (first, others) = checked(app, &document, &secret_names, found)?;
    let sealed_secrets = if secrets.is_empty() { None } else { Some(app.secrets.seal(id, &secrets)?) };
    Ok(ConnectionEdit {
        agent: first,
        others,
        name: document.name,
        kind: document.kind,
        settings: document.settings,
        secret_names,
        sealed_secrets,
        now: app.clock.now(),
    })
}

/// The agents that a document names, each with its place in it.
fn wanted(document: &ConnectionDocument) -> Result<Vec<(String, &str)>> {
    match (&document.agent, &document.agents) {
        (Some(agent), None) => Ok(vec![("/agent".to_owned(), agent)]),
        (None, Some(agents)) if !agents.is_empty() => {
            Ok(agents.iter().enumerate().map(|(at, agent)| (format!("/agents/{at}"), agent.as_str())).collect())
        }
        (Some(_), Some(_)) => Err(Problem::field("/agents", "agent_twice", "give `agent` or `agents`, not both")),
        (None, _) => Err(Problem::field("/agent", "required", "`agent` is missing: which agent reaches it?")),
    }
}

/// The first agent and the others, where the document is right.
fn checked(
    app: &App,
    document: &ConnectionDocument,
    secrets: &[String],
    found: Vec<std::result::Result<Agent, FieldProblem>>,
) -> Result<(AgentId, Vec<AgentId>)> {
    let ConnectionDocument { name, kind, settings, .. } = document;
    let facts: Vec<_> = found.iter().flatten().map(|agent| (agent.name.as_str(), agent.kind)).collect();
    let draft = Draft { name, kind, settings, secrets, agents: &facts };
    let mut problems: Vec<FieldProblem> = check(draft, &app.catalog).into_iter().map(FieldProblem::from).collect();
    let mut agents = Vec::new();
    for agent in found {
        match agent {
            Ok(agent) => agents.push(agent.id),
            Err(problem) => problems.push(problem),
        }
    }
    match agents.split_first() {
        Some((first, others)) if problems.is_empty() => Ok((*first, others.to_vec())),
        _ => {
            let detail = format!("connection `{name}` is not right; `problems` names every field");
            Err(Problem::new(Code::Invalid, detail).with(problems))
        }
    }
}

/// Tasks name connections; without it, or under another name, they would not run.
fn unused(connection: &Connection, tasks: &[TaskVersion]) -> Result<()> {
    let Some(used) = uses::of(connection, tasks).next() else { return Ok(()) };
    let detail = format!(
        "step `{}` of task `{}` uses connection `{}`; change the task first",
        used.step, used.task, connection.name
    );
    Err(Problem::new(Code::InUse, detail))
}

fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}
