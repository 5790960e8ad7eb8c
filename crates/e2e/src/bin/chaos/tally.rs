//! What a target holds of one run, row by row against what it should hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::rows;

/// How many rows are named as examples.
const EXAMPLES: usize = 5;

/// The rows of one run in one target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// How often each row stands there.
    found: BTreeMap<u64, u32>,
    /// Rows that are not what the source has.
    different: Vec<String>,
}

/// The rows of all runs in one target, by the number of the run.
pub(crate) type Tallies = BTreeMap<u64, Tally>;

/// Counts a row: run, id, code, cents, note.
pub(crate) fn add(tallies: &mut Tallies, fields: &[String]) {
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    let tally = tallies.entry(number(0).unwrap_or(0)).or_default();
    match number(1) {
        Some(id) if fields.get(2..) == Some(&rows::row(id)) => *tally.found.entry(id).or_default() += 1,
        _ => tally.different.push(fields.join(" | ")),
    }
}

impl Tally {
    /// How many rows, however wrong.
    pub(crate) fn rows(&self) -> u64 {
        self.found.values().map(|count| u64::from(*count)).sum::<u64>() + self.different.len() as u64
    }

    /// What is wrong, if it may hold any rows of the source, each once; `None` if nothing is.
    pub(crate) fn too_many(&self) -> Option<String> {
        self.against(self.found.keys().copied())
    }

    /// What is wrong, if it should hold each of these rows once; `None` if nothing is.
    pub(crate) fn against(&self, wanted: impl Iterator<Item = u64>) -> Option<String> {
        let mut expected = 0_u64;
        let mut missing = Vec::new();
        let mut foreign: BTreeMap<u64, u32> = self.found.clone();
        for id in wanted {
            expected += 1;
            if foreign.remove(&id).is_none() {
                missing.push(id);
            }
        }
        let twice: Vec<u64> = self.found.iter().filter(|(_, count)| **count > 1).map(|(id, _)| *id).collect();
        let foreign: Vec<u64> = foreign.into_keys().collect();
        if missing.is_empty() && twice.is_empty() && foreign.is_empty() && self.different.is_empty() {
            return None;
        }
        let mut text = format!("{} rows instead of {expected}", self.rows());
        for (what, ids) in [("missing", &missing), ("more than once", &twice), ("not asked for", &foreign)] {
            if !ids.is_empty() {
                let _ = write!(text, ", {} {what} (ids {:?})", ids.len(), &ids[..ids.len().min(EXAMPLES)]);
            }
        }
        if let Some(first) = self.different.first() {
            let _ = write!(text, ", {} different from the source (first: {first:?})", self.different.len());
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests;
