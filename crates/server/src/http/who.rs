//! Who asks, and in which environment.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, Method, header};
use sallyport_protocol::{Secret, Timestamp};
use sallyport_store::{Environment, Person, TokenUse};

use crate::app::App;
use crate::http::audit;
use crate::http::problem::{Code, Problem, Result};
use crate::secrets::Purpose;

/// The cookie that holds a browser's login.
pub(crate) const COOKIE: &str = "sallyport_login";

/// Names the environment, by name or id; the company's first one without it.
const ENVIRONMENT_HEADER: &str = "sallyport-environment";

/// A token's use is written down at most this often.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// A person, by login or API token.
pub(crate) struct Who {
    /// Who.
    pub(crate) person: Person,
    /// Where.
    pub(crate) environment: Environment,
    /// The hash of the token that was shown.
    pub(crate) token: Vec<u8>,
    /// Whether it was an API token.
    pub(crate) by_api_token: bool,
}

impl Who {
    /// The name for documents and logs.
    pub(crate) fn name(&self) -> String {
        self.person.email.clone().unwrap_or_else(|| self.person.name.clone())
    }

    /// What started something that this request starts.
    pub(crate) fn trigger(&self) -> &'static str {
        if self.by_api_token { "api" } else { "person" }
    }
}

impl FromRequestParts<Arc<App>> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let (token, by_cookie) = token(&parts.headers).ok_or_else(|| {
            Problem::new(Code::NotLoggedIn, "log in with POST /api/v1/login, or send `Authorization: Bearer <token>`")
        })?;
        if by_cookie {
            same_origin(&parts.method, &parts.headers)?;
        }
        Self::by_token(app, parts, &token).await
    }
}

impl Who {
    /// Whoever has this login's or API token.
    pub(crate) async fn by_token(app: &App, parts: &Parts, token: &Secret) -> Result<Self> {
        let hash = app.secrets.hash(Purpose::Bearer, token);
        let now = app.clock.now();
        let login = app.store.token_login(hash.clone(), now).await?.ok_or_else(|| {
            Problem::new(Code::NotLoggedIn, "the token is not known, or has expired or been revoked; log in again")
        })?;
        let company = login.person.company;
        let asked = asked(&parts.headers)?;
        let bound = login.api_token.as_ref().map(|token| token.environment.to_string());
        let environment = app
            .store
            .environment(company, asked.as_deref().or(bound.as_deref()))
            .await
            .map_err(Problem::naming("environment", asked.as_deref().unwrap_or_default()))?;
        if let Some(token) = &login.api_token {
            if token.environment != environment.id {
                let asked = asked.unwrap_or_default();
                return Err(Problem::new(Code::NotFound, format!("there is no environment `{asked}` for this token")));
            }
            note_use(app, token, now).await;
        }
        let who = Self { person: login.person, environment, token: hash, by_api_token: login.api_token.is_some() };
        audit::asks(app, parts, &who).await;
        Ok(who)
    }
}

/// The environment that the request names. One that cannot be read is not the same as none: the company's first
/// environment is where it must not end up.
fn asked(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get(ENVIRONMENT_HEADER) else { return Ok(None) };
    match std::str::from_utf8(value.as_bytes()) {
        Ok(name) => Ok(Some(name.to_owned())),
        Err(_) => Err(Problem::new(Code::BadRequest, "the header `Sallyport-Environment` is not UTF-8")),
    }
}

/// A request that only reads is not held up by it: it is written at most once a minute, and may fail.
async fn note_use(app: &App, token: &TokenUse, now: Timestamp) {
    if token.last_used_at.is_some_and(|last| now.since(last) < USE_NOTED_EVERY) {
        return;
    }
    if let Err(error) = app.store.note_token_use(token.id, now).await {
        tracing::warn!(token = %token.id, %error, "the use of an API token was not written down");
    }
}

fn token(headers: &HeaderMap) -> Option<(Secret, bool)> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| Secret::new(token.trim()));
    if let Some(bearer) = bearer {
        return Some((bearer, false));
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|value| value.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, token)| (Secret::new(token), true))
}

/// A browser sends the cookie for whoever asks; `SameSite=Strict` keeps other sites out, and so does this.
fn same_origin(method: &Method, headers: &HeaderMap) -> Result<()> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let Some(origin) = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else {
        return Ok(());
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let from = origin.split_once("://").map_or("", |(_, authority)| authority);
    if from.eq_ignore_ascii_case(host) {
        return Ok(());
    }
    Err(Problem::new(Code::ForeignOrigin, format!("the request came from a page of `{origin}`")))
}
