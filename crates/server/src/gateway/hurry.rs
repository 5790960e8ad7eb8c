//! Updates that a person wants now, whatever percentage and windows say, at the cost of what the agent executes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sallyport_protocol::{AgentId, LogLevel, ServerToWrapper, Timestamp, UpdateStep};
use sallyport_store::{Agent, Error};

use super::{Handle, offer};

/// A wish that could not be fulfilled by then is forgotten, so that nobody is surprised by it days later.
const WITHIN: Duration = Duration::from_secs(3600);

/// Who wants which agent updated now. Kept while the server runs; at most one for each agent.
#[derive(Default)]
pub(super) struct Hurry {
    wishes: Mutex<HashMap<AgentId, Wish>>,
}

struct Wish {
    who: String,
    until: Timestamp,
}

/// Why an agent is not updated now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotUpdated {
    /// Its wrapper has no connection.
    #[error("the wrapper is offline")]
    NotReachable,
    /// There is nothing newer for it; why, in a sentence.
    #[error("{0}")]
    Nothing(String),
    /// What there is could not be looked up.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Hurry {
    fn wish(&self, agent: AgentId, who: &str, now: Timestamp) {
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.retain(|_, wish| wish.until > now);
        wishes.insert(agent, Wish { who: who.to_owned(), until: now.plus(WITHIN) });
    }

    /// Who wants it.
    pub(super) fn of(&self, agent: AgentId, now: Timestamp) -> Option<String> {
        let wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.get(&agent).filter(|wish| wish.until > now).map(|wish| wish.who.clone())
    }

    pub(super) fn fulfilled(&self, agent: AgentId) {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner).remove(&agent);
    }
}

impl Handle {
    /// Has an agent updated now, a version that failed on its machine among them. What it executes is cancelled once
    /// the new version is ready.
    pub(crate) async fn update_now(&self, agent: &Agent, who: &str) -> Result<(), NotUpdated> {
        let wrapper = self.shared().wrappers.get(agent.id).ok_or(NotUpdated::NotReachable)?;
        let Some(report) = &agent.update else {
            return Err(NotUpdated::Nothing("its wrapper has not yet said what it runs".to_owned()));
        };
        let offer = offer::offer(self, agent.id, report, true).await?;
        if !offer.is_news_for(report) {
            return Err(NotUpdated::Nothing(offer.reason));
        }
        self.shared().hurry.wish(agent.id, who, self.parts().clock.now());
        self.note(agent.id, LogLevel::Info, format!("an update was asked for by {who}")).await;
        wrapper.link.send(ServerToWrapper::RetryUpdate { reason: format!("asked for by {who}") });
        self.offers_changed();
        self.make_way(agent, report.step).await;
        Ok(())
    }

    /// Cancels what an agent executes whose new version waits for nothing else, where somebody wants it now.
    pub(super) async fn make_way(&self, agent: &Agent, step: UpdateStep) {
        match step {
            UpdateStep::Draining => {
                let Some(who) = self.shared().hurry.of(agent.id, self.parts().clock.now()) else { return };
                let why = format!("agent `{}` was updated by {who}", agent.name);
                if self.parts().engine.cancel_at(agent.id, why).await.is_err() {
                    tracing::warn!(agent = %agent.id, "the runs of an agent were not cancelled before its update");
                }
            }
            // From here on it is as any other update.
            UpdateStep::Confirming => self.shared().hurry.fulfilled(agent.id),
            _ => {}
        }
    }
}
