//! Connections that only read, each used by one operation at a time on a blocking thread.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection as Sqlite;
use tokio::sync::Semaphore;

use crate::Error;

/// Enough that a long list does not hold up a login; SQLite readers use one core each.
const READERS: usize = 4;

pub(crate) struct Readers {
    idle: Arc<Mutex<Vec<Sqlite>>>,
    free: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn open(connect: impl Fn() -> Result<Sqlite, Error>) -> Result<Self, Error> {
        let mut idle = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let connection = connect()?;
            connection.pragma_update(None, "query_only", true)?;
            idle.push(connection);
        }
        Ok(Self { idle: Arc::new(Mutex::new(idle)), free: Arc::new(Semaphore::new(READERS)) })
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        op: impl FnOnce(&Sqlite) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|_| Error::Closed)?;
        let idle = Arc::clone(&self.idle);
        let work = move || {
            let connection = idle.lock().unwrap_or_else(PoisonError::into_inner).pop().ok_or(Error::Closed)?;
            // One transaction, so that a list and its total agree.
            let result = connection.unchecked_transaction().map_err(Error::from).and_then(|snapshot| op(&snapshot));
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            result
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Panicked)?
    }
}
