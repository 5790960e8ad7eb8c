//! Log lines from the process's log to the spool, and from there to the server.

use std::sync::Arc;

use sallyport_protocol::LogBatch;
use sallyport_site::lines::Spool;
use sallyport_site::log::Tap;
use tokio::sync::Notify;

/// Lines taken from the tap at one time.
const LINES_AT_ONCE: usize = 512;

/// Where log lines come from and where they wait.
pub struct Shipping {
    spool: Spool,
    tap: Tap,
    wake: Arc<Notify>,
}

impl Shipping {
    /// Joins the log's tap to a spool.
    pub fn new(spool: Spool, tap: Tap) -> Self {
        let wake = Arc::new(Notify::new());
        let notify = Arc::clone(&wake);
        tap.on_line(move || notify.notify_one());
        Self { spool, tap, wake }
    }

    /// Told when a line comes into the empty tap.
    pub(super) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Takes all lines that wait.
    pub(super) fn gather(&mut self) {
        loop {
            let drained = self.tap.drain(LINES_AT_ONCE);
            if drained.dropped > 0 {
                self.spool.lost(drained.dropped);
            }
            if drained.lines.is_empty() {
                return;
            }
            drained.lines.into_iter().for_each(|line| self.spool.push(line));
        }
    }

    pub(super) fn next_batch(&mut self) -> Option<LogBatch> {
        self.spool.next_batch()
    }

    pub(super) fn acknowledge(&mut self, seq: u64) {
        self.spool.acknowledge(seq);
    }

    pub(super) fn disconnected(&mut self) {
        self.spool.disconnected();
    }

    /// Takes all lines that wait and puts what was never sent on disk; for times without a connection.
    pub(super) fn spill(&mut self) -> std::io::Result<()> {
        self.gather();
        self.spool.spill()
    }

    pub(super) fn persist(&mut self) -> std::io::Result<()> {
        self.gather();
        self.spool.persist()
    }
}
