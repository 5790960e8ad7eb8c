//! The beginning of an agent's session, whatever carries it: a socket, or a channel inside this process.

use std::sync::Arc;

use sallyport_protocol::{AgentId, AgentMessage, Refusal, RefusalCode, ServerToAgent};
use sallyport_store::{Admit, SessionKind};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::agent::{Line, Session};
use super::registry::Slot;
use super::socket::{ACKS_MAX, Outbox};
use super::{Handle, admission};
use crate::engine::Link;

/// Lets an agent in that has said hello. The welcome is the first thing that the line says.
pub(crate) async fn open(
    gateway: &Handle,
    agent: AgentId,
    hello: AgentMessage,
    address: Option<String>,
) -> Result<Line, Refusal> {
    let AgentMessage::Hello { versions, presence, installation, instance, running, programs } = hello else {
        return Err(Refusal {
            code: RefusalCode::Other,
            message: "The first message must be a hello.".to_owned(),
            retry_after_seconds: None,
        });
    };
    let version = admission::agree(&versions)?;
    let now = gateway.parts().clock.now();
    let admit = Admit {
        agent,
        replica: gateway.parts().replica.clone(),
        instance,
        installation,
        address: address.clone(),
        presence: presence.clone(),
        programs,
        replace: false,
        now,
    };
    let (epoch, agent) = admission::admit(gateway, SessionKind::Agent, admit).await?;
    let (link, commands) = Link::new(epoch, CancellationToken::new());
    let link = link.able_to(versions.capabilities);
    let (slot, pings) = Slot::new(link, presence, address, now);
    let slot = Arc::new(slot);
    let (acks, queue) = mpsc::channel(ACKS_MAX);
    slot.link.send(ServerToAgent::Welcome {
        version,
        name: agent.name.clone(),
        heartbeat_seconds: gateway.parts().heartbeat_seconds,
        server_time: gateway.parts().clock.now(),
        levels: agent.levels,
    });
    let session = Session::new(gateway.clone(), *agent, instance, Arc::clone(&slot), acks);
    session.begin(running).await;
    Ok(Line { session, outbox: Outbox { commands, acks: queue, pings } })
}
