//! Which version is active and what is known of others, on disk: two copies with generation and checksum, written in
//! turn. A power cut damages at most the copy that was being written; the other one is the state before.

use std::fs;
use std::path::PathBuf;

use sallyport_protocol::Timestamp;
use sallyport_release::{Digest, Version};
use sallyport_site::durable::{self, Readers};
use serde::{Deserialize, Serialize};

/// The most versions that are remembered as failed; the oldest are forgotten.
const QUARANTINE_MAX: usize = 32;

/// A version on trial that ends by itself so often is not kept.
pub(crate) const CRASHES_MAX: u32 = 2;

/// An installed release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Installed {
    /// Its folder below `versions/`.
    pub(crate) folder: String,
    pub(crate) version: Version,
    /// Of the archive it came in.
    pub(crate) hash: Digest,
}

/// A version that runs and is not yet known to be good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trial {
    /// What to go back to; `None` is the program of the download.
    pub(crate) from: Option<Installed>,
    /// How often it ended by itself.
    pub(crate) crashes: u32,
    /// How long the server must see it work.
    pub(crate) confirm_seconds: u32,
    /// Whether the server saw the old version until the switch: then it must see the new one too.
    pub(crate) was_online: bool,
}

/// A version that failed here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) hash: Digest,
    pub(crate) version: Version,
    pub(crate) reason: String,
    pub(crate) at: Timestamp,
}

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The version to run; `None` is the program of the download.
    #[serde(default)]
    pub(crate) active: Option<Installed>,
    /// The one before, kept on disk.
    #[serde(default)]
    pub(crate) previous: Option<Installed>,
    /// Set while the active one is not yet known to be good.
    #[serde(default)]
    pub(crate) trial: Option<Trial>,
    /// The largest sequence of a manifest that was accepted.
    #[serde(default)]
    pub(crate) sequence: u64,
    /// The highest security floor that was accepted.
    #[serde(default)]
    pub(crate) floor: Version,
    /// What is not tried again.
    #[serde(default)]
    pub(crate) quarantine: Vec<Failed>,
}

impl Record {
    /// Why this version is not tried again, if it is not.
    pub(crate) fn failed(&self, hash: &Digest) -> Option<&Failed> {
        self.quarantine.iter().find(|failed| failed.hash == *hash)
    }

    pub(crate) fn quarantine(&mut self, failed: Failed) {
        self.quarantine.retain(|known| known.hash != failed.hash);
        self.quarantine.push(failed);
        let surplus = self.quarantine.len().saturating_sub(QUARANTINE_MAX);
        self.quarantine.drain(..surplus);
    }

    /// Goes back from the version on trial to the one before, and remembers why; gives the version that failed.
    pub(crate) fn take_back(&mut self, reason: &str, at: Timestamp) -> Option<Version> {
        let (trial, failed) = (self.trial.take()?, self.active.take()?);
        self.active = trial.from;
        self.previous = None;
        let Installed { version, hash, .. } = failed;
        self.quarantine(Failed { hash, version: version.clone(), reason: reason.to_owned(), at });
        Some(version)
    }

    /// The folders that something may still run from.
    pub(crate) fn keeps(&self, folder: &str) -> bool {
        let from = self.trial.as_ref().and_then(|trial| trial.from.as_ref());
        [self.active.as_ref(), self.previous.as_ref(), from].into_iter().flatten().any(|kept| kept.folder == folder)
    }
}

/// The two files.
#[derive(Debug)]
pub(crate) struct Book {
    paths: [PathBuf; 2],
    generation: u64,
}

#[derive(Serialize, Deserialize)]
struct Page {
    generation: u64,
    checksum: Digest,
    /// The record as text, so that the checksum is of what is read.
    record: String,
}

impl Book {
    /// Reads the newest good copy. Two copies that cannot be read are as none: the program of the download runs.
    pub(crate) fn open(paths: [PathBuf; 2]) -> (Self, Record) {
        let newest = paths.iter().filter_map(read).max_by_key(|(generation, _)| *generation);
        let lost = newest.is_none() && paths.iter().any(|path| path.exists());
        if lost {
            tracing::error!("neither copy of the record of versions can be read: the program of the download is run");
        }
        let (generation, record) = newest.unwrap_or_default();
        (Self { paths, generation }, record)
    }

    /// Writes the older copy anew.
    pub(crate) fn save(&mut self, record: &Record) -> std::io::Result<()> {
        let record = serde_json::to_string(record)?;
        let generation = self.generation + 1;
        let page = Page { generation, checksum: Digest::of(record.as_bytes()), record };
        let [even, odd] = &self.paths;
        let path = if generation.is_multiple_of(2) { even } else { odd };
        durable::replace(path, &serde_json::to_vec(&page)?, Readers::Owner)?;
        self.generation = generation;
        if let Some(folder) = path.parent() {
            durable::sync_folder(folder)?;
        }
        Ok(())
    }
}

fn read(path: &PathBuf) -> Option<(u64, Record)> {
    let page: Page = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let whole = Digest::of(page.record.as_bytes()) == page.checksum;
    if !whole {
        return None;
    }
    Some((page.generation, serde_json::from_str(&page.record).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence: u64) -> Record {
        Record { sequence, ..Record::default() }
    }

    fn paths(folder: &tempfile::TempDir) -> [PathBuf; 2] {
        ["a", "b"].map(|name| folder.path().join(name))
    }

    #[test]
    fn whatever_happens_to_one_copy_the_other_is_the_state_before() {
        let folder = tempfile::tempdir().unwrap();
        let (mut book, first) = Book::open(paths(&folder));
        assert_eq!(first, Record::default());
        for sequence in 1..=6 {
            book.save(&record(sequence)).unwrap();
            assert_eq!(Book::open(paths(&folder)).1, record(sequence));
            let newest = &paths(&folder)[usize::from(!sequence.is_multiple_of(2))];
            let good = fs::read(newest).unwrap();
            // A power cut leaves a part of it, nothing of it, or something else in its place.
            for damaged in [&good[..good.len() / 2], b"", &good[..good.len() - 1], b"\0\0\0\0"] {
                fs::write(newest, damaged).unwrap();
                assert_eq!(Book::open(paths(&folder)).1, record(sequence - 1), "{sequence}");
            }
            let text = String::from_utf8(good.clone()).unwrap();
            fs::write(newest, text.replace(&format!("sequence\\\":{sequence}"), "sequence\\\":99")).unwrap();
            assert_eq!(Book::open(paths(&folder)).1, record(sequence - 1), "{sequence}");
            fs::write(newest, good).unwrap();
        }
    }

    #[test]
    fn the_quarantine_is_bounded() {
        let mut record = Record::default();
        for number in 0..100u32 {
            let hash = Digest::of(&number.to_le_bytes());
            let failed =
                Failed { hash, version: Version::default(), reason: String::new(), at: Timestamp(i64::from(number)) };
            record.quarantine(failed.clone());
            record.quarantine(failed);
        }
        assert_eq!(record.quarantine.len(), QUARANTINE_MAX);
        assert!(record.failed(&Digest::of(&99u32.to_le_bytes())).is_some());
        assert!(record.failed(&Digest::of(&1u32.to_le_bytes())).is_none());
    }
}
