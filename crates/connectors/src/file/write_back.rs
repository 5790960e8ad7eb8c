//! Has a growing file written to the disk early, so that little is left for the sync at its end.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

/// Bytes between two syncs: enough to keep a disk busy, little enough to be done soon at the end.
const EVERY_BYTES: u64 = 32 << 20;

/// The syncs of one file, one at a time, by a thread that is started when there is enough to do.
#[derive(Default)]
pub(super) struct WriteBack {
    /// Written since the last sync began.
    waiting: u64,
    helper: Option<Helper>,
}

struct Helper {
    /// Without room: taken only by a helper that is idle.
    ask: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl WriteBack {
    /// Counts what was written to `file`; an error is that of an earlier sync.
    pub(super) fn wrote(&mut self, file: &File, bytes: usize) -> io::Result<()> {
        self.waiting += bytes as u64;
        if self.waiting < EVERY_BYTES {
            return Ok(());
        }
        if self.helper.is_none() {
            self.helper = Some(Helper::start(file.try_clone()?)?);
        }
        match self.helper.as_ref().map(|helper| helper.ask.try_send(())) {
            Some(Ok(())) => self.waiting = 0,
            Some(Err(TrySendError::Disconnected(()))) => return self.finish(),
            // It is still at the last one.
            Some(Err(TrySendError::Full(()))) | None => {}
        }
        Ok(())
    }

    /// Waits for the sync that is under way. The system tells an error of the disk once: it must not be lost here.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let Some(Helper { ask, thread }) = self.helper.take() else { return Ok(()) };
        drop(ask);
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that syncs the file panicked")))
    }
}

/// An abandoned file's helper must be gone before the file is removed.
impl Drop for WriteBack {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

impl Helper {
    fn start(file: File) -> io::Result<Self> {
        let (ask, asked) = sync_channel(0);
        let thread = std::thread::Builder::new().name("file-sync".to_owned()).spawn(move || sync(&file, &asked))?;
        Ok(Self { ask, thread })
    }
}

fn sync(file: &File, asked: &Receiver<()>) -> io::Result<()> {
    asked.iter().try_for_each(|()| file.sync_data())
}
