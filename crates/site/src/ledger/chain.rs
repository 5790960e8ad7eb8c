//! The chain as a value without I/O: which line follows which.
//!
//! A line is `<hash> <json>`: the hash, SHA-256 in hexadecimal digits, of the hash before, a blank, and the JSON.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Entry;

/// Digits of a hash.
const HASH_DIGITS: usize = 64;

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Counts the lines of the chain, from 1.
    pub seq: u64,
    /// The rest.
    pub body: Body,
}

/// What a line is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Body {
    /// A connection was used.
    Used {
        /// How.
        entry: Entry,
    },
    /// The chain goes on: the first line of a file, or the one behind what a crash has left.
    Continues {
        /// The hash of the line before.
        from: String,
        /// The line before this one was not written to its end.
        torn: bool,
        /// Entries that could not be written.
        lost: u64,
    },
    /// A line this build does not know.
    #[serde(other)]
    Unknown,
}

/// A line that does not go on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is no line of a ledger.
    #[error("it is no whole line")]
    Unreadable,
    /// Its hash is not that of its text behind the line before.
    #[error("it was changed, or what was before it was changed, removed or put in")]
    Changed,
}

/// The end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    next: u64,
    head: String,
}

impl Default for Chain {
    fn default() -> Self {
        Self { next: 1, head: "0".repeat(HASH_DIGITS) }
    }
}

impl Chain {
    /// The hash of the last line.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// The number of the next line.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The next line, without its end; the chain goes on behind it.
    pub fn line(&mut self, body: Body) -> Result<String, serde_json::Error> {
        let json = serde_json::to_string(&Record { seq: self.next, body })?;
        self.head = hash(&self.head, &json);
        self.next += 1;
        Ok(format!("{} {json}", self.head))
    }

    /// Goes on behind a line of a file.
    pub fn follow(&mut self, line: &str) -> Result<Record, Unfit> {
        let (said, json, record) = parts(line)?;
        let goes_on = match &record.body {
            Body::Continues { from, .. } => *from == self.head,
            _ => true,
        };
        if said != hash(&self.head, json) || record.seq != self.next || !goes_on {
            return Err(Unfit::Changed);
        }
        self.next += 1;
        said.clone_into(&mut self.head);
        Ok(record)
    }

    /// The chain before the first line of the oldest file that is kept: earlier ones were removed.
    pub fn before(line: &str) -> Result<Self, Unfit> {
        match parts(line)?.2 {
            Record { seq, body: Body::Continues { from, .. } } => Ok(Self { next: seq, head: from }),
            _ => Ok(Self::default()),
        }
    }

    /// The chain behind a line, as the line itself says it.
    pub fn behind(line: &str) -> Result<Self, Unfit> {
        let (said, _, record) = parts(line)?;
        Ok(Self { next: record.seq.saturating_add(1), head: said.to_owned() })
    }
}

/// What a line says, whatever stands before it.
pub(super) fn unchecked(line: &str) -> Result<Record, Unfit> {
    parts(line).map(|(_, _, record)| record)
}

fn parts(line: &str) -> Result<(&str, &str, Record), Unfit> {
    let (said, json) = line.split_once(' ').filter(|(said, _)| said.len() == HASH_DIGITS).ok_or(Unfit::Unreadable)?;
    Ok((said, json, serde_json::from_str(json).map_err(|_| Unfit::Unreadable)?))
}

fn hash(before: &str, json: &str) -> String {
    let digest = Sha256::new().chain_update(before).chain_update(" ").chain_update(json).finalize();
    digest.iter().fold(String::with_capacity(HASH_DIGITS), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
