//! What people change: one line for every request that changes something, written before its answer is given. Starts
//! of runs are not among them: a run says itself who started it.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::Json;
use axum::extract::{ConnectInfo, FromRequestParts as _, MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{Method, StatusCode, header};
use sallyport_protocol::{CompanyId, EnvironmentId};
use sallyport_store::{AuditFilter, AuditLine};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::http::extract::Params;
use crate::http::page::{PageView, Paging};
use crate::http::problem::Result;
use crate::http::time::{parse, rfc3339};
use crate::http::who::Who;

/// Requests that change nothing, or that leave their trace elsewhere, as they stand behind `/api/v1/`.
const LEFT_OUT: [&str; 5] = ["tasks/validate", "tasks/preview", "tasks/{id}/runs", "views/{list}/{name}", "logout"];

/// The longest target that is kept, in bytes: paths are as long as callers make them.
const TARGET_BYTES_MAX: usize = 200;

/// A change that somebody made.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditView {
    /// When.
    at: String,
    /// Who, by the address they log in with.
    who: String,
    /// Whether an API token was used.
    by_api_token: bool,
    /// What, such as `agent.restart`.
    action: String,
    /// What it was done to: an id or a name.
    target: Option<String>,
    /// Its name at that time.
    target_name: Option<String>,
    /// The answer's HTTP status; 403 and 409 are refusals.
    status: u16,
    /// Where the request came from.
    address: Option<String>,
}

/// Which lines to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filters {
    /// By this person's address.
    who: Option<String>,
    /// This action, or those that begin with it: `agent` has `agent.restart` among them.
    action: Option<String>,
    /// Part of who, action or the target's name.
    search: Option<String>,
    /// At or after this time.
    since: Option<String>,
}

impl From<AuditLine> for AuditView {
    fn from(line: AuditLine) -> Self {
        Self {
            at: rfc3339(line.at),
            who: line.who,
            by_api_token: line.by_api_token,
            action: line.action,
            target: line.target,
            target_name: line.target_name,
            status: line.status,
            address: line.address,
        }
    }
}

/// What people changed in this environment, kept for 400 days; refusals among it. Sorts: at.
#[utoipa::path(get, path = "/audit", tag = "company", params(Filters, Paging),
    responses((status = 200, body = PageView<AuditView>)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Who,
    Params(filters): Params<Filters>,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<AuditView>>> {
    let since = filters.since.as_deref().map(|since| parse("since", since)).transpose()?;
    let filter = AuditFilter { who: filters.who, action: filters.action, search: filters.search, since };
    Ok(Json(app.store.audit(who.environment.id, filter, paging.into()).await?.map(AuditView::from).into()))
}

/// Who asks, once that is known.
#[derive(Clone, Default)]
struct Slot(Arc<OnceLock<Asked>>);

struct Asked {
    company: CompanyId,
    environment: EnvironmentId,
    who: String,
    by_api_token: bool,
    target_name: Option<String>,
}

/// What a request would change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    action: String,
    kind: String,
    target: Option<String>,
}

/// Called when it is known who asks; what is asked about may be gone afterwards, so that its name is read now.
pub(crate) async fn asks(app: &App, parts: &Parts, who: &Who) {
    let (Some(slot), Some(change)) = (parts.extensions.get::<Slot>(), parts.extensions.get::<Change>()) else {
        return;
    };
    let asked = Asked {
        company: who.person.company,
        environment: who.environment.id,
        who: who.name(),
        by_api_token: who.by_api_token,
        target_name: name_of(app, who.environment.id, change).await,
    };
    // It is asked once for a request.
    let _ = slot.0.set(asked);
}

/// Writes down what the request has changed.
pub(crate) async fn keep(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let named = RawPathParams::from_request_parts(&mut parts, &()).await.ok();
    let given: Vec<&str> = named.iter().flatten().map(|(_, given)| given).collect();
    let pattern = parts.extensions.get::<MatchedPath>();
    let change = pattern.and_then(|pattern| change(&parts.method, pattern.as_str(), &given));
    let mut request = Request::from_parts(parts, body);
    let Some(mut change) = change else { return next.run(request).await };
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|from| from.0.ip().to_string());
    let slot = Slot::default();
    request.extensions_mut().insert(slot.clone());
    request.extensions_mut().insert(change.clone());
    let response = next.run(request).await;
    let status = response.status();
    if !(status.is_success() || [StatusCode::FORBIDDEN, StatusCode::CONFLICT].contains(&status)) {
        return response;
    }
    let Some(asked) = slot.0.get() else { return response };
    let mut target_name = asked.target_name.clone();
    if change.target.is_none() {
        // What is new is named by where it lies.
        let place = response.headers().get(header::LOCATION).and_then(|place| place.to_str().ok());
        change.target = place.and_then(|place| place.rsplit('/').next()).map(ToOwned::to_owned);
        target_name = name_of(&app, asked.environment, &change).await;
    }
    let line = AuditLine {
        at: app.clock.now(),
        who: asked.who.clone(),
        by_api_token: asked.by_api_token,
        action: change.action,
        target: change.target,
        target_name,
        status: status.as_u16(),
        address,
    };
    if let Err(error) = app.store.note_audit(asked.company, asked.environment, line).await {
        tracing::error!(%error, "a change was not written to the audit");
    }
    response
}

/// What a request would change, where its path names `given`; nothing where it only reads.
fn change(method: &Method, pattern: &str, given: &[&str]) -> Option<Change> {
    let verb = match *method {
        Method::POST => "add",
        Method::PUT | Method::PATCH => "change",
        Method::DELETE => "remove",
        _ => return None,
    };
    let pattern = pattern.strip_prefix("/api/v1/")?;
    if LEFT_OUT.contains(&pattern) {
        return None;
    }
    let literal = |part: &&str| !part.starts_with('{');
    let kind = pattern.split('/').take_while(literal).last()?.trim_end_matches('s').to_owned();
    // `/limits/{kind}/{name}` is about the name; `/tasks/{id}/triggers/{name}` about the task.
    let leading = pattern.split('/').skip_while(literal).take_while(|part| !literal(part)).count();
    let target = leading.checked_sub(1).and_then(|last| given.get(last));
    let target = target.map(|given| given[..given.floor_char_boundary(TARGET_BYTES_MAX)].to_owned());
    // What stands behind the first name: a part of it, or what is done to it.
    let part: Vec<&str> = pattern.split('/').skip_while(literal).filter(literal).collect();
    let action = match (part.join("."), method) {
        (part, _) if part.is_empty() => format!("{kind}.{verb}"),
        (part, &Method::POST) => format!("{kind}.{part}"),
        (part, _) => format!("{kind}.{part}.{verb}"),
    };
    Some(Change { action, kind, target })
}

/// The name of what is changed, where it has one that is not its id.
async fn name_of(app: &App, environment: EnvironmentId, change: &Change) -> Option<String> {
    let target = change.target.as_deref()?;
    match change.kind.as_str() {
        "agent" => app.store.agent(environment, target).await.ok().map(|agent| agent.name),
        "connection" => app.store.connection(environment, target).await.ok().map(|connection| connection.name),
        "task" => app.store.task(environment, target).await.ok().map(|task| task.name),
        "run" => {
            let run = app.store.run(environment, target.parse().ok()?).await.ok()?;
            Some(run.task_name)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
