//! What the agent has to say, in classes: answers to commands before heartbeats before progress and log lines, so that
//! bulk never delays what the server waits for.

use std::collections::{BTreeMap, VecDeque};

use sallyport_protocol::{AgentMessage, AttemptKey, StepCounts};

/// Answers waiting; the server waits for each, so more than this is a server that went wrong.
const COMMANDS_MAX: usize = 4096;

/// Messages by class. Each is bounded: answers by [`COMMANDS_MAX`], heartbeats by one, progress by one per order.
#[derive(Default)]
pub(super) struct Outbox {
    commands: VecDeque<AgentMessage>,
    heartbeat: Option<AgentMessage>,
    progress: BTreeMap<AttemptKey, Vec<(String, StepCounts)>>,
}

impl Outbox {
    /// Queues an answer; says whether there was room.
    pub(super) fn command(&mut self, message: AgentMessage) -> bool {
        let room = self.commands.len() < COMMANDS_MAX;
        if room {
            self.commands.push_back(message);
        }
        room
    }

    /// A newer heartbeat replaces one that was not sent.
    pub(super) fn heartbeat(&mut self, message: AgentMessage) {
        self.heartbeat = Some(message);
    }

    /// Newer counts replace those that were not sent.
    pub(super) fn progress(&mut self, key: AttemptKey, steps: Vec<(String, StepCounts)>) {
        self.progress.insert(key, steps);
    }

    /// Counts of an order that ended are not worth sending.
    pub(super) fn forget_progress(&mut self, key: AttemptKey) {
        self.progress.remove(&key);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.heartbeat.is_none() && self.progress.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.commands.len() + usize::from(self.heartbeat.is_some()) + self.progress.len()
    }

    /// The most urgent message.
    pub(super) fn next(&mut self) -> Option<AgentMessage> {
        self.commands.pop_front().or_else(|| self.heartbeat.take()).or_else(|| {
            let (key, steps) = self.progress.pop_first()?;
            Some(AgentMessage::Progress { key, steps })
        })
    }

    /// A new connection starts with empty queues: what must not be lost is kept elsewhere and queued again.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
