//! Who comes in: versions, licence, and one process per identity.

use std::sync::Arc;

use sallyport_protocol::{AgentId, LogLevel, Presence, Refusal, RefusalCode, Versions};
use sallyport_store::{Admission, Admit, Agent, Session, SessionKind};

use super::Handle;
use super::registry::Slot;

/// How often the place may change hands while we look at who holds it.
const ROUNDS: usize = 3;

/// The protocol version that both sides speak.
pub(super) fn agree(theirs: &Versions) -> Result<u32, Refusal> {
    let ours = Versions::ours(&[]);
    ours.agree(theirs).ok_or_else(|| Refusal {
        code: RefusalCode::VersionTooOld,
        message: format!(
            "The agent speaks protocol {} to {}, the server {} to {}; download the agent again.",
            theirs.min, theirs.max, ours.min, ours.max
        ),
        retry_after_seconds: Some(300),
    })
}

/// Admits a connection or says why not; a refusal is logged here, in the server's log and in the agent's.
pub(super) async fn admit(gateway: &Handle, kind: SessionKind, mut admit: Admit) -> Result<(i64, Box<Agent>), Refusal> {
    for _ in 0..ROUNDS {
        match gateway.parts().store.admit(kind, admit.clone()).await {
            Ok(Admission::Admitted { epoch, agent }) => return Ok((epoch, agent)),
            Ok(Admission::Refused { refusal }) => {
                refused(gateway, admit.agent, &refusal).await;
                return Err(refusal);
            }
            Ok(Admission::Duplicate { standing }) => {
                if let Some(theirs) = alive(gateway, kind, &standing).await {
                    let refusal = duplicate(&theirs, &admit.presence);
                    let noted = gateway
                        .parts()
                        .store
                        .note_refusal(admit.agent, refusal.clone(), admit.address, admit.now)
                        .await;
                    if let Err(error) = noted {
                        tracing::warn!(%error, "a refusal was not written down");
                    }
                    refused(gateway, admit.agent, &refusal).await;
                    return Err(refusal);
                }
                admit.replace = true;
            }
            Err(error) => {
                tracing::error!(agent = %admit.agent, %error, "a session could not be admitted");
                break;
            }
        }
    }
    Err(Refusal {
        code: RefusalCode::Unavailable,
        message: "The server cannot let agents in now; try again.".to_owned(),
        retry_after_seconds: Some(10),
    })
}

/// Tells the operator: in the server's log and in the agent's log as the platform shows it.
pub(super) async fn refused(gateway: &Handle, agent: AgentId, refusal: &Refusal) {
    gateway.met(agent, Some(refusal.clone()));
    let line = format!("Disconnected. Server requested shutdown - {}!", refusal.message);
    gateway.count_refused();
    // The wording is what people search their logs for, so that it is the message itself.
    tracing::warn!(%agent, code = ?refusal.code, "WARNING: {line}");
    gateway.note(agent, LogLevel::Warning, line).await;
}

/// The presence behind a session that answers; `None` when nobody does.
async fn alive(gateway: &Handle, kind: SessionKind, standing: &Session) -> Option<Presence> {
    let shared = gateway.shared();
    match kind {
        SessionKind::Agent => answering(shared.agents.get(standing.agent), standing.epoch).await,
        SessionKind::Wrapper => answering(shared.wrappers.get(standing.agent), standing.epoch).await,
    }
}

async fn answering<M>(slot: Option<Arc<Slot<M>>>, epoch: i64) -> Option<Presence> {
    let slot = slot.filter(|slot| slot.link.epoch() == epoch)?;
    slot.is_alive().await.then(|| slot.presence.clone())
}

fn duplicate(standing: &Presence, newcomer: &Presence) -> Refusal {
    let place = |presence: &Presence| {
        format!("machine `{}`, folder `{}`, process {}", presence.machine_name, presence.directory, presence.process_id)
    };
    Refusal {
        code: RefusalCode::DuplicateIdentity,
        message: format!(
            "Duplicate identity: this agent is online already from {}; refused: {}. Stop one of them, or give the copy an \
             agent of its own.",
            place(standing),
            place(newcomer)
        ),
        retry_after_seconds: Some(60),
    }
}
