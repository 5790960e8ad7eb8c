//! Connections. Their secrets come in and never go out.

pub(crate) mod uses;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use sallyport_domain::connection::{Draft, check};
use sallyport_domain::liveness::{Part, Sign};
use sallyport_protocol::{ConnectionId, ConnectionTest, Secret};
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

/// A connection document.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionDocument {
    /// Unique in the environment; tasks use it.
    name: String,
    /// The connector's kind, such as `postgres`.
    kind: String,
    /// The agent that reaches it: id or name.
    agent: String,
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
    /// The agent that reaches it.
    agent: String,
    /// That agent's id.
    agent_id: String,
    /// As the connector's schema says.
    #[schema(value_type = Object)]
    settings: Value,
    /// Names of the secrets that are set, each with `***`.
    #[schema(value_type = Object)]
    secrets: BTreeMap<String, &'static str>,
    /// Grows with every change; the `ETag`.
    version: i64,
    /// When it was made.
    created_at: String,
    /// When it was changed last.
    updated_at: String,
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
            name: connection.name,
            kind: connection.kind,
            agent: connection.agent_name,
            agent_id: connection.agent.to_string(),
            settings: connection.settings,
            secrets: hidden(connection.secret_names),
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
    Ok((etag(connection.version), Json(connection.into())))
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
    let tested = app.live.gateway.test_connection(connection.agent, &connection.kind, order).await;
    if let Ok(test) = &tested {
        let last = test.stages.last().map_or("", |stage| stage.detail.as_str());
        let text = format!("connection `{}`: {last}", connection.name);
        let sign = Sign { good: test.passed(), text, cause: None, at: app.clock.now() };
        app.store.note_sign(connection.agent, Part::Target, sign).await?;
    }
    tested.map(|test| Json(test.into())).map_err(|error| {
        let detail =
            format!("connection `{}` is tested by agent `{}`: {error}", connection.name, connection.agent_name);
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
    document: ConnectionDocument,
    mut secrets: BTreeMap<String, Secret>,
) -> Result<ConnectionEdit> {
    merge(&mut secrets, document.secrets);
    let agent = match app.store.agent(who.environment.id, &document.agent).await {
        Ok(agent) => Some(agent),
        Err(sallyport_store::Error::NotFound) => None,
        Err(error) => return Err(error.into()),
    };
    let secret_names: Vec<String> = secrets.keys().cloned().collect();
    let agent =
        checked(app, &document.name, &document.kind, &document.settings, &secret_names, agent, &document.agent)?;
    let sealed_secrets = if secrets.is_empty() { None } else { Some(app.secrets.seal(id, &secrets)?) };
    Ok(ConnectionEdit {
        agent: agent.id,
        name: document.name,
        kind: document.kind,
        settings: document.settings,
        secret_names,
        sealed_secrets,
        now: app.clock.now(),
    })
}

fn checked(
    app: &App,
    name: &str,
    kind: &str,
    settings: &Value,
    secrets: &[String],
    agent: Option<Agent>,
    wanted: &str,
) -> Result<Agent> {
    let facts = agent.as_ref().map(|agent| (agent.name.as_str(), agent.kind));
    let draft = Draft { name, kind, settings, secrets, agent: facts };
    let mut problems: Vec<FieldProblem> = check(draft, &app.catalog).into_iter().map(FieldProblem::from).collect();
    if agent.is_none() {
        problems.push(FieldProblem {
            path: "/agent".into(),
            step: None,
            code: "unknown_agent".into(),
            message: format!("there is no agent `{wanted}` in this environment"),
        });
    }
    match agent {
        Some(agent) if problems.is_empty() => Ok(agent),
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
