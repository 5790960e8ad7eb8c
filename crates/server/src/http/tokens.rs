//! A person's API tokens, for programs.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sallyport_protocol::{Secret, TokenId};
use sallyport_store::{ApiToken, NewToken};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::http::extract::{Body, Params, Path};
use crate::http::page::{PageView, Paging};
use crate::http::problem::{Code, Problem, Result};
use crate::http::time::{maybe_rfc3339, rfc3339};
use crate::http::who::Who;
use crate::secrets::{Purpose, Secrets};

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 100;

/// The longest life that can be asked for: ten years.
const DAYS_MAX: u32 = 3660;

/// An API token, without the secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenView {
    /// `token_...`
    id: String,
    /// What its owner calls it.
    name: String,
    /// The environment it is good for.
    environment_id: String,
    /// When it was made.
    created_at: String,
    /// When it ends; null: never.
    expires_at: Option<String>,
    /// To the minute.
    last_used_at: Option<String>,
}

/// A token to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateToken {
    /// What to call it.
    name: String,
    /// How long it is good; for ever by default.
    expires_in_days: Option<u32>,
}

/// A token that was made. The secret is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedToken {
    /// To be sent as `Authorization: Bearer`.
    #[schema(value_type = String)]
    secret: Secret,
    /// The token.
    token: TokenView,
}

impl From<ApiToken> for TokenView {
    fn from(token: ApiToken) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name,
            environment_id: token.environment.to_string(),
            created_at: rfc3339(token.created_at),
            expires_at: maybe_rfc3339(token.expires_at),
            last_used_at: maybe_rfc3339(token.last_used_at),
        }
    }
}

/// My API tokens of this environment. Sorts: name, created_at.
#[utoipa::path(get, path = "/tokens", tag = "login", params(Paging),
    responses((status = 200, body = PageView<TokenView>)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Who,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<TokenView>>> {
    let page = app.store.tokens(who.environment.id, who.person.id, paging.into()).await?;
    Ok(Json(page.map(TokenView::from).into()))
}

/// Make an API token for this environment. The answer is the only place where its secret is shown.
#[utoipa::path(post, path = "/tokens", tag = "login", request_body = CreateToken,
    responses((status = 201, body = CreatedToken)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    who: Who,
    Body(create): Body<CreateToken>,
) -> Result<(StatusCode, Json<CreatedToken>)> {
    if who.by_api_token {
        return Err(Problem::new(Code::NeedsLogin, "log in to make API tokens; a token cannot make others"));
    }
    let name = create.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(Problem::field("/name", "name", format!("the name must have 1 to {NAME_CHARS_MAX} characters")));
    }
    if create.expires_in_days.is_some_and(|days| days == 0 || days > DAYS_MAX) {
        return Err(Problem::field("/expires_in_days", "range", format!("expected 1 to {DAYS_MAX}")));
    }
    let secret = Secrets::token("sp_")?;
    let now = app.clock.now();
    let lives = |days: u32| Duration::from_secs(u64::from(days) * 24 * 3600);
    let token = app
        .store
        .create_token(NewToken {
            hash: app.secrets.hash(Purpose::Bearer, &secret),
            person: who.person.id,
            environment: who.environment.id,
            name,
            now,
            expires_at: create.expires_in_days.map(|days| now.plus(lives(days))),
        })
        .await?;
    tracing::info!(token = %token.id, person = %who.person.id, "API token made");
    Ok((StatusCode::CREATED, Json(CreatedToken { secret, token: token.into() })))
}

/// Revoke one of my API tokens; it stops working at once.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "login", params(("id" = String, Path, description = "The token's id")),
    responses((status = 204, description = "Revoked")))]
pub(crate) async fn revoke(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<StatusCode> {
    let not_found = || Problem::new(Code::NotFound, format!("you have no API token `{id}` in this environment"));
    let token: TokenId = id.parse().map_err(|_| not_found())?;
    app.store
        .revoke_token(who.environment.id, who.person.id, token, app.clock.now())
        .await
        .map_err(Problem::naming("API token", &id))?;
    tracing::info!(%token, person = %who.person.id, "API token revoked");
    Ok(StatusCode::NO_CONTENT)
}
