//! What the journal's entries come to: a value without I/O.

use std::collections::BTreeMap;

use sallyport_protocol::{
    AttemptKey, Committed, Failure, FailureKind, OrderReport, StepCounts, StepOutcome, StepReport,
};
use serde::{Deserialize, Serialize};

/// One entry. Later ones of an attempt replace earlier ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Entry {
    /// The attempt is at work, and this is how far it is.
    Open { key: AttemptKey, steps: Vec<OpenStep> },
    /// The attempt has ended.
    Ended { report: OrderReport },
    /// The server has stored its end.
    Stored { key: AttemptKey },
    /// An entry that this build does not know.
    #[serde(other)]
    Unknown,
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenStep {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) counts: StepCounts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) committed: Option<Committed>,
}

/// The newest entry of every attempt that the server does not know all of.
#[derive(Debug, Default)]
pub(super) struct Book {
    newest: BTreeMap<AttemptKey, Entry>,
}

pub(super) fn encode(entry: &Entry) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(entry)
}

impl Book {
    pub(super) fn take(&mut self, entry: Entry) {
        match &entry {
            // What has ended stays ended.
            Entry::Open { key, .. } if matches!(self.newest.get(key), Some(Entry::Ended { .. })) => {}
            Entry::Open { key, .. } => drop(self.newest.insert(*key, entry)),
            Entry::Ended { report } => drop(self.newest.insert(report.key, entry)),
            Entry::Stored { key } => drop(self.newest.remove(key)),
            Entry::Unknown => {}
        }
    }

    /// The process that did the work is gone: what it had open has ended with it.
    pub(super) fn end_all(&mut self) {
        for entry in self.newest.values_mut() {
            if let Entry::Open { key, steps } = entry {
                let report = interrupted(*key, std::mem::take(steps));
                *entry = Entry::Ended { report };
            }
        }
    }

    pub(super) fn outcomes(&self) -> Vec<OrderReport> {
        let reports = self.newest.values().filter_map(|entry| match entry {
            Entry::Ended { report } => Some(report.clone()),
            _ => None,
        });
        reports.collect()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.newest.values().cloned()
    }
}

/// For an order whose process was killed or fell over. When it did is not known.
fn interrupted(key: AttemptKey, steps: Vec<OpenStep>) -> OrderReport {
    let failure = Failure {
        kind: FailureKind::AgentLost,
        code: "agent_lost".to_owned(),
        message: "the agent's process ended while it worked on the step".to_owned(),
        advice: Some("see the wrapper's log for how it ended".to_owned()),
        transient: true,
    };
    let steps = steps.into_iter().map(|step| StepReport {
        step: step.name,
        outcome: StepOutcome::Failed { failure: failure.clone() },
        counts: step.counts,
        already_committed: false,
        committed: step.committed,
    });
    OrderReport { key, steps: steps.collect(), ended_at: None }
}
