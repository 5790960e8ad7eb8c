//! Which of the runs that wait may start: higher priority first, then the older, as far as task, agents, connections
//! and environment serve more runs at one time.
//!
//! A run may need several places. So that newer ones do not pass it for ever, each taking the one that is free, the
//! first in the line of what it waits for keeps its other places free.

use std::collections::{BTreeMap, BTreeSet};

use sallyport_protocol::{AgentId, ConnectionId, EnvironmentId, RunId, TaskId, Timestamp};

/// How many runs are named in a reason.
const NAMED_MAX: usize = 5;

/// What serves runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The task itself.
    Task(TaskId),
    /// An agent that works on the run.
    Agent(AgentId),
    /// A connection that the run uses.
    Connection(ConnectionId),
    /// The environment.
    Environment(EnvironmentId),
}

impl Place {
    /// The word for what it is.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Task(_) => "task",
            Self::Agent(_) => "agent",
            Self::Connection(_) => "connection",
            Self::Environment(_) => "environment",
        }
    }
}

/// A run that waits to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The run.
    pub run: RunId,
    /// The places it needs that have a limit, each with it.
    pub needs: Vec<(Place, u32)>,
    /// Higher first.
    pub priority: i32,
    /// Since when it waits.
    pub queued_at: Timestamp,
}

/// Why a run does not start yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What is full.
    pub place: Place,
    /// How many runs it serves at one time.
    pub limit: u32,
    /// The runs that it serves.
    pub running: Vec<RunId>,
    /// The runs that wait longer and keep a place of it free.
    pub kept_for: Vec<RunId>,
}

impl Reason {
    /// In words; `name` is the place's.
    pub fn words(&self, name: &str) -> String {
        let what = self.place.word();
        let times = if self.limit == 1 { "1 run".to_owned() } else { format!("{} runs", self.limit) };
        let are = if self.running.len() == 1 { "is" } else { "are" };
        let mut text = format!("waiting: {what} `{name}` serves at most {times} at one time, ");
        text.push_str(&format!("{} {are} running", self.running.len()));
        text.push_str(&listed(&self.running));
        if !self.kept_for.is_empty() {
            text.push_str(&format!(", {} kept free for what waits longer", self.kept_for.len()));
            text.push_str(&listed(&self.kept_for));
        }
        text
    }
}

fn listed(runs: &[RunId]) -> String {
    if runs.is_empty() {
        return String::new();
    }
    let mut names: Vec<String> = runs.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    if runs.len() > NAMED_MAX {
        names.push("...".to_owned());
    }
    format!(" ({})", names.join(", "))
}

/// Who starts and who waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The runs to start now, in order.
    pub start: Vec<RunId>,
    /// Why the others wait.
    pub wait: BTreeMap<RunId, Reason>,
}

/// Decides over the runs that wait; `running` says which places the runs that go on hold.
pub fn decide(mut queued: Vec<Queued>, running: impl IntoIterator<Item = (RunId, Vec<Place>)>) -> Decision {
    queued.sort_by_key(|run| (std::cmp::Reverse(run.priority), run.queued_at, run.run));
    let mut holders: BTreeMap<Place, Vec<RunId>> = BTreeMap::new();
    for (run, places) in running {
        for place in places {
            holders.entry(place).or_default().push(run);
        }
    }
    let mut kept: BTreeMap<Place, Vec<RunId>> = BTreeMap::new();
    let mut lines: BTreeSet<Place> = BTreeSet::new();
    let mut decision = Decision::default();
    for Queued { run, needs, .. } in queued {
        let taken = |place: &Place| holders.get(place).map_or(0, Vec::len) + kept.get(place).map_or(0, Vec::len);
        let (full, free): (Vec<_>, Vec<_>) =
            needs.into_iter().partition(|(place, limit)| taken(place) >= usize::try_from(*limit).unwrap_or(usize::MAX));
        let Some((place, limit)) = full.first().copied() else {
            free.into_iter().for_each(|(place, _)| holders.entry(place).or_default().push(run));
            decision.start.push(run);
            continue;
        };
        let of = |all: &BTreeMap<Place, Vec<RunId>>| all.get(&place).cloned().unwrap_or_default();
        decision.wait.insert(run, Reason { place, limit, running: of(&holders), kept_for: of(&kept) });
        if full.iter().all(|(place, _)| !lines.contains(place)) {
            free.into_iter().for_each(|(place, _)| kept.entry(place).or_default().push(run));
        }
        lines.extend(full.into_iter().map(|(place, _)| place));
    }
    decision
}

#[cfg(test)]
mod tests;
