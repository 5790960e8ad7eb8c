//! Connections that only read, each used by one operation at a time on a blocking thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection as Sqlite, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;

/// SQLite readers use one core each.
const READERS: usize = 4;

/// The most of them that read lists, which may take long: the others are for logins, admissions and runs.
const LISTS: usize = 2;

/// How long a list may take.
const LIST_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Readers {
    idle: Arc<Mutex<Vec<Sqlite>>>,
    free: Arc<Semaphore>,
    lists: Arc<Semaphore>,
    list_max: Duration,
}

/// A connection that is in use; it goes back however the use ends.
struct Lease {
    connection: Option<Sqlite>,
    idle: Arc<Mutex<Vec<Sqlite>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

impl Readers {
    pub(crate) fn open(connect: impl Fn() -> Result<Sqlite, Error>) -> Result<Self, Error> {
        let mut idle = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let connection = connect()?;
            connection.pragma_update(None, "query_only", true)?;
            idle.push(connection);
        }
        Ok(Self {
            idle: Arc::new(Mutex::new(idle)),
            free: Arc::new(Semaphore::new(READERS)),
            lists: Arc::new(Semaphore::new(LISTS)),
            list_max: LIST_MAX,
        })
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        op: impl FnOnce(&Sqlite) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let lease = self.lease().await?;
        tokio::task::spawn_blocking(move || lease.read(op)).await.map_err(|_| Error::Panicked)?.1
    }

    /// As [`Readers::run`], for what may take long: few at one time, and broken off after a while.
    pub(crate) async fn list<T: Send + 'static>(
        &self,
        op: impl FnOnce(&Sqlite) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = Arc::clone(&self.lists).acquire_owned().await.map_err(|_| Error::Closed)?;
        let lease = self.lease().await?;
        let handle = lease.connection.as_ref().map(Sqlite::get_interrupt_handle);
        let mut reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            lease.read(op)
        });
        let read = match tokio::time::timeout(self.list_max, &mut reading).await {
            Ok(read) => read,
            Err(_) => {
                // The connection is still this list's own: it goes back with the answer.
                if let Some(handle) = handle {
                    handle.interrupt();
                }
                reading.await
            }
        };
        match read.map_err(|_| Error::Panicked)?.1 {
            Err(Error::Sqlite(error)) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                Err(Error::TooSlow { seconds: self.list_max.as_secs() })
            }
            result => result,
        }
    }

    async fn lease(&self) -> Result<Lease, Error> {
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|_| Error::Closed)?;
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Lease { connection, idle: Arc::clone(&self.idle), _permit: permit })
    }
}

impl Lease {
    /// One transaction, so that a list and its total agree.
    fn read<T>(self, op: impl FnOnce(&Sqlite) -> Result<T, Error>) -> (Self, Result<T, Error>) {
        let result = match &self.connection {
            Some(sql) => sql.unchecked_transaction().map_err(Error::from).and_then(|snapshot| op(&snapshot)),
            None => Err(Error::Closed),
        };
        (self, result)
    }
}

#[cfg(test)]
mod tests;
