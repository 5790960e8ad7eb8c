//! What is due when.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sallyport_protocol::{AgentId, RunId, Timestamp};

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// Tell the run that time has passed.
    Run(RunId),
    /// The agent has been away for too long.
    Agent(AgentId),
}

/// Deadlines by time. A run may ask for the same one many times: it is kept once.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(Timestamp, Due)>,
    away: BTreeMap<AgentId, Timestamp>,
}

impl Timers {
    /// Wakes a run.
    pub(super) fn wake(&mut self, run: RunId, at: Timestamp) {
        self.due.insert((at, Due::Run(run)));
    }

    /// Gives an agent until `at` to come back; an earlier deadline stays.
    pub(super) fn give_until(&mut self, agent: AgentId, at: Timestamp) {
        if let Entry::Vacant(place) = self.away.entry(agent) {
            place.insert(at);
            self.due.insert((at, Due::Agent(agent)));
        }
    }

    /// The agent is back.
    pub(super) fn back(&mut self, agent: AgentId) {
        if let Some(at) = self.away.remove(&agent) {
            self.due.remove(&(at, Due::Agent(agent)));
        }
    }

    /// Takes what is due.
    pub(super) fn take(&mut self, now: Timestamp) -> Vec<Due> {
        let mut taken = Vec::new();
        while let Some((at, due)) = self.due.first().copied() {
            if at > now {
                break;
            }
            self.due.pop_first();
            if let Due::Agent(agent) = due {
                self.away.remove(&agent);
            }
            taken.push(due);
        }
        taken
    }

    /// How long until something is due.
    pub(super) fn next(&self, now: Timestamp) -> Option<Duration> {
        self.due.first().map(|(at, _)| at.since(now))
    }
}
