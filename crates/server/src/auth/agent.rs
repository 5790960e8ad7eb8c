//! An agent's or wrapper's login: Basic, the agent's UUID and its password.

use std::net::IpAddr;

use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sallyport_protocol::{AgentId, Refusal, RefusalCode, Secret, Timestamp};
use sallyport_store::{Agent, AgentKind, Credential, CredentialState, Error};
use serde::Serialize;
use uuid::Uuid;

use crate::app::App;
use crate::secrets::Purpose;

/// Who has logged in.
pub(crate) struct AgentLogin {
    /// The agent; active at the time of asking.
    pub(crate) agent: Agent,
}

/// A login that was refused; answers with the refusal as JSON.
#[derive(Debug)]
pub(crate) struct LoginRefused(pub(crate) Refusal);

#[derive(Serialize)]
struct Body {
    refusal: Refusal,
}

impl IntoResponse for LoginRefused {
    fn into_response(self) -> Response {
        let status = match self.0.code {
            RefusalCode::Deactivated | RefusalCode::OtherEnvironment => StatusCode::FORBIDDEN,
            RefusalCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        };
        let retry = self.0.retry_after_seconds;
        let mut response = (status, Json(Body { refusal: self.0 })).into_response();
        if let Some(seconds) = retry {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"agents\""));
        }
        response
    }
}

/// Checks the credentials of a request and writes their first use down.
pub(crate) async fn login(app: &App, headers: &HeaderMap, from: IpAddr) -> Result<AgentLogin, LoginRefused> {
    let outcome = check(app, headers).await;
    if let Err(LoginRefused(refusal)) = &outcome {
        app.metrics.login_refused();
        tracing::warn!(%from, code = ?refusal.code, reason = %refusal.message, "agent login refused");
    }
    outcome
}

async fn check(app: &App, headers: &HeaderMap) -> Result<AgentLogin, LoginRefused> {
    let (id, password) = credentials(headers)?;
    let hash = app.secrets.hash(Purpose::Agent, &password);
    let now = app.clock.now();
    let agent = match app.store.agent_anywhere(id).await {
        Ok(agent) if agent.kind == AgentKind::Remote => agent,
        Ok(_) | Err(Error::NotFound) => {
            return Err(refuse(RefusalCode::UnknownAgent, "No agent has this user name; download the agent again."));
        }
        Err(error) => return Err(unavailable(&error)),
    };
    let credential = app.store.credential(hash.clone(), now).await.map_err(|error| unavailable(&error))?;
    let credential = judge(&agent, credential)?;
    if !credential.used {
        note_use(app, hash, now).await?;
    }
    Ok(AgentLogin { agent })
}

/// Whether what was shown opens the door for this agent; each reason is told apart.
fn judge(agent: &Agent, credential: Option<Credential>) -> Result<Credential, LoginRefused> {
    let Some(credential) = credential else {
        let message = format!("The password is not that of agent `{}`; download the agent again.", agent.name);
        return Err(refuse(RefusalCode::WrongCredentials, &message));
    };
    if credential.environment != agent.environment {
        return Err(refuse(
            RefusalCode::OtherEnvironment,
            "The password belongs to an agent of another environment; download the agent from its own environment.",
        ));
    }
    if credential.agent != agent.id {
        let message = format!("The password belongs to another agent than `{}`; download the agent again.", agent.name);
        return Err(refuse(RefusalCode::WrongCredentials, &message));
    }
    match credential.state {
        CredentialState::Revoked => Err(refuse(
            RefusalCode::RevokedCredentials,
            "The password was rotated or revoked; download the agent again, or copy the new appsettings.json.",
        )),
        CredentialState::Expired => {
            Err(refuse(RefusalCode::ExpiredCredentials, "The password has expired; download the agent again."))
        }
        CredentialState::Good if !agent.active => {
            let message = format!("Agent `{}` is deactivated; reactivate it on the platform.", agent.name);
            Err(refuse(RefusalCode::Deactivated, &message))
        }
        CredentialState::Good => Ok(credential),
    }
}

async fn note_use(app: &App, hash: Vec<u8>, now: Timestamp) -> Result<(), LoginRefused> {
    app.store.note_credential_use(hash, now).await.map_err(|error| unavailable(&error))
}

fn credentials(headers: &HeaderMap) -> Result<(AgentId, Secret), LoginRefused> {
    let decoded = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(decoded) = decoded.map(zeroize::Zeroizing::new) else {
        return Err(refuse(
            RefusalCode::WrongCredentials,
            "No credentials were sent; is `Username` set in appsettings.json?",
        ));
    };
    let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
    match Uuid::try_parse(user) {
        Ok(uuid) => Ok((AgentId::from_uuid(uuid), Secret::new(password))),
        Err(_) => Err(refuse(
            RefusalCode::UnknownAgent,
            "The user name is not one that the platform has made; download the agent again.",
        )),
    }
}

fn refuse(code: RefusalCode, message: &str) -> LoginRefused {
    LoginRefused(Refusal { code, message: message.to_owned(), retry_after_seconds: Some(60) })
}

fn unavailable(error: &Error) -> LoginRefused {
    tracing::error!(%error, "an agent's login could not be checked");
    LoginRefused(Refusal {
        code: RefusalCode::Unavailable,
        message: "The server cannot check logins now; try again.".into(),
        retry_after_seconds: Some(10),
    })
}
