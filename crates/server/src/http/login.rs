//! People log in and out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sallyport_protocol::Secret;
use sallyport_store::{Login, Person};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::password;
use crate::http::extract::Body;
use crate::http::problem::{Code, Problem, Result};
use crate::http::time::rfc3339;
use crate::http::who::{COOKIE, Who};
use crate::secrets::{Purpose, Secrets};

/// A login ends after a working day.
const LOGIN_VALID: Duration = Duration::from_secs(12 * 3600);

/// The longest e-mail address there can be.
pub(crate) const EMAIL_BYTES_MAX: usize = 254;

/// What a person knows.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Credentials {
    /// As given at set-up.
    email: String,
    /// The password.
    #[schema(value_type = String)]
    password: Secret,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct UserView {
    /// `user_...`
    pub(crate) id: String,
    /// Their name.
    pub(crate) name: String,
    /// Their address.
    pub(crate) email: String,
    /// Their company.
    pub(crate) company_id: String,
}

impl From<&Person> for UserView {
    fn from(person: &Person) -> Self {
        Self {
            id: person.id.to_string(),
            name: person.name.clone(),
            email: person.email.clone().unwrap_or_default(),
            company_id: person.company.to_string(),
        }
    }
}

/// A login. Browsers get the token as a cookie too.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoginView {
    /// To be sent as `Authorization: Bearer`.
    #[schema(value_type = String)]
    token: Secret,
    /// When it ends.
    expires_at: String,
    /// Who.
    user: UserView,
}

/// Who is asking, and where.
#[derive(Serialize, ToSchema)]
pub(crate) struct MeView {
    /// Who.
    user: UserView,
    /// The environment that this request was about.
    environment_id: String,
    /// Its name.
    environment: String,
    /// Whether an API token was used.
    api_token: bool,
}

/// Log in with e-mail address and password.
#[utoipa::path(post, path = "/login", tag = "login", request_body = Credentials, security(()),
    responses((status = 200, body = LoginView, description = "Logged in; the cookie is set too")))]
pub(crate) async fn login(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Body(credentials): Body<Credentials>,
) -> Result<Response> {
    let email = credentials.email.trim().to_owned();
    if email.len() > EMAIL_BYTES_MAX {
        return Err(Problem::field("/email", "too_long", format!("`email` is longer than {EMAIL_BYTES_MAX} bytes")));
    }
    let from = from.ip();
    app.throttle.reserve(&email, from).map_err(|wait| {
        let detail = format!("too many failed logins; try again in {} s", wait.as_secs().max(1));
        Problem::new(Code::TooManyTries, detail).retry_after(wait)
    })?;
    let person = match app.store.person_by_email(&email).await {
        Ok(person) => Some(person),
        Err(sallyport_store::Error::NotFound) => None,
        Err(error) => {
            app.throttle.give_back(&email, from);
            return Err(error.into());
        }
    };
    let hash = person.as_ref().and_then(|person| person.password_hash.clone());
    let too_long = credentials.password.expose().len() > password::BYTES_MAX;
    let right = if too_long { Ok(false) } else { password::verify(credentials.password, hash).await };
    let right = right.inspect_err(|_| app.throttle.give_back(&email, from))?;
    let Some(person) = person.filter(|_| right) else {
        tracing::warn!(%from, "login failed");
        return Err(Problem::new(Code::WrongPassword, "e-mail address or password is wrong"));
    };
    app.throttle.succeeded(&email, from);
    begin(&app, &person).await
}

async fn begin(app: &App, person: &Person) -> Result<Response> {
    let token = Secrets::token("login_")?;
    let now = app.clock.now();
    let expires_at = now.plus(LOGIN_VALID);
    let hash = app.secrets.hash(Purpose::Bearer, &token);
    app.store.create_login(Login { hash, person: person.id, now, expires_at }).await?;
    tracing::info!(person = %person.id, "logged in");
    let cookie = cookie(token.expose(), LOGIN_VALID)?;
    let view = LoginView { token, expires_at: rfc3339(expires_at), user: UserView::from(person) };
    Ok((cookie, Json(view)).into_response())
}

/// End the login that this request was made with.
#[utoipa::path(post, path = "/logout", tag = "login", responses((status = 204, description = "Logged out")))]
pub(crate) async fn logout(State(app): State<Arc<App>>, who: Who) -> Result<Response> {
    if who.by_api_token {
        return Err(Problem::new(
            Code::NeedsLogin,
            "an API token is not logged out but deleted: DELETE /api/v1/tokens/{id}",
        ));
    }
    app.store.end_login(who.token).await?;
    Ok((StatusCode::NO_CONTENT, cookie("", Duration::ZERO)?).into_response())
}

/// Who am I, and in which environment?
#[utoipa::path(get, path = "/me", tag = "login", responses((status = 200, body = MeView)))]
pub(crate) async fn me(who: Who) -> Json<MeView> {
    Json(MeView {
        user: UserView::from(&who.person),
        environment_id: who.environment.id.to_string(),
        environment: who.environment.name,
        api_token: who.by_api_token,
    })
}

fn cookie(token: &str, valid: Duration) -> Result<HeaderMap> {
    let text = format!("{COOKIE}={token}; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age={}", valid.as_secs());
    let mut value = HeaderValue::from_str(&text).map_err(|error| Problem::internal(&error.into()))?;
    value.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(header::SET_COOKIE, value);
    Ok(headers)
}
