//! The one thread that writes. It takes whatever has queued up, at most [`GROUP_MAX`] operations, into one transaction,
//! each in a savepoint of its own, and answers all of them after the commit: one flush to disk serves the group, and
//! nobody waits for a group to fill.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rusqlite::Connection as Sqlite;
use tokio::sync::{mpsc, oneshot};

use crate::Error;

/// Most operations in one transaction: beyond this the flush is no longer what costs.
const GROUP_MAX: usize = 256;

/// Operations that may wait; a caller beyond that waits for room.
const QUEUE: usize = 1024;

type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;
type Job = Box<dyn FnOnce(&Sqlite) -> Answer + Send>;

enum Order {
    Do(Kind, Job),
    Close,
}

/// What an operation may change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything.
    Change,
    /// Nothing that is kept in memory by its generation.
    Record,
}

pub(crate) struct Writer {
    orders: mpsc::Sender<Order>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Grows with every group that holds a [`Kind::Change`], after its commit and before its answers.
    generation: Arc<AtomicU64>,
}

impl Writer {
    pub(crate) fn start(connection: Sqlite) -> Result<Self, Error> {
        let (orders, queue) = mpsc::channel(QUEUE);
        let generation = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&generation);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || write_until_closed(&connection, queue, &counted))?;
        Ok(Self { orders, thread: Mutex::new(Some(thread)), generation })
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) async fn submit<T, E>(
        &self,
        kind: Kind,
        op: impl FnOnce(&Sqlite) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |sql| {
            let result = in_savepoint(sql, op);
            Box::new(move |committed| {
                // The caller may have gone; the change stands all the same.
                let _ = answer.send(match committed {
                    Ok(()) => result,
                    Err(text) => result.and(Err(E::from(Error::Commit(text)))),
                });
            })
        });
        self.orders.send(Order::Do(kind, job)).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }

    pub(crate) async fn close(&self) {
        // Already closed is as good.
        let _ = self.orders.send(Order::Close).await;
        self.orders.closed().await;
        let thread = self.thread.lock().map(|mut thread| thread.take()).ok().flatten();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

fn write_until_closed(sql: &Sqlite, mut queue: mpsc::Receiver<Order>, generation: &AtomicU64) {
    let mut closing = false;
    while !closing {
        let Some(first) = queue.blocking_recv() else { break };
        let mut group = Vec::with_capacity(GROUP_MAX);
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Do(kind, job) => group.push((kind, job)),
                Order::Close => {
                    queue.close();
                    closing = true;
                }
            }
            next = if group.len() < GROUP_MAX { queue.try_recv().ok() } else { None };
        }
        write_group(sql, group, generation);
    }
    while let Some(order) = queue.blocking_recv() {
        if let Order::Do(kind, job) = order {
            write_group(sql, vec![(kind, job)], generation);
        }
    }
    if let Err(error) = sql.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::warn!(%error, "could not fold the write-ahead log into the database");
    }
}

fn write_group(sql: &Sqlite, group: Vec<(Kind, Job)>, generation: &AtomicU64) {
    if group.is_empty() {
        return;
    }
    let changes = group.iter().any(|(kind, _)| *kind == Kind::Change);
    let begun = sql.execute_batch("BEGIN IMMEDIATE");
    let answers: Vec<Answer> = group.into_iter().map(|(_, job)| job(sql)).collect();
    let committed = match begun {
        // SQLite rolls everything back by itself when, for example, the disk is full.
        Ok(()) if sql.is_autocommit() => Err("the transaction was rolled back (is the disk full?)".to_owned()),
        Ok(()) => sql.execute_batch("COMMIT").map_err(|error| {
            let _ = sql.execute_batch("ROLLBACK");
            error.to_string()
        }),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = &committed {
        tracing::error!(%error, operations = answers.len(), "changes were not committed");
    }
    if changes {
        generation.fetch_add(1, Ordering::Release);
    }
    for answer in answers {
        answer(committed.clone());
    }
}

fn in_savepoint<T, E: From<Error>>(sql: &Sqlite, op: impl FnOnce(&Sqlite) -> Result<T, E>) -> Result<T, E> {
    if sql.is_autocommit() {
        // No transaction could be begun, or one was lost: nothing may be written outside of one.
        return Err(E::from(Error::Commit("no transaction".into())));
    }
    sql.execute_batch("SAVEPOINT op").map_err(Error::from)?;
    let result = catch_unwind(AssertUnwindSafe(|| op(sql))).unwrap_or_else(|_| Err(E::from(Error::Panicked)));
    if sql.is_autocommit() {
        return result;
    }
    let end = if result.is_ok() { "RELEASE op" } else { "ROLLBACK TO op; RELEASE op" };
    sql.execute_batch(end).map_err(Error::from)?;
    result
}
