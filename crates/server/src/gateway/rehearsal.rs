//! A new version of an agent or wrapper that tries whether it would be let in.
//!
//! Invariant: it leaves no trace. It takes no place of the licence, and the session of the agent that runs stays.

use axum::extract::ws::WebSocket;
use sallyport_protocol::{AgentMessage, LogLevel, Refusal, RefusalCode, ServerToAgent};

use super::login::Known;
use super::seat::Peer as _;
use super::{Handle, admission, socket};

/// Answers a hello as if a session were to begin, and ends the connection.
pub(super) async fn serve(gateway: Handle, known: Known, address: String, mut socket: WebSocket) {
    let agent = known.agent;
    let answer = match socket::first::<AgentMessage>(&mut socket).await {
        Some(AgentMessage::Hello { versions, presence, .. }) => match admission::agree(&versions) {
            Ok(version) => {
                // A wrapper rehearses without an agent.
                let new = match (presence.agent_version, presence.wrapper_version) {
                    (None, Some(version)) => format!("wrapper {version}"),
                    (agent, _) => format!("version {}", agent.unwrap_or_default()),
                };
                gateway.note(agent.id, LogLevel::Info, format!("{new} has rehearsed its login")).await;
                ServerToAgent::welcome(&gateway, version, &agent)
            }
            Err(refusal) => ServerToAgent::Refused { refusal },
        },
        _ => ServerToAgent::Refused {
            refusal: Refusal {
                code: RefusalCode::Other,
                message: "The first message must be a hello.".to_owned(),
                retry_after_seconds: None,
            },
        },
    };
    tracing::info!(agent = agent.name, %address, "an agent's new version rehearsed");
    socket::turn_away(socket, &answer).await;
}
