//! Updates that a person wants now, whatever percentage and windows say, at the cost of what the agent executes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sallyport_domain::rollout::Product;
use sallyport_protocol::{AgentId, LogLevel, ServerToWrapper, Timestamp, UpdateStep};
use sallyport_store::{Agent, Error};

use super::{Handle, offer};

/// A wish that could not be fulfilled by then is forgotten, so that nobody is surprised by it days later.
const WITHIN: Duration = Duration::from_secs(3600);

/// Who wants which agent or wrapper updated now. Kept while the server runs; at most one for each.
#[derive(Default)]
pub(super) struct Hurry {
    wishes: Mutex<HashMap<(AgentId, Product), Wish>>,
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
    fn wish(&self, what: (AgentId, Product), who: &str, now: Timestamp) {
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.retain(|_, wish| wish.until > now);
        wishes.insert(what, Wish { who: who.to_owned(), until: now.plus(WITHIN) });
    }

    /// Who wants it.
    pub(super) fn of(&self, what: (AgentId, Product), now: Timestamp) -> Option<String> {
        let wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.get(&what).filter(|wish| wish.until > now).map(|wish| wish.who.clone())
    }

    pub(super) fn fulfilled(&self, what: (AgentId, Product)) {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner).remove(&what);
    }
}

impl Handle {
    /// Has an agent and its wrapper updated now, a version that failed on its machine among them. What it executes is
    /// cancelled once the new version is ready.
    pub(crate) async fn update_now(&self, agent: &Agent, who: &str) -> Result<(), NotUpdated> {
        let wrapper = self.shared().wrappers.get(agent.id).ok_or(NotUpdated::NotReachable)?;
        let (mut newer, mut nothing) = (Vec::new(), Vec::new());
        for product in Product::ALL {
            // Wrappers from before they were released say nothing of themselves.
            let Some(report) = offer::report_of(agent, product) else { continue };
            let offer = offer::offer(self, agent.id, product, report, true).await?;
            if offer.is_news_for(report) {
                newer.push((product, report.step));
            } else {
                nothing.push(offer.reason);
            }
        }
        if newer.is_empty() {
            let unknown = || "its wrapper has not yet said what it runs".to_owned();
            return Err(NotUpdated::Nothing(nothing.into_iter().next().unwrap_or_else(unknown)));
        }
        let now = self.parts().clock.now();
        newer.iter().for_each(|(product, _)| self.shared().hurry.wish((agent.id, *product), who, now));
        self.note(agent.id, LogLevel::Info, format!("an update was asked for by {who}")).await;
        wrapper.link.send(ServerToWrapper::RetryUpdate { reason: format!("asked for by {who}") });
        self.offers_changed();
        for (product, step) in newer {
            self.make_way(agent, product, step).await;
        }
        Ok(())
    }

    /// Cancels what an agent executes whose new version waits for nothing else, where somebody wants it now.
    pub(super) async fn make_way(&self, agent: &Agent, product: Product, step: UpdateStep) {
        match step {
            UpdateStep::Draining => {
                let Some(who) = self.shared().hurry.of((agent.id, product), self.parts().clock.now()) else { return };
                let why = format!("agent `{}` was updated by {who}", agent.name);
                if self.parts().engine.cancel_at(agent.id, why).await.is_err() {
                    tracing::warn!(agent = %agent.id, "the runs of an agent were not cancelled before its update");
                }
            }
            // From here on it is as any other update.
            UpdateStep::Confirming => self.shared().hurry.fulfilled((agent.id, product)),
            _ => {}
        }
    }
}
