//! What a person does with a trigger: stop it for a time, give a webhook its token, start its run now.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use sallyport_domain::task::Signature;
use sallyport_domain::trigger::Kind;
use sallyport_protocol::Timestamp;
use sallyport_store::Trigger;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{TriggerView, find, view};
use crate::app::App;
use crate::http::extract::MaybeBody;
use crate::http::hooks::owner;
use crate::http::problem::{Code, Problem, Result};
use crate::http::runs::{RunView, idempotency_key, not_started};
use crate::http::time::parse;
use crate::http::who::Who;
use crate::schedule::{Cause, understood};
use crate::secrets::{Purpose, Secrets};

/// A pause without an end.
pub(super) const FOR_GOOD: Timestamp = Timestamp(i64::MAX);

/// How long to pause.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseBody {
    /// Until this time (RFC 3339); until it is resumed when left out.
    until: Option<String>,
}

/// A webhook's new token; shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookView {
    /// The address to post to, with the token in it.
    url: String,
    /// The key of the signature, where the trigger asks for one.
    secret: Option<String>,
}

/// Stop a trigger for a time. What would have been due in between is not made up for.
#[utoipa::path(post, path = "/tasks/{id}/triggers/{name}/pause", tag = "triggers", operation_id = "pause_trigger",
    request_body = Option<PauseBody>,
    params(("id" = String, Path, description = "The task's id or name"), ("name" = String, Path, description = "The trigger's name")),
    responses((status = 200, body = TriggerView)))]
pub(crate) async fn pause(
    State(app): State<Arc<App>>,
    who: Who,
    Path((task, name)): Path<(String, String)>,
    MaybeBody(body): MaybeBody<PauseBody>,
) -> Result<Json<TriggerView>> {
    let until = body.until.as_deref().map(|until| parse("until", until)).transpose()?.unwrap_or(FOR_GOOD);
    if until <= app.clock.now() {
        return Err(Problem::field("/until", "past", "`until` has passed already; give a later time"));
    }
    set_pause(&app, &who, (&task, &name), Some(until)).await
}

/// Let a paused trigger go on with its next time.
#[utoipa::path(post, path = "/tasks/{id}/triggers/{name}/resume", tag = "triggers", operation_id = "resume_trigger",
    params(("id" = String, Path, description = "The task's id or name"), ("name" = String, Path, description = "The trigger's name")),
    responses((status = 200, body = TriggerView)))]
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    who: Who,
    Path((task, name)): Path<(String, String)>,
) -> Result<Json<TriggerView>> {
    set_pause(&app, &who, (&task, &name), None).await
}

/// Give a webhook a new token and, where it asks for signatures, a new secret; the old ones are worth nothing at once.
#[utoipa::path(post, path = "/tasks/{id}/triggers/{name}/token", tag = "triggers", operation_id = "new_trigger_token",
    params(("id" = String, Path, description = "The task's id or name"), ("name" = String, Path, description = "The trigger's name")),
    responses((status = 201, body = WebhookView)))]
pub(crate) async fn token(
    State(app): State<Arc<App>>,
    who: Who,
    Path((task, name)): Path<(String, String)>,
) -> Result<(StatusCode, Json<WebhookView>)> {
    let trigger = find(&app, &who, &task, &name).await?;
    if trigger.kind != Kind::Webhook {
        return Err(Problem::new(Code::NotWebhook, format!("trigger `{name}` is of kind {}", trigger.kind)));
    }
    let (definition, _) = understood(&trigger).map_err(|problem| Problem::new(Code::TriggerStopped, problem))?;
    let token = Secrets::token("hook_")?;
    let signs = definition.webhook.as_ref().is_some_and(|webhook| webhook.signature == Signature::HmacSha256);
    let secret = signs.then(|| Secrets::token("whsec_")).transpose()?;
    let sealed = secret.as_ref().map(|secret| app.secrets.seal_for(&owner(&trigger), secret.expose().as_bytes()));
    let hash = app.secrets.hash(Purpose::Hook, &token);
    app.store.set_trigger_token(trigger.task, &name, hash, sealed.transpose()?).await?;
    tracing::info!(task = %trigger.task, trigger = name, by = %who.person.id, "webhook given a new token");
    let url = format!("{}/hooks/{}", app.config.public_url, token.expose());
    let secret = secret.map(|secret| secret.expose().to_owned());
    Ok((StatusCode::CREATED, Json(WebhookView { url, secret })))
}

/// Start a trigger's run now, whatever its times and pauses. The same `Idempotency-Key` finds the same run.
#[utoipa::path(post, path = "/tasks/{id}/triggers/{name}/fire", tag = "triggers", operation_id = "fire_trigger",
    params(("id" = String, Path, description = "The task's id or name"), ("name" = String, Path, description = "The trigger's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request find the run")),
    responses((status = 201, body = RunView), (status = 200, body = RunView, description = "The key's run was there")))]
pub(crate) async fn fire(
    State(app): State<Arc<App>>,
    who: Who,
    Path((task, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    let trigger = find(&app, &who, &task, &name).await?;
    let (definition, _) = understood(&trigger).map_err(|problem| Problem::new(Code::TriggerStopped, problem))?;
    let now = app.clock.now();
    let key = idempotency_key(&headers)?.map(|key| format!("fire:{}:{name}:{key}", trigger.task));
    let cause = Cause { key, due_at: now, by: Some((who.trigger().to_owned(), who.name())), body: None };
    let started = app.live.schedule.start_run(&trigger, &definition, cause).await;
    let started = started.map_err(|error| not_started(error, &task))?;
    app.store.note_trigger(trigger.task, &name, Ok(started.run.id), now).await?;
    let status = if started.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(RunView::of(&started.run, &app))).into_response())
}

async fn set_pause(
    app: &App,
    who: &Who,
    (task, name): (&str, &str),
    until: Option<Timestamp>,
) -> Result<Json<TriggerView>> {
    let trigger = find(app, who, task, name).await?;
    let from = until.map_or(app.clock.now(), |until| Timestamp(until.0.saturating_sub(1)));
    let due_at = due_after(&trigger, from);
    app.store.pause_trigger(trigger.task, name, until, due_at).await?;
    app.live.schedule.changed();
    let paused = until.is_some();
    tracing::info!(task = %trigger.task, trigger = name, paused, by = %who.person.id, "trigger paused or resumed");
    view(app, who, find(app, who, task, name).await?).await.map(Json)
}

fn due_after(trigger: &Trigger, from: Timestamp) -> Option<Timestamp> {
    understood(trigger).ok()?.1?.after(from)
}
