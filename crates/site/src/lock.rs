//! One process per installation: a file that the system locks for as long as the process lives.
//!
//! Who holds it stands in a second file beside it, because Windows lets nobody read a locked one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sallyport_protocol::{ExecutedBy, Timestamp};
use serde::{Deserialize, Serialize};

use crate::durable::{self, Readers};

/// [`holder`] takes the lock for a blink to see whether anybody has it; a start must not fail by that.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub process_id: u32,
    /// How it runs.
    pub executed_by: ExecutedBy,
    /// Since when.
    pub since: Timestamp,
}

/// The lock, held until it is dropped or the process ends in whatever way.
#[derive(Debug)]
pub struct Lock {
    file: File,
    holder: PathBuf,
}

/// The lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds it.
    #[error("{what} already runs from this folder{}; stop it first, or use another folder", described(holder.as_ref()))]
    Held {
        /// What wanted the lock.
        what: &'static str,
        /// Who holds it, if that could be read.
        holder: Option<Holder>,
    },
    /// The file cannot be opened or locked.
    #[error("locking {path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl Lock {
    /// Takes the lock, or says who has it. `what` names the program in the message.
    pub fn acquire(path: &Path, what: &'static str, executed_by: ExecutedBy, now: Timestamp) -> Result<Self, Error> {
        let failed = |source| Error::File { path: path.display().to_string(), source };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
        let mut tries = TRIES;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries > 0 => tries -= 1,
                Err(TryLockError::WouldBlock) => return Err(Error::Held { what, holder: read(path) }),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            std::thread::sleep(PAUSE);
        }
        let holder = Holder { process_id: std::process::id(), executed_by, since: now };
        let text = serde_json::to_vec(&holder).map_err(|error| failed(error.into()))?;
        let beside = holder_path(path);
        durable::replace(&beside, &text, Readers::Anyone).map_err(failed)?;
        Ok(Self { file, holder: beside })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The system releases the lock with the process in any case; a left over description does no harm.
        let _ = fs::remove_file(&self.holder);
        let _ = self.file.unlock();
    }
}

/// Who holds the lock now; `None` when nobody does.
pub fn holder(path: &Path) -> Option<Holder> {
    let file = OpenOptions::new().write(true).open(path).ok()?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Some(read(path).unwrap_or(Holder { process_id: 0, executed_by: ExecutedBy::Other, since: Timestamp(0) }))
        }
        _ => None,
    }
}

fn read(path: &Path) -> Option<Holder> {
    serde_json::from_slice(&fs::read(holder_path(path)).ok()?).ok()
}

fn holder_path(path: &Path) -> PathBuf {
    path.with_extension("holder")
}

/// How a process was started, in words.
pub fn way(executed_by: ExecutedBy) -> &'static str {
    match executed_by {
        ExecutedBy::Foreground => "in the foreground",
        ExecutedBy::Background => "in the background",
        ExecutedBy::Service => "as a service",
        ExecutedBy::Server => "inside the server",
        ExecutedBy::Other => "in an unknown way",
    }
}

fn described(holder: Option<&Holder>) -> String {
    let Some(holder) = holder else { return String::new() };
    let way = way(holder.executed_by);
    let since = jiff::Timestamp::from_microsecond(holder.since.0)
        .map_or_else(|_| String::new(), |at| format!(", since {at:.0}"));
    format!(" ({way}, process {}{since})", holder.process_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_holds_it_and_a_third_gets_it_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wrapper.lock");
        assert_eq!(holder(&path), None);
        let first = Lock::acquire(&path, "the wrapper", ExecutedBy::Foreground, Timestamp(0)).unwrap();
        let error = Lock::acquire(&path, "the wrapper", ExecutedBy::Service, Timestamp(5)).unwrap_err().to_string();
        let expected = format!("in the foreground, process {}, since 1970-01-01T00:00:00Z", std::process::id());
        assert!(error.contains(&expected), "{error}");
        assert_eq!(holder(&path).map(|holder| holder.process_id), Some(std::process::id()));
        drop(first);
        assert_eq!(holder(&path), None);
        Lock::acquire(&path, "the wrapper", ExecutedBy::Service, Timestamp(9)).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/wrapper.lock");
        let error = Lock::acquire(&path, "the wrapper", ExecutedBy::Foreground, Timestamp(0)).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }
}
