//! An agent's or wrapper's login: Basic, the agent's bare UUID and its password.

use std::net::IpAddr;

use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sallyport_protocol::{AgentId, Refusal, RefusalCode, Secret};
use sallyport_store::{Agent, AgentKind, CredentialState, Error};
use serde::Serialize;
use uuid::Uuid;

use super::Handle;

/// A login that was refused; answers with the refusal as JSON.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Refusal);

/// How a refusal is told.
#[derive(Serialize)]
pub(super) struct Body {
    pub(super) refusal: Refusal,
}

impl IntoResponse for Refused {
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

/// An agent that has shown its password.
pub(crate) struct Known {
    pub(crate) agent: Agent,
    /// The password's hash.
    pub(crate) credential: Vec<u8>,
}

impl Handle {
    /// Checks the credentials of a request and writes their first use down.
    pub(crate) async fn authenticate(&self, headers: &HeaderMap, from: IpAddr) -> Result<Known, Refused> {
        let shown = credentials(headers);
        let agent = shown.as_ref().ok().map(|(id, _)| *id);
        let outcome = match shown {
            Ok((id, password)) => self.check(id, &password).await,
            Err(refused) => Err(refused),
        };
        if let Err(Refused(refusal)) = &outcome {
            self.count_refused();
            // Who exists is told by the code; what the server could not check says nothing about the agent.
            if let Some(agent) =
                agent.filter(|_| !matches!(refusal.code, RefusalCode::UnknownAgent | RefusalCode::Unavailable))
            {
                self.met(agent, Some(refusal.clone()));
            }
            let agent = agent.map(tracing::field::display);
            tracing::warn!(agent, %from, code = ?refusal.code, reason = refusal.message, "agent login refused");
        }
        outcome
    }

    async fn check(&self, id: AgentId, password: &Secret) -> Result<Known, Refused> {
        if self.parts().stop.is_cancelled() {
            return Err(unavailable("The server is stopping; try again."));
        }
        let hash = (self.parts().hash_credential)(password.expose());
        let (store, now) = (&self.parts().store, self.parts().clock.now());
        let agent = match store.agent_anywhere(id).await {
            Ok(agent) if agent.kind == AgentKind::Remote => agent,
            Ok(_) | Err(Error::NotFound) => {
                return Err(refuse(
                    RefusalCode::UnknownAgent,
                    "No agent has this user name; download the agent again.",
                ));
            }
            Err(error) => return Err(unchecked(&error)),
        };
        let credential = store.credential(hash.clone(), now).await.map_err(|error| unchecked(&error))?;
        let Some(credential) = credential else {
            let text = format!("The password is not that of agent `{}`; download the agent again.", agent.name);
            return Err(refuse(RefusalCode::WrongCredentials, &text));
        };
        if credential.environment != agent.environment {
            let text = "The password belongs to an agent of another environment; download the agent from its own.";
            return Err(refuse(RefusalCode::OtherEnvironment, text));
        }
        if credential.agent != agent.id {
            let text =
                format!("The password belongs to another agent than `{}`; download the agent again.", agent.name);
            return Err(refuse(RefusalCode::WrongCredentials, &text));
        }
        match credential.state {
            CredentialState::Revoked => Err(refuse(
                RefusalCode::RevokedCredentials,
                "The password was rotated or revoked; download the agent again, or copy the new appsettings.json.",
            )),
            CredentialState::Expired => {
                Err(refuse(RefusalCode::ExpiredCredentials, "The password has expired; download the agent again."))
            }
            CredentialState::Good if !agent.active => Err(refuse(
                RefusalCode::Deactivated,
                &format!("Agent `{}` is deactivated; reactivate it on the platform.", agent.name),
            )),
            CredentialState::Good => {
                if !credential.used {
                    store.note_credential_use(hash.clone(), now).await.map_err(|error| unchecked(&error))?;
                }
                Ok(Known { agent, credential: hash })
            }
        }
    }
}

fn credentials(headers: &HeaderMap) -> Result<(AgentId, Secret), Refused> {
    let decoded = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(decoded) = decoded.map(Secret::new) else {
        let text = "No credentials were sent; are `Username` and `Password` set in appsettings.json?";
        return Err(refuse(RefusalCode::WrongCredentials, text));
    };
    let (user, password) = decoded.expose().split_once(':').unwrap_or((decoded.expose(), ""));
    match Uuid::try_parse(user) {
        Ok(uuid) => Ok((AgentId::from_uuid(uuid), Secret::new(password))),
        Err(_) => Err(refuse(
            RefusalCode::UnknownAgent,
            "The user name is not one that the platform has made; download the agent again.",
        )),
    }
}

fn refuse(code: RefusalCode, message: &str) -> Refused {
    Refused(Refusal { code, message: message.to_owned(), retry_after_seconds: Some(60) })
}

fn unchecked(error: &Error) -> Refused {
    tracing::error!(%error, "an agent's login could not be checked");
    unavailable("The server cannot check logins now; try again.")
}

pub(super) fn unavailable(message: &str) -> Refused {
    let message = message.to_owned();
    Refused(Refusal { code: RefusalCode::Unavailable, message, retry_after_seconds: Some(10) })
}
