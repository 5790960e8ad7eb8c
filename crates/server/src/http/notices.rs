//! Channels through which people are told. Their secrets come in and never go out.

pub(crate) mod deliveries;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use sallyport_domain::notice::{Draft, Event, HOURLY_DEFAULT, Rule, Target, check};
use sallyport_protocol::{ChannelId, Secret};
use sallyport_store::{Channel, ChannelEdit, NewChannel};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::connections::TestView;
use crate::http::extract::{Body, IfMatch, Params, Path, SomeIfMatch, etag, located};
use crate::http::page::{PageView, Paging};
use crate::http::problem::{Code, FieldProblem, Problem, Result};
use crate::http::secrets::{hidden, merge};
use crate::http::time::{maybe_rfc3339, rfc3339};
use crate::http::who::Who;
use crate::notify::{Content, Sending, address_problem, owner};

/// A channel document.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChannelDocument {
    /// Unique in the environment.
    name: String,
    /// `smtp` or `webhook`.
    kind: String,
    /// For smtp `host`, `port`, `tls` (starttls, tls or none), `ca`, `user`, `from`, `to`; for webhook `url`, `ca`.
    #[schema(value_type = Object)]
    settings: Value,
    /// `password` for smtp, `secret` for webhook. Write-only: answers show `***`. On a change, `***` or an absent map
    /// keeps what is set, null removes.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    secrets: Option<BTreeMap<String, Option<Secret>>>,
    /// What it tells; every event of every task where it is absent.
    #[serde(default = "everything")]
    #[schema(value_type = Vec<RuleView>)]
    rules: Vec<Rule>,
    /// The most notices in an hour, 1 to 1000; more are summed up in one. 30 by default.
    #[serde(default = "hourly")]
    hourly: u32,
    /// An inactive channel tells nothing.
    #[serde(default = "yes")]
    active: bool,
}

/// Which events of which tasks a channel tells.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleView {
    /// By name; every task of the environment where it is empty.
    tasks: Vec<String>,
    /// failure, recovery, late; all of them by default.
    events: Vec<&'static str>,
    /// Tells every failure, not only the first until the task recovers.
    repeat: bool,
}

/// A channel.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChannelView {
    /// `channel_...`
    id: String,
    /// Unique in the environment.
    name: String,
    /// smtp or webhook.
    kind: String,
    /// As the kind says.
    #[schema(value_type = Object)]
    settings: Value,
    /// Names of the secrets that are set, each with `***`.
    #[schema(value_type = Object)]
    secrets: BTreeMap<String, &'static str>,
    /// What it tells.
    rules: Vec<RuleView>,
    /// The most notices in an hour.
    hourly: u32,
    /// Whether it tells anything.
    active: bool,
    /// When it last worked.
    last_sent_at: Option<String>,
    /// When it last did not.
    last_failed_at: Option<String>,
    /// Why it did not; null once it has worked since.
    problem: Option<String>,
    /// Grows with every change; the `ETag`.
    version: i64,
    /// When it was made.
    created_at: String,
    /// When it was changed last.
    updated_at: String,
}

impl From<Channel> for ChannelView {
    fn from(channel: Channel) -> Self {
        let rule = |rule: Rule| RuleView {
            tasks: rule.tasks,
            events: rule.events.into_iter().map(Event::word).collect(),
            repeat: rule.repeat,
        };
        Self {
            id: channel.id.to_string(),
            name: channel.name,
            kind: channel.kind,
            settings: channel.settings,
            secrets: hidden(channel.secret_names),
            rules: channel.rules.into_iter().map(rule).collect(),
            hourly: channel.hourly,
            active: channel.active,
            last_sent_at: maybe_rfc3339(channel.sent_at),
            last_failed_at: maybe_rfc3339(channel.failed_at),
            problem: channel.problem,
            version: channel.version,
            created_at: rfc3339(channel.created_at),
            updated_at: rfc3339(channel.updated_at),
        }
    }
}

/// The channels. Sorts: name, kind, updated_at.
#[utoipa::path(get, path = "/notifications/channels", tag = "notifications", params(Paging),
    responses((status = 200, body = PageView<ChannelView>)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Who,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<ChannelView>>> {
    let page = app.store.channels(who.environment.id, paging.into()).await?;
    Ok(Json(page.map(ChannelView::from).into()))
}

/// Add a channel.
#[utoipa::path(post, path = "/notifications/channels", tag = "notifications", request_body = ChannelDocument,
    responses((status = 201, body = ChannelView)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    who: Who,
    Body(document): Body<ChannelDocument>,
) -> Result<(StatusCode, HeaderMap, Json<ChannelView>)> {
    let id = ChannelId::new();
    let edit = edit(&app, &who, id, document, BTreeMap::new()).await?;
    let channel = app.store.create_channel(who.environment.id, NewChannel { id, edit }).await?;
    tracing::info!(channel = %id, name = channel.name, by = %who.person.id, "notification channel added");
    let headers = located(etag(channel.version), &format!("/api/v1/notifications/channels/{id}"));
    Ok((StatusCode::CREATED, headers, Json(channel.into())))
}

/// One channel.
#[utoipa::path(get, path = "/notifications/channels/{id}", tag = "notifications",
    params(("id" = String, Path, description = "Id or name")), responses((status = 200, body = ChannelView)))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<(HeaderMap, Json<ChannelView>)> {
    let channel = find(&app, &who, &id).await?;
    Ok((etag(channel.version), Json(channel.into())))
}

/// Replace a channel. Secrets that are not sent stay; what waits for it is tried at once.
#[utoipa::path(put, path = "/notifications/channels/{id}", tag = "notifications", request_body = ChannelDocument,
    params(("id" = String, Path, description = "Id or name"), ("If-Match" = String, Header, description = "The ETag, or *")),
    responses((status = 200, body = ChannelView)))]
pub(crate) async fn replace(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(document): Body<ChannelDocument>,
) -> Result<(HeaderMap, Json<ChannelView>)> {
    let standing = find(&app, &who, &id).await?;
    let secrets = match &standing.sealed_secrets {
        Some(sealed) => app.secrets.open_map(&owner(standing.id), sealed)?,
        None => BTreeMap::new(),
    };
    let edit = edit(&app, &who, standing.id, document, secrets).await?;
    // The secrets were kept from what was read just now; a change in between must not bring old ones back.
    let expected = Some(expected.unwrap_or(standing.version));
    let channel = app.store.edit_channel(who.environment.id, standing.id, expected, edit).await?;
    app.notifier.changed();
    tracing::info!(channel = %channel.id, by = %who.person.id, "notification channel changed");
    Ok((etag(channel.version), Json(channel.into())))
}

/// Remove a channel with what is on its way through it.
#[utoipa::path(delete, path = "/notifications/channels/{id}", tag = "notifications",
    params(("id" = String, Path, description = "Id or name"), ("If-Match" = Option<String>, Header, description = "The ETag")),
    responses((status = 204, description = "Removed")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    SomeIfMatch(expected): SomeIfMatch,
) -> Result<StatusCode> {
    let channel = find(&app, &who, &id).await?;
    app.store.delete_channel(who.environment.id, channel.id, expected).await?;
    tracing::info!(channel = %channel.id, by = %who.person.id, "notification channel removed");
    Ok(StatusCode::NO_CONTENT)
}

/// Send a test notice through a channel now: for mail the login, then the delivery, each a stage.
#[utoipa::path(post, path = "/notifications/channels/{id}/test", tag = "notifications",
    params(("id" = String, Path, description = "Id or name")), responses((status = 200, body = TestView)))]
pub(crate) async fn test(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Json<TestView>> {
    let channel = find(&app, &who, &id).await?;
    let content = Content::test(&channel, &who.environment.name, app.clock.now());
    let sending = Sending::new(&app, &channel).map_err(|problem| Problem::new(Code::Invalid, problem))?;
    let test = sending.test(&content).await;
    let problem = test.stages.iter().find(|stage| !stage.ok).map(|stage| stage.detail.clone());
    app.store.channel_tested(channel.id, problem, app.clock.now()).await?;
    tracing::info!(channel = %channel.id, by = %who.person.id, passed = test.passed(), "notification channel tested");
    Ok(Json(test.into()))
}

/// A channel of the asker's environment.
async fn find(app: &App, who: &Who, id_or_name: &str) -> Result<Channel> {
    let found = app.store.channel(who.environment.id, id_or_name).await;
    found.map_err(Problem::naming("notification channel", id_or_name))
}

/// Checks a document and seals its secrets together with those that stay.
async fn edit(
    app: &App,
    who: &Who,
    id: ChannelId,
    document: ChannelDocument,
    mut secrets: BTreeMap<String, Secret>,
) -> Result<ChannelEdit> {
    merge(&mut secrets, document.secrets);
    let secret_names: Vec<String> = secrets.keys().cloned().collect();
    let ChannelDocument { name, kind, settings, rules, hourly, active, .. } = document;
    let draft = Draft { name: &name, kind: &kind, settings: &settings, secrets: &secret_names, rules: &rules, hourly };
    let mut problems: Vec<FieldProblem> = check(draft).into_iter().map(FieldProblem::from).collect();
    if problems.is_empty() {
        let wrong = Target::read(&kind, &settings).ok().and_then(|target| address_problem(&target));
        problems.extend(wrong.map(|(path, message)| field(path, "address", message)));
        problems.extend(unknown_tasks(app, who, &rules).await?);
    }
    if !problems.is_empty() {
        let detail = format!("notification channel `{name}` is not right; `problems` names every field");
        return Err(Problem::new(Code::Invalid, detail).with(problems));
    }
    let sealed_secrets = if secrets.is_empty() { None } else { Some(app.secrets.seal_map(&owner(id), &secrets)?) };
    let now = app.clock.now();
    Ok(ChannelEdit { name, kind, settings, secret_names, sealed_secrets, rules, hourly, active, now })
}

/// A mistyped task would never be told about, and nobody would know.
async fn unknown_tasks(app: &App, who: &Who, rules: &[Rule]) -> Result<Vec<FieldProblem>> {
    let tasks = app.store.task_facts(who.environment.id).await?;
    let mut problems = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        for (place, name) in rule.tasks.iter().enumerate() {
            if !tasks.iter().any(|task| task.name.eq_ignore_ascii_case(name)) {
                let message = format!("there is no task `{name}` in this environment");
                problems.push(field(&format!("/rules/{number}/tasks/{place}"), "unknown_task", message));
            }
        }
    }
    Ok(problems)
}

fn field(path: &str, code: &str, message: String) -> FieldProblem {
    FieldProblem { path: path.to_owned(), step: None, code: code.to_owned(), message }
}

fn everything() -> Vec<Rule> {
    vec![Rule::default()]
}

const fn hourly() -> u32 {
    HOURLY_DEFAULT
}

const fn yes() -> bool {
    true
}
