//! The sessions that this process holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sallyport_protocol::{AgentId, ConnectionTest, Examination, Presence, Preview, RequestId, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::Link;

/// How long a session may take to show a sign of life when another process claims its identity.
const PROBE_WITHIN: Duration = Duration::from_secs(3);

/// One session. `M` is what the server says on it.
pub(super) struct Slot<M> {
    pub(super) link: Link<M>,
    pub(super) presence: Presence,
    pub(super) address: Option<String>,
    /// The peer's clock less the server's, in microseconds.
    pub(super) clock_offset: AtomicI64,
    /// When it began.
    pub(super) since: Timestamp,
    seen: AtomicI64,
    pings: mpsc::Sender<()>,
    life: watch::Sender<()>,
    asked: Mutex<HashMap<RequestId, oneshot::Sender<Answer>>>,
}

/// What a peer was asked for.
pub(super) enum Answer {
    Test(ConnectionTest),
    Preview(Box<Preview>),
    Examination(Box<Examination>),
}

impl<M> Slot<M> {
    pub(super) fn new(
        link: Link<M>,
        presence: Presence,
        address: Option<String>,
        now: Timestamp,
    ) -> (Self, mpsc::Receiver<()>) {
        let (pings, asked) = mpsc::channel(1);
        let clock_offset = AtomicI64::new(presence.said_at.0.saturating_sub(now.0));
        let slot = Self {
            link,
            presence,
            address,
            clock_offset,
            since: now,
            seen: AtomicI64::new(now.0),
            pings,
            life: watch::Sender::new(()),
            asked: Mutex::default(),
        };
        (slot, asked)
    }

    /// Something came from the peer.
    pub(super) fn lives(&self, now: Timestamp) {
        self.seen.store(now.0, Ordering::Relaxed);
        self.life.send_replace(());
    }

    /// Pings the peer and waits for anything to come back.
    pub(super) async fn is_alive(&self) -> bool {
        let mut life = self.life.subscribe();
        // Full: a ping is on its way already.
        let _ = self.pings.try_send(());
        tokio::select! {
            answered = tokio::time::timeout(PROBE_WITHIN, life.changed()) => matches!(answered, Ok(Ok(()))),
            () = self.link.closed() => false,
        }
    }

    /// Registers a question; the answer comes out of the receiver.
    pub(super) fn ask(&self, request: RequestId) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        let mut questions = self.asked();
        questions.retain(|_, asked| !asked.is_closed());
        questions.insert(request, answer);
        answered
    }

    /// Hands an answer to whoever asked; it may have given up.
    pub(super) fn answer(&self, request: RequestId, answer: Answer) {
        let asked = self.asked().remove(&request);
        let _ = asked.map(|asked| asked.send(answer));
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<RequestId, oneshot::Sender<Answer>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sessions of one kind, by agent.
pub(super) struct Registry<M> {
    slots: Mutex<HashMap<AgentId, Arc<Slot<M>>>>,
}

impl<M> Default for Registry<M> {
    fn default() -> Self {
        Self { slots: Mutex::default() }
    }
}

impl<M> Registry<M> {
    pub(super) fn get(&self, agent: AgentId) -> Option<Arc<Slot<M>>> {
        self.slots().get(&agent).cloned()
    }

    pub(super) fn all(&self) -> Vec<(AgentId, Arc<Slot<M>>)> {
        self.slots().iter().map(|(agent, slot)| (*agent, Arc::clone(slot))).collect()
    }

    /// Takes a session in; the one it replaces is ended. One that is older than the standing one ends itself.
    pub(super) fn insert(&self, agent: AgentId, slot: Arc<Slot<M>>) {
        let mut slots = self.slots();
        match slots.get(&agent) {
            Some(standing) if standing.link.epoch() > slot.link.epoch() => slot.link.close(),
            _ => {
                if let Some(replaced) = slots.insert(agent, slot) {
                    replaced.link.close();
                }
            }
        }
    }

    pub(super) fn remove(&self, agent: AgentId, epoch: i64) {
        let mut slots = self.slots();
        if slots.get(&agent).is_some_and(|slot| slot.link.epoch() == epoch) {
            slots.remove(&agent);
        }
    }

    /// The agents that have shown a sign of life at or after `since`, and when.
    pub(super) fn seen_since(&self, since: Timestamp) -> Vec<(AgentId, Timestamp)> {
        let slots = self.slots();
        let seen = slots.iter().map(|(agent, slot)| (*agent, Timestamp(slot.seen.load(Ordering::Relaxed))));
        seen.filter(|(_, at)| *at >= since).collect()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<AgentId, Arc<Slot<M>>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
