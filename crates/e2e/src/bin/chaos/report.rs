//! What has happened, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::schedule::Fault;

/// Counts over all rounds.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What all decisions follow from.
    pub(crate) seed: u64,
    /// Rounds that were judged.
    pub(crate) rounds: u64,
    /// Runs by their last state.
    pub(crate) runs: BTreeMap<String, u64>,
    /// Attempts of the writing steps.
    pub(crate) attempts: u64,
    /// Rows of the runs that have succeeded.
    pub(crate) rows: u64,
    /// Faults by kind.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// Faults that found nothing to break.
    pub(crate) missed: BTreeMap<&'static str, u64>,
    /// How often a person started an agent whose wrapper waited.
    pub(crate) by_hand: u64,
    /// Runs that were cancelled after their rows had been committed.
    pub(crate) cancelled_late: u64,
    /// Half-written files of runs that were cancelled while their agent was dead.
    pub(crate) abandoned: u64,
    /// What is not as promised.
    pub(crate) violations: Vec<String>,
}

impl Report {
    /// Notes that a fault was injected, or found nothing to break.
    pub(crate) fn fault(&mut self, fault: Fault, done: &Result<bool>) {
        let counts = if matches!(done, Ok(true)) { &mut self.faults } else { &mut self.missed };
        *counts.entry(fault.kind()).or_default() += 1;
    }

    /// How many faults were injected.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// How many runs have ended.
    pub(crate) fn runs(&self) -> u64 {
        self.runs.values().sum()
    }

    /// For people.
    pub(crate) fn text(&self, took: Duration) -> String {
        let list = |counts: &BTreeMap<&'static str, u64>| -> String {
            let all: Vec<String> = counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
            all.join(", ")
        };
        let runs: Vec<String> = self.runs.iter().map(|(state, count)| format!("{state} {count}")).collect();
        let mut text = format!(
            "\nseed {}, {} rounds in {} min {} s\n",
            self.seed,
            self.rounds,
            took.as_secs() / 60,
            took.as_secs() % 60
        );
        let _ = writeln!(text, "runs     {:>6}  {}", self.runs(), runs.join(", "));
        let _ = writeln!(text, "attempts {:>6}  {} rows delivered", self.attempts, self.rows);
        let _ = writeln!(text, "faults   {:>6}  {}", self.faults(), list(&self.faults));
        if !self.missed.is_empty() {
            let _ = writeln!(text, "missed   {:>6}  {}", self.missed.values().sum::<u64>(), list(&self.missed));
        }
        let _ = writeln!(
            text,
            "agents started by hand {}, runs cancelled after their commit {}, half files of cancelled runs {}",
            self.by_hand, self.cancelled_late, self.abandoned
        );
        let _ = writeln!(text, "violations {}", self.violations.len());
        text
    }

    /// For programs.
    pub(crate) fn json(&self, took: Duration) -> Value {
        json!({
            "seed": self.seed,
            "rounds": self.rounds,
            "seconds": took.as_secs(),
            "runs": self.runs,
            "attempts": self.attempts,
            "rows": self.rows,
            "faults": self.faults,
            "missed": self.missed,
            "started_by_hand": self.by_hand,
            "cancelled_after_commit": self.cancelled_late,
            "abandoned_files": self.abandoned,
            "violations": self.violations,
        })
    }
}
