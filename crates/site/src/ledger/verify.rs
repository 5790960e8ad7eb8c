//! Follows the chain through all files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::folder::files;
use super::{Body, Chain, Record, Unfit};

/// The chain holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Lines of all files.
    pub lines: u64,
    /// The number of the first line that is kept: above 1 where older files were removed.
    pub first: u64,
    /// The hash of the last line. Kept elsewhere, it shows later that the lines up to it are the same.
    pub head: String,
    /// Lines that a crash left unfinished, as `file:line`.
    pub torn: Vec<String>,
    /// Entries that could not be written, as the agent itself says.
    pub lost: u64,
}

/// The chain does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A file cannot be read.
    #[error("reading {path}")]
    File {
        /// Where it is.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A line does not follow from the one before.
    #[error("{place}: {why}")]
    Line {
        /// `file:line`.
        place: String,
        /// What is wrong.
        why: Unfit,
    },
}

/// Follows the chain from the oldest line that is kept to the newest.
pub fn verify(folder: &Path) -> Result<Verified, Fault> {
    let mut verified = Verified { lines: 0, first: 1, head: Chain::default().head().to_owned(), torn: vec![], lost: 0 };
    follow(folder, |record| {
        if verified.lines == 0 {
            verified.first = record.seq;
        }
        verified.lines += 1;
        if let Body::Continues { lost, .. } = record.body {
            verified.lost += lost;
        }
    })
    .map(|(chain, torn)| Verified { head: chain.head().to_owned(), torn, ..verified })
}

/// What the ledger says, the oldest first, as far as the chain holds; then what is wrong, if anything is.
pub fn records(folder: &Path) -> (Vec<Record>, Option<Fault>) {
    let mut records = Vec::new();
    let fault = follow(folder, |record| records.push(record)).err();
    (records, fault)
}

/// Gives each record; at the end the chain's head and the torn lines.
fn follow(folder: &Path, mut each: impl FnMut(Record)) -> Result<(Chain, Vec<String>), Fault> {
    let named = |path: &Path| {
        let path = path.display().to_string();
        |source| Fault::File { path, source }
    };
    let mut chain: Option<Chain> = None;
    // A crash can tear the line that mends another: then several stand in a row.
    let (mut torn, mut open): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let paths: Vec<PathBuf> = files(folder).map_err(named(folder))?;
    for path in &paths {
        let text = String::from_utf8_lossy(&fs::read(path).map_err(named(path))?).into_owned();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (index, line) in text.lines().enumerate() {
            let place = format!("{name}:{}", index + 1);
            let mut at = match &chain {
                Some(chain) => chain.clone(),
                None => Chain::before(line).unwrap_or_default(),
            };
            match at.follow(line) {
                Ok(record) => {
                    let mends = matches!(record.body, Body::Continues { torn: true, .. });
                    match open.first() {
                        Some(place) if !mends => {
                            return Err(Fault::Line { place: place.clone(), why: Unfit::Unreadable });
                        }
                        _ => torn.append(&mut open),
                    }
                    each(record);
                    chain = Some(at);
                }
                Err(Unfit::Unreadable) => open.push(place),
                Err(why) => return Err(Fault::Line { place, why }),
            }
        }
    }
    torn.append(&mut open);
    Ok((chain.unwrap_or_default(), torn))
}
