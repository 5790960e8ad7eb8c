//! Between the updater and the thread of the control connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sallyport_protocol::{ReleaseOffer, UpdateReport};

/// What the connection says to the updater.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// The server wants a version, or none.
    Offer { release: Option<Box<ReleaseOffer>>, reason: String },
    /// What the server sees of the agent.
    Seen { process_id: Option<u32>, online: Duration, runs: u32 },
    /// There is no connection.
    Offline,
    /// A person wants a failed version tried again.
    Retry,
}

/// The connection's end; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    say: SyncSender<Said>,
    watching: Arc<AtomicBool>,
    report: Arc<Mutex<(u64, UpdateReport)>>,
}

impl Line {
    pub(super) fn new(waiting_max: usize) -> (Self, Receiver<Said>) {
        let (say, said) = mpsc::sync_channel(waiting_max);
        (Self { say, watching: Arc::default(), report: Arc::default() }, said)
    }

    /// Tells the updater. What it cannot take it hears again: offers at the next connection, the rest each heartbeat.
    pub(crate) fn say(&self, said: Said) {
        let _ = self.say.try_send(said);
    }

    /// Whether the server is to be asked often what it sees of the agent.
    pub(crate) fn is_watching(&self) -> bool {
        self.watching.load(Ordering::Relaxed)
    }

    /// How an update stands, if that is newer than `known`, with its number.
    pub(crate) fn newer(&self, known: u64) -> Option<(u64, UpdateReport)> {
        let report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        (report.0 > known).then(|| report.clone())
    }

    pub(super) fn set_watching(&self, watching: bool) {
        self.watching.store(watching, Ordering::Relaxed);
    }

    /// Puts up how it stands, unless that is how it stood.
    pub(super) fn report(&self, report: UpdateReport) {
        let mut current = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        let same = UpdateReport { at: report.at, ..current.1.clone() } == report;
        if !same || current.0 == 0 {
            *current = (current.0 + 1, report);
        }
    }
}
