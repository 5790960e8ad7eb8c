//! Webhooks: `POST /hooks/<token>` starts a run. The token is the login; a signature can be asked for beside it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use sallyport_domain::task::{Signature, Trigger as Definition};
use sallyport_protocol::{Secret, Timestamp};
use sallyport_store::{Error, Trigger};
use serde::Serialize;

use crate::app::App;
use crate::http::extract::Raw;
use crate::http::problem::{Code, Problem, Result};
use crate::http::runs::{idempotency_key, not_started};
use crate::schedule::{Cause, paused, understood};
use crate::secrets::{Purpose, Secrets};

/// How far the caller's clock may be from ours, and how long a request can be repeated by somebody who has heard it.
const CLOCKS_APART: Duration = Duration::from_secs(300);

/// The largest body that parameters are taken from, in bytes.
const JSON_BYTES_MAX: usize = 256 * 1024;

/// What a call answers.
#[derive(Serialize)]
pub(crate) struct Accepted {
    /// `run_...`
    run: String,
}

/// Who the token lets through starts a run; the same `Idempotency-Key`, and the same signed request, finds its run.
pub(crate) async fn call(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<(StatusCode, Json<Accepted>)> {
    let trigger = find(&app, Secret::new(token)).await?;
    let hash = trigger.token_hash.as_deref().unwrap_or_default();
    app.pace.count(hash).map_err(|wait| {
        Problem::new(Code::TooOften, "this webhook was called too often in the last minute").retry_after(wait)
    })?;
    let now = app.clock.now();
    let stopped = |why: &str| Problem::new(Code::TriggerStopped, format!("trigger `{}` {why}", trigger.name));
    let (definition, _) = understood(&trigger).map_err(|problem| stopped(&format!("is out of use: {problem}")))?;
    let key = idempotency_key(&headers)?;
    let signature = signed(&app, &trigger, &definition, &headers, key.as_deref(), &body)?;
    if !trigger.active {
        return Err(stopped("is inactive"));
    }
    if paused(&trigger, now).is_some() {
        return Err(stopped("is paused"));
    }
    let key = key.map(|key| format!("key:{key}")).or(signature.map(|signature| format!("signature:{signature}")));
    let key = key.map(|key| format!("hook:{}:{}:{key}", trigger.task, trigger.name));
    let body = if definition.reads_body() { Some(read(&body)?) } else { None };
    let started = app.live.schedule.start_run(&trigger, &definition, Cause { key, due_at: now, by: None, body }).await;
    let run = started.map_err(|error| not_started(error, &trigger.task_name))?.run.id;
    app.store.note_trigger(trigger.task, &trigger.name, Ok(run), now).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { run: run.to_string() })))
}

/// The body of a webhook that takes parameters from it.
fn read(body: &[u8]) -> Result<serde_json::Value> {
    if body.len() > JSON_BYTES_MAX {
        let message = format!("the body has {} bytes; one that is read has at most {JSON_BYTES_MAX}", body.len());
        return Err(Problem::new(Code::TooLarge, message));
    }
    serde_json::from_slice(body).map_err(|error| {
        Problem::new(Code::BadRequest, format!("the body must be JSON, the trigger reads it: {error}"))
    })
}

async fn find(app: &App, token: Secret) -> Result<Trigger> {
    let unknown = || Problem::new(Code::NotFound, "there is no webhook at this address");
    let found = app.store.trigger_by_token(app.secrets.hash(Purpose::Hook, &token)).await;
    let trigger = found.map_err(|error| match error {
        Error::NotFound => unknown(),
        error => error.into(),
    })?;
    // Looked up by a keyed hash, which nobody can steer; compared once more without a hint by time.
    let kept = trigger.token_hash.as_deref().unwrap_or_default();
    if app.secrets.is_hash(Purpose::Hook, &token, kept) { Ok(trigger) } else { Err(unknown()) }
}

/// The signature, where the trigger asks for one and it is good. It covers the time and the key, so that nobody who
/// has heard a request can send it as another.
fn signed(
    app: &App,
    trigger: &Trigger,
    definition: &Definition,
    headers: &HeaderMap,
    key: Option<&str>,
    body: &[u8],
) -> Result<Option<String>> {
    if definition.webhook.as_ref().is_none_or(|webhook| webhook.signature == Signature::None) {
        return Ok(None);
    }
    let bad = |why: &str| Problem::new(Code::BadSignature, format!("{why}; see docs/triggers.md"));
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let stamp = header("x-sallyport-timestamp").ok_or_else(|| bad("`X-Sallyport-Timestamp` is missing"))?;
    let seconds: i64 = stamp.parse().map_err(|_| bad("`X-Sallyport-Timestamp` is no number of seconds since 1970"))?;
    let (now, said) = (app.clock.now(), Timestamp(seconds.saturating_mul(1_000_000)));
    if now.since(said).max(said.since(now)) > CLOCKS_APART {
        return Err(bad("`X-Sallyport-Timestamp` is more than five minutes from the server's time"));
    }
    let hex = header("x-sallyport-signature").and_then(|value| value.strip_prefix("sha256="));
    let hex = hex.ok_or_else(|| bad("`X-Sallyport-Signature: sha256=<hexadecimal>` is missing"))?;
    let given = bytes(hex).ok_or_else(|| bad("`X-Sallyport-Signature` is not hexadecimal"))?;
    let sealed = trigger.sealed_secret.as_deref().ok_or_else(|| bad("the webhook has no secret yet"))?;
    let secret = app.secrets.open_for(&owner(trigger), sealed)?;
    let text = [stamp.as_bytes(), b".", key.unwrap_or_default().as_bytes(), b".", body].concat();
    if Secrets::is_signature(&secret, &text, &given)? {
        Ok(Some(hex.to_ascii_lowercase()))
    } else {
        Err(bad("`X-Sallyport-Signature` does not fit time, key and body"))
    }
}

/// For whom a webhook's secret is sealed.
pub(crate) fn owner(trigger: &Trigger) -> String {
    format!("{}/{}", trigger.task, trigger.name)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
}
