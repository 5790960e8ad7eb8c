//! How the rest of the server speaks to agents and wrappers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sallyport_domain::liveness::{Part, Sign};
use sallyport_protocol::{
    AgentId, ConnectionOrder, ConnectionTest, ExitCause, Levels, LogLevel, Preview, PreviewOrder, Refusal, RequestId,
    ServerToAgent, ServerToWrapper, Timestamp, capability,
};
use sallyport_store::{CredentialState, SessionKind};
use tokio::sync::watch;

use super::Parts;
use super::data::Idlers;
use super::errands::Bundles;
use super::hurry::Hurry;
use super::registry::{Answer, Registry, Slot};
use super::seat::Peer;
use crate::engine::Link;

/// Above the 30 s that an agent gives a test, or a look at rows.
const TEST_WITHIN: Duration = Duration::from_secs(35);

/// Speaks to agents that are online. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    parts: Parts,
    seen_until: AtomicI64,
    logins: AtomicU64,
    refused: AtomicU64,
    /// The server has said goodbye: whoever comes now is told so too.
    pub(super) leaving: AtomicBool,
    pub(super) agents: Registry<ServerToAgent>,
    pub(super) wrappers: Registry<ServerToWrapper>,
    pub(super) idlers: Idlers,
    pub(super) bundles: Bundles,
    /// Why an agent's last login was refused, until one is let in.
    turned_away: Mutex<HashMap<AgentId, Refusal>>,
    /// Changes when releases or rollouts do.
    pub(super) offers: watch::Sender<()>,
    pub(super) hurry: Hurry,
}

/// Figures for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Agents that are online.
    pub(crate) agents: u64,
    /// Wrappers that are online.
    pub(crate) wrappers: u64,
    /// Sessions since the start.
    pub(crate) logins_total: u64,
    /// Logins and sessions refused since the start.
    pub(crate) refused_total: u64,
}

/// Neither the agent nor its wrapper has a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the agent is offline")]
pub(crate) struct NotReachable;

/// No answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    /// The agent has no connection, or lost it.
    #[error("the agent is offline")]
    Offline,
    /// It did not answer in time.
    #[error("the agent did not answer within {} s", TEST_WITHIN.as_secs())]
    Silent,
    /// It does not know the question.
    #[error("the agent is too old for this; update it")]
    TooOld,
}

impl Handle {
    pub(crate) fn new(parts: Parts) -> Self {
        let shared = Shared {
            parts,
            seen_until: AtomicI64::new(0),
            logins: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            leaving: AtomicBool::new(false),
            agents: Registry::default(),
            wrappers: Registry::default(),
            idlers: Idlers::default(),
            bundles: Bundles::default(),
            turned_away: Mutex::default(),
            offers: watch::Sender::new(()),
            hurry: Hurry::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// How far the agent's clock is ahead of the server's, while it is online.
    pub(crate) fn clock_offset_micros(&self, agent: AgentId) -> Option<i64> {
        Some(self.shared.agents.get(agent)?.clock_offset.load(Ordering::Relaxed))
    }

    /// Cancels what the agent executes, then has it started again: by itself, or by its wrapper if only that is there.
    pub(crate) async fn restart(&self, agent: AgentId, who: &str, reason: &str) -> Result<(), NotReachable> {
        let (slot, wrapper) = (self.shared.agents.get(agent), self.shared.wrappers.get(agent));
        if slot.is_none() && wrapper.is_none() {
            return Err(NotReachable);
        }
        let name = match self.parts().store.agent_anywhere(agent).await {
            Ok(agent) => agent.name,
            Err(_) => agent.to_string(),
        };
        let why = format!("agent `{name}` was restarted by {who}");
        if self.parts().engine.cancel_at(agent, why.clone()).await.is_err() {
            tracing::warn!(%agent, "the runs of an agent were not cancelled before its restart");
        }
        self.note(agent, LogLevel::Info, format!("{why}: {reason}")).await;
        let reason = format!("{why}: {reason}");
        match (slot, wrapper) {
            (Some(slot), _) => slot.link.send(ServerToAgent::Restart { reason }),
            (None, Some(wrapper)) => wrapper.link.send(ServerToWrapper::RestartAgent { reason }),
            (None, None) => {}
        }
        Ok(())
    }

    /// Tells an agent its levels; one that is offline hears them when it comes.
    pub(crate) fn set_levels(&self, agent: AgentId, levels: Levels) {
        if let Some(slot) = self.shared.agents.get(agent) {
            slot.link.send(ServerToAgent::SetLevels { levels });
        }
    }

    /// What to say something to an agent with, while it is online.
    pub(crate) fn link_of(&self, agent: AgentId) -> Option<Link<ServerToAgent>> {
        Some(self.shared.agents.get(agent)?.link.clone())
    }

    /// Has an agent try a connection.
    pub(crate) async fn test_connection(
        &self,
        agent: AgentId,
        kind: &str,
        connection: ConnectionOrder,
    ) -> Result<ConnectionTest, AskError> {
        let kind = kind.to_owned();
        let slot = self.shared.agents.get(agent).ok_or(AskError::Offline)?;
        match ask(&slot, |request| ServerToAgent::TestConnection { request, kind, connection }).await? {
            Answer::Test(test) => Ok(test),
            _ => Err(AskError::Silent),
        }
    }

    /// Has an agent show the first rows that a step would read.
    pub(crate) async fn preview(&self, agent: AgentId, order: PreviewOrder) -> Result<Preview, AskError> {
        let slot = self.shared.agents.get(agent).ok_or(AskError::Offline)?;
        if !slot.link.can(capability::PREVIEW) {
            return Err(AskError::TooOld);
        }
        match ask(&slot, |request| ServerToAgent::Preview { request, order }).await? {
            Answer::Preview(preview) => Ok(*preview),
            _ => Err(AskError::Silent),
        }
    }

    /// Ends the connections of agent and wrapper, and tells them why.
    pub(crate) fn disconnect(&self, agent: AgentId, refusal: Refusal) {
        self.turn_out::<ServerToAgent>(agent, refusal.clone());
        self.turn_out::<ServerToWrapper>(agent, refusal);
        self.shared.idlers.drop_all(agent);
        self.parts().tunnels.drop_all(agent);
    }

    /// Tells everyone, and whoever still comes, to come again after a random part of `spread`.
    pub(crate) fn go_away(&self, spread: Duration) {
        self.shared.leaving.store(true, Ordering::SeqCst);
        self.send_away::<ServerToAgent>(spread);
        self.send_away::<ServerToWrapper>(spread);
    }

    fn turn_out<M: Peer>(&self, agent: AgentId, refusal: Refusal) {
        if let Some(slot) = M::registry(self).get(agent) {
            slot.link.send(M::refused(refusal));
            slot.link.close();
        }
    }

    fn send_away<M: Peer>(&self, spread: Duration) {
        for (_, slot) in M::registry(self).all() {
            slot.link.send(M::go_away(spread));
            slot.link.close();
        }
    }

    /// Whether a session stands here.
    pub(super) fn holds(&self, kind: SessionKind, agent: AgentId, epoch: i64) -> bool {
        let standing = match kind {
            SessionKind::Agent => self.shared.agents.get(agent).map(|slot| slot.link.epoch()),
            SessionKind::Wrapper => self.shared.wrappers.get(agent).map(|slot| slot.link.epoch()),
        };
        standing == Some(epoch)
    }

    /// Whether the password with this hash still opens the door. What cannot be found out is left to the next login.
    pub(super) async fn is_good(&self, credential: Vec<u8>) -> bool {
        match self.parts().store.credential(credential, self.parts().clock.now()).await {
            Ok(found) => found.is_some_and(|found| found.state != CredentialState::Revoked),
            Err(error) => {
                tracing::error!(%error, "a credential could not be looked at again");
                true
            }
        }
    }

    /// What goes on.
    pub(crate) fn figures(&self) -> Figures {
        Figures {
            agents: self.shared.agents.all().len() as u64,
            wrappers: self.shared.wrappers.all().len() as u64,
            logins_total: self.shared.logins.load(Ordering::Relaxed),
            refused_total: self.shared.refused.load(Ordering::Relaxed),
        }
    }

    /// What the sessions work with.
    pub(crate) fn parts(&self) -> &Parts {
        &self.shared.parts
    }

    pub(super) fn count_login(&self) {
        self.shared.logins.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_refused(&self) {
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Why the agent's last login was refused, if none was let in since.
    pub(crate) fn turned_away(&self, agent: AgentId) -> Option<Refusal> {
        self.shared.turned_away.lock().unwrap_or_else(PoisonError::into_inner).get(&agent).cloned()
    }

    /// Remembers that an agent was turned away, or let in. Only agents that exist are remembered.
    pub(super) fn met(&self, agent: AgentId, refusal: Option<Refusal>) {
        let mut turned_away = self.shared.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        match refusal {
            Some(refusal) => turned_away.insert(agent, refusal),
            None => turned_away.remove(&agent),
        };
    }

    /// Keeps what was seen last of a part of an agent.
    pub(super) async fn sign(&self, agent: AgentId, part: Part, good: bool, text: &str, cause: Option<ExitCause>) {
        let sign = Sign { good, text: text.to_owned(), cause, at: self.parts().clock.now() };
        if let Err(error) = self.parts().store.note_sign(agent, part, sign).await {
            tracing::warn!(%agent, %error, "what was seen of an agent was not stored");
        }
    }

    /// Whether the server stops: what ends now is no loss of anybody's.
    pub(super) fn is_leaving(&self) -> bool {
        self.shared.leaving.load(Ordering::SeqCst) || self.parts().stop.is_cancelled()
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Signs of life since this was asked last.
    pub(super) fn seen(&self) -> Vec<(AgentId, Timestamp)> {
        let since = self.shared.seen_until.swap(self.parts().clock.now().0, Ordering::Relaxed);
        self.shared.agents.seen_since(Timestamp(since))
    }

    /// Adds the server's own line to an agent's log.
    pub(crate) async fn note(&self, agent: AgentId, level: LogLevel, message: String) {
        let now = self.parts().clock.now();
        if let Err(error) = self.parts().store.append_agent_log(agent, level, None, message, now).await {
            tracing::warn!(%agent, %error, "a line of an agent's log was not stored");
        }
    }
}

/// Sends a question and waits for its answer.
pub(super) async fn ask<M>(slot: &Slot<M>, question: impl FnOnce(RequestId) -> M) -> Result<Answer, AskError> {
    let request = RequestId::new();
    let answered = slot.ask(request);
    slot.link.send(question(request));
    tokio::select! {
        answer = tokio::time::timeout(TEST_WITHIN, answered) => match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(AskError::Offline),
            Err(_) => Err(AskError::Silent),
        },
        () = slot.link.closed() => Err(AskError::Offline),
    }
}
