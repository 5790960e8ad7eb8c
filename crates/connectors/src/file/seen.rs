//! Which files an incremental read has read: the newest of them one by one, and a floor under which all count as read.
//!
//! Invariant: files are read in the order of their time, then their path. Only the oldest of the remembered files are
//! forgotten, and the floor rises to them: it never passes a file that waits to be read.

use std::collections::{BTreeMap, BTreeSet};

use sallyport_protocol::{Checkpoint, FailureKind, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::text::{format, parse};

/// Files that are remembered one by one.
pub(super) const FILES_MAX: usize = 1000;

/// What their paths may take together: checkpoints travel in control messages, and in front of rows.
const PATH_BYTES_MAX: usize = 96 * 1024;

/// What tells a file from what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// When it was changed last, by its file system.
    pub(super) modified: Timestamp,
    pub(super) bytes: u64,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Seen {
    floor: Option<Floor>,
    files: BTreeMap<String, Stamp>,
    /// The same files, the oldest first.
    order: BTreeSet<(Timestamp, String)>,
    path_bytes: usize,
}

/// Files up to here count as read.
#[derive(Clone, Debug, PartialEq)]
struct Floor {
    modified: Timestamp,
    /// Of those changed at that very time only the ones up to this path; all of them where it is not given.
    path: Option<String>,
}

/// A checkpoint, as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// The time of the newest file; where no files follow all that are not newer count as read.
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files: Option<Vec<KeptFile>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    floor: Option<KeptFloor>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptFile {
    path: String,
    bytes: u64,
    modified: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptFloor {
    modified: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

impl Seen {
    /// Nothing yet; files changed before `start` count as read.
    pub(super) fn from_start(start: Option<Timestamp>) -> Self {
        let before = |start: Timestamp| Floor { modified: Timestamp(start.0.saturating_sub(1)), path: None };
        Self { floor: start.map(before), ..Self::default() }
    }

    /// What a checkpoint says.
    pub(super) fn of(checkpoint: &Checkpoint) -> Result<Self, Error> {
        Self::understood(checkpoint).ok_or_else(|| {
            let why = format!("the checkpoint `{}` is none of files", checkpoint.0);
            Error::permanent(FailureKind::Connector, "bad_checkpoint", why)
                .advise("set it to a time with `sallyport checkpoints set`, or clear it to read everything again")
        })
    }

    fn understood(checkpoint: &Checkpoint) -> Option<Self> {
        let kept = Kept::deserialize(&checkpoint.0).ok()?;
        let value = time(&kept.value)?;
        let Some(files) = kept.files else {
            return Some(Self { floor: Some(Floor { modified: value, path: None }), ..Self::default() });
        };
        let floor = match kept.floor {
            Some(floor) => Some(Floor { modified: time(&floor.modified)?, path: floor.path }),
            None => None,
        };
        let mut seen = Self { floor, ..Self::default() };
        for file in files {
            seen.add(&file.path, Stamp { modified: time(&file.modified)?, bytes: file.bytes });
        }
        Some(seen)
    }

    /// Whether the file was read as it is.
    pub(super) fn covers(&self, path: &str, stamp: Stamp) -> bool {
        let below = |floor: &Floor| match &floor.path {
            Some(last) => (stamp.modified, path) <= (floor.modified, last.as_str()),
            None => stamp.modified <= floor.modified,
        };
        self.floor.as_ref().is_some_and(below) || self.files.get(path) == Some(&stamp)
    }

    /// The file was read; the oldest are forgotten where too many are remembered.
    pub(super) fn add(&mut self, path: &str, stamp: Stamp) {
        match self.files.insert(path.to_owned(), stamp) {
            Some(before) => drop(self.order.remove(&(before.modified, path.to_owned()))),
            None => self.path_bytes += path.len(),
        }
        self.order.insert((stamp.modified, path.to_owned()));
        while self.files.len() > FILES_MAX || self.path_bytes > PATH_BYTES_MAX {
            let Some((modified, path)) = self.order.pop_first() else { return };
            self.files.remove(&path);
            self.path_bytes -= path.len();
            self.floor = Some(Floor { modified, path: Some(path) });
        }
    }

    /// As it is kept.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        let floor = self.floor.as_ref().map(|floor| floor.modified);
        let newest = self.order.last().map(|(modified, _)| *modified).max(floor).unwrap_or_default();
        let files = self.order.iter().filter_map(|(modified, path)| {
            let bytes = self.files.get(path)?.bytes;
            Some(KeptFile { path: path.clone(), bytes, modified: shown(*modified) })
        });
        let floor = self.floor.as_ref();
        let kept = Kept {
            value: shown(newest),
            files: Some(files.collect()),
            floor: floor.map(|floor| KeptFloor { modified: shown(floor.modified), path: floor.path.clone() }),
        };
        Checkpoint(serde_json::to_value(kept).unwrap_or_default())
    }
}

/// A date or time as people write it; UTC where it says nothing else.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    parse::timestamp_utc(text.as_bytes()).map(Timestamp)
}

/// `2024-02-29T23:59:59.000001Z`.
pub(super) fn shown(at: Timestamp) -> String {
    let mut text = Vec::new();
    format::timestamp_utc(at.0, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests;
