//! The agent's journal: what it has begun and how it ended, on its disk, so that a sudden end of the process loses
//! neither.
//!
//! Invariant: an outcome is on the disk before the server hears of it, and stays there until the server has stored it.
//! Where the disk takes nothing, the log says so and the outcome is delivered from memory: the work goes before its
//! journal.

mod book;
mod file;
#[cfg(test)]
mod tests;

use std::path::Path;

use sallyport_protocol::{AttemptKey, OrderReport};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use book::Book;
pub(crate) use book::{Entry, OpenStep};
use file::File;

/// The most bytes in the file: thousands of outcomes that wait for a server that is away.
pub(crate) const JOURNAL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// From this many superseded bytes on the file is written anew.
const COMPACT_BYTES: u64 = 1024 * 1024;

/// Writes entries behind the caller's back, many at once, and says which outcomes are safe.
pub struct Journal {
    /// Away while it writes.
    disk: Option<Disk>,
    waiting: Vec<Entry>,
    writing: Option<(Vec<AttemptKey>, Writing)>,
    failing: bool,
}

/// Gives the disk back, and says whether it took everything.
type Writing = JoinHandle<(Disk, std::io::Result<()>)>;

/// The file, and what is worth keeping of it.
struct Disk {
    file: File,
    book: Book,
    /// The file does not say what the book says: it is written anew before anything is added.
    damaged: bool,
}

impl Journal {
    /// Opens the journal and gives the outcomes that the server has not stored. What was begun and never ended ended
    /// with the process that did it. A file that cannot be read or written costs its content, not the start.
    pub fn open(path: &Path) -> (Self, Vec<OrderReport>) {
        let file = File::at(path, JOURNAL_BYTES_MAX);
        let mut book = Book::default();
        match file.read() {
            Ok(read) => {
                if read.cut > 0 {
                    warn!(bytes = read.cut, path = %path.display(), "the journal's end was torn and is cut off");
                }
                read.entries.into_iter().for_each(|entry| book.take(entry));
            }
            Err(failed) => error!(error = %failed, path = %path.display(), "the journal cannot be read"),
        }
        book.end_all();
        let reports = book.outcomes();
        let mut journal =
            Self { disk: Some(Disk { file, book, damaged: true }), waiting: Vec::new(), writing: None, failing: false };
        if let Some(disk) = &mut journal.disk {
            let written = disk.write(Vec::new());
            journal.told(&written);
        }
        (journal, reports)
    }

    /// Takes an entry; it is on its way to the disk after the next [`Journal::kick`].
    pub(crate) fn note(&mut self, entry: Entry) {
        self.waiting.push(entry);
    }

    /// Starts writing what waits, unless something is being written: then it goes together with what comes until then.
    pub(crate) fn kick(&mut self) {
        if self.waiting.is_empty() || self.writing.is_some() {
            return;
        }
        let Some(mut disk) = self.disk.take() else {
            // The disk was lost to a bug, which was logged: memory is what is left.
            return;
        };
        let entries = std::mem::take(&mut self.waiting);
        let ended = ended(&entries);
        let work = tokio::task::spawn_blocking(move || {
            let written = disk.write(entries);
            (disk, written)
        });
        self.writing = Some((ended, work));
    }

    /// Whether [`Journal::written`] has something to wait for.
    pub(crate) fn is_busy(&self) -> bool {
        self.writing.is_some() || (self.disk.is_none() && !self.waiting.is_empty())
    }

    /// Waits for the disk; gives the attempts whose outcomes may be reported now.
    pub(crate) async fn written(&mut self) -> Vec<AttemptKey> {
        let Some((_, work)) = &mut self.writing else { return ended(&std::mem::take(&mut self.waiting)) };
        let done = work.await;
        let keys = self.writing.take().map(|(keys, _)| keys).unwrap_or_default();
        match done {
            Ok((disk, written)) => {
                self.disk = Some(disk);
                self.told(&written);
            }
            Err(bug) => error!(error = %bug, "the journal met a bug in itself; outcomes are kept in memory only"),
        }
        keys
    }

    fn told(&mut self, written: &std::io::Result<()>) {
        match written {
            Err(failed) if !self.failing => {
                error!(error = %failed, "the journal cannot be written; until it can, outcomes are kept in memory only");
            }
            Ok(()) if self.failing => info!("the journal can be written again"),
            _ => {}
        }
        self.failing = written.is_err();
    }
}

fn ended(entries: &[Entry]) -> Vec<AttemptKey> {
    let keys = entries.iter().filter_map(|entry| match entry {
        Entry::Ended { report } => Some(report.key),
        _ => None,
    });
    keys.collect()
}

impl Disk {
    fn write(&mut self, entries: Vec<Entry>) -> std::io::Result<()> {
        // Only an outcome is promised to anybody; the rest may be lost with the machine's power.
        let promised = entries.iter().any(|entry| matches!(entry, Entry::Ended { .. }));
        let added: Vec<Vec<u8>> = entries.iter().map(book::encode).collect::<Result<_, _>>()?;
        entries.into_iter().for_each(|entry| self.book.take(entry));
        if !self.damaged && !self.file.has_outgrown(COMPACT_BYTES) {
            self.damaged = true;
            self.file.append(&added, promised)?;
            self.damaged = false;
            return Ok(());
        }
        self.damaged = true;
        let whole: Vec<Vec<u8>> = self.book.entries().map(|entry| book::encode(&entry)).collect::<Result<_, _>>()?;
        self.file.rewrite(&whole)?;
        self.damaged = false;
        Ok(())
    }
}
