//! The beginning of a session, the same for agents and wrappers: versions, admission, welcome, and a place where the
//! rest of the server finds it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sallyport_protocol::{
    AgentId, InstallationId, InstanceId, Presence, Refusal, RefusalCode, ServerToAgent, ServerToWrapper, Versions,
};
use sallyport_store::{Admit, Agent, SessionKind};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::registry::{Registry, Slot};
use super::socket::{ACKS_MAX, Outbox};
use super::{Handle, admission};
use crate::engine::Link;

/// What the server says to one kind of peer.
pub(super) trait Peer: Send + Sized + 'static {
    /// Whose sessions these are.
    const KIND: SessionKind;

    /// The sessions that stand.
    fn registry(gateway: &Handle) -> &Registry<Self>;

    /// The first word.
    fn welcome(gateway: &Handle, version: u32, agent: &Agent) -> Self;

    /// The last word to one that may not stay.
    fn refused(refusal: Refusal) -> Self;

    /// The last word before the server stops.
    fn go_away(spread: Duration) -> Self;
}

impl Peer for ServerToAgent {
    const KIND: SessionKind = SessionKind::Agent;

    fn registry(gateway: &Handle) -> &Registry<Self> {
        &gateway.shared().agents
    }

    fn welcome(gateway: &Handle, version: u32, agent: &Agent) -> Self {
        Self::Welcome {
            version,
            name: agent.name.clone(),
            heartbeat_seconds: gateway.parts().heartbeat_seconds,
            server_time: gateway.parts().clock.now(),
            levels: agent.levels,
        }
    }

    fn refused(refusal: Refusal) -> Self {
        Self::Refused { refusal }
    }

    fn go_away(spread: Duration) -> Self {
        Self::GoAway { spread_ms: millis(spread) }
    }
}

impl Peer for ServerToWrapper {
    const KIND: SessionKind = SessionKind::Wrapper;

    fn registry(gateway: &Handle) -> &Registry<Self> {
        &gateway.shared().wrappers
    }

    fn welcome(gateway: &Handle, version: u32, agent: &Agent) -> Self {
        Self::Welcome {
            version,
            name: agent.name.clone(),
            heartbeat_seconds: gateway.parts().heartbeat_seconds,
            server_time: gateway.parts().clock.now(),
        }
    }

    fn refused(refusal: Refusal) -> Self {
        Self::Refused { refusal }
    }

    fn go_away(spread: Duration) -> Self {
        Self::GoAway { spread_ms: millis(spread) }
    }
}

/// Somebody who has said hello.
pub(super) struct Newcomer {
    pub(super) agent: AgentId,
    /// The hash of the password it has shown; absent for the agent inside this process.
    pub(super) credential: Option<Vec<u8>>,
    pub(super) versions: Versions,
    pub(super) presence: Presence,
    pub(super) installation: InstallationId,
    pub(super) instance: InstanceId,
    pub(super) programs: Vec<String>,
    pub(super) address: Option<String>,
}

/// A session that was let in. The welcome is the first thing that its outbox says.
pub(super) struct Seat<M> {
    pub(super) agent: Agent,
    pub(super) instance: InstanceId,
    pub(super) slot: Arc<Slot<M>>,
    pub(super) acks: mpsc::Sender<M>,
    pub(super) outbox: Outbox<M>,
}

/// Lets somebody in, or says why not.
pub(super) async fn take<M: Peer>(gateway: &Handle, newcomer: Newcomer) -> Result<Seat<M>, Refusal> {
    let Newcomer { agent, credential, versions, presence, installation, instance, programs, address } = newcomer;
    let version = match admission::agree(&versions) {
        Ok(version) => version,
        Err(refusal) => {
            admission::refused(gateway, agent, &refusal).await;
            return Err(refusal);
        }
    };
    let now = gateway.parts().clock.now();
    let admit = Admit {
        agent,
        credential: credential.clone(),
        replica: gateway.parts().replica.clone(),
        instance,
        installation,
        address: address.clone(),
        presence: presence.clone(),
        programs,
        replace: false,
        now,
    };
    let (epoch, agent) = admission::admit(gateway, M::KIND, admit).await?;
    let (link, commands) = Link::new(epoch, CancellationToken::new());
    let link = link.able_to(versions.capabilities);
    let (slot, pings) = Slot::new(link, presence, address, now);
    let slot = Arc::new(slot);
    let (acks, queue) = mpsc::channel(ACKS_MAX);
    slot.link.send(M::welcome(gateway, version, &agent));
    M::registry(gateway).insert(agent.id, Arc::clone(&slot));
    look_again(gateway, &slot, credential).await;
    Ok(Seat { agent: *agent, instance, slot, acks, outbox: Outbox { commands, acks: queue, pings } })
}

/// A rotation, or the server's goodbye, that came after the admission and before the session could be found did not
/// reach it: it is told now, and ends.
async fn look_again<M: Peer>(gateway: &Handle, slot: &Slot<M>, credential: Option<Vec<u8>>) {
    if gateway.shared().leaving.load(Ordering::SeqCst) {
        slot.link.send(M::go_away(Duration::ZERO));
        return slot.link.close();
    }
    if let Some(credential) = credential
        && !gateway.is_good(credential).await
    {
        let message = "The password was rotated or revoked; download the agent again.".to_owned();
        let refusal = Refusal { code: RefusalCode::RevokedCredentials, message, retry_after_seconds: Some(60) };
        slot.link.send(M::refused(refusal));
        slot.link.close();
    }
}

fn millis(spread: Duration) -> u64 {
    u64::try_from(spread.as_millis()).unwrap_or(u64::MAX)
}
