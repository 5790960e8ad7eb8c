//! Starts and ends of the agent on their way to the server: kept on disk until the server has surely heard them.
//!
//! The protocol acknowledges heartbeats, not reports. Messages of one connection are handled in order, so a heartbeat
//! that was sent after a report and is acknowledged proves that the report arrived.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sallyport_protocol::WrapperMessage;
use sallyport_site::durable::{self, Readers};
use tracing::warn;

/// The most reports that wait; the oldest go first. With the longest delays between restarts this is most of a day.
pub(crate) const REPORTS_MAX: usize = 200;

/// The reports that the server may not have heard.
pub(crate) struct Reports {
    path: PathBuf,
    waiting: Mutex<VecDeque<Report>>,
}

struct Report {
    message: WrapperMessage,
    /// The heartbeat that follows it on the present connection; `None` while it was not sent there.
    proof: Option<u64>,
}

impl Reports {
    /// Opens the queue with what an earlier wrapper left.
    pub(crate) fn open(path: &Path) -> Self {
        let left: Vec<WrapperMessage> =
            fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let waiting = left.into_iter().map(|message| Report { message, proof: None }).collect();
        Self { path: path.to_owned(), waiting: Mutex::new(waiting) }
    }

    /// Takes a report and puts it on disk.
    pub(crate) fn push(&self, message: WrapperMessage) {
        let mut waiting = self.lock();
        if waiting.len() >= REPORTS_MAX {
            waiting.pop_front();
        }
        waiting.push_back(Report { message, proof: None });
        self.save(&waiting);
    }

    /// The reports to send now, in order; the heartbeat with number `next_heartbeat` must follow them.
    pub(crate) fn take_unsent(&self, next_heartbeat: u64) -> Vec<WrapperMessage> {
        let mut waiting = self.lock();
        let unsent = waiting.iter_mut().filter(|report| report.proof.is_none());
        unsent
            .map(|report| {
                report.proof = Some(next_heartbeat);
                report.message.clone()
            })
            .collect()
    }

    /// The server has handled everything up to this heartbeat.
    pub(crate) fn acknowledged(&self, heartbeat: u64) {
        let mut waiting = self.lock();
        let before = waiting.len();
        waiting.retain(|report| report.proof.is_none_or(|proof| proof > heartbeat));
        if waiting.len() < before {
            self.save(&waiting);
        }
    }

    /// The connection is gone: what it did not prove is sent again.
    pub(crate) fn disconnected(&self) {
        self.lock().iter_mut().for_each(|report| report.proof = None);
    }

    fn save(&self, waiting: &VecDeque<Report>) {
        let messages: Vec<&WrapperMessage> = waiting.iter().map(|report| &report.message).collect();
        let saved = serde_json::to_vec(&messages)
            .map_err(Into::into)
            .and_then(|bytes| durable::replace(&self.path, &bytes, Readers::Owner));
        if let Err(error) = saved {
            warn!(%error, "reports for the server are only in memory");
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Report>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use sallyport_protocol::Timestamp;

    use super::*;

    fn report(process_id: u32) -> WrapperMessage {
        WrapperMessage::AgentStarted { at: Timestamp(1), process_id }
    }

    fn file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reports.json");
        (folder, path)
    }

    #[test]
    fn reports_are_repeated_until_a_later_heartbeat_is_acknowledged() {
        let (_folder, path) = file();
        let reports = Reports::open(&path);
        reports.push(report(1));
        assert_eq!(reports.take_unsent(5), [report(1)]);
        reports.push(report(2));
        assert_eq!(reports.take_unsent(6), [report(2)]);
        assert_eq!(reports.take_unsent(7), []);
        reports.acknowledged(5);
        reports.disconnected();
        assert_eq!(reports.take_unsent(8), [report(2)]);
        reports.acknowledged(7);
        assert_eq!(Reports::open(&path).take_unsent(1), [report(2)]);
        reports.acknowledged(8);
        assert_eq!(Reports::open(&path).take_unsent(1), []);
    }

    #[test]
    fn the_queue_is_bounded_and_a_broken_file_is_an_empty_one() {
        let (_folder, path) = file();
        fs::write(&path, "{").unwrap();
        let reports = Reports::open(&path);
        (0..REPORTS_MAX as u32 + 3).for_each(|number| reports.push(report(number)));
        let waiting = reports.take_unsent(1);
        assert_eq!((waiting.len(), waiting.first()), (REPORTS_MAX, Some(&report(3))));
    }
}
