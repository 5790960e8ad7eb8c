//! The server's SQL.
//!
//! Invariants: no other crate holds SQL of the server. Every verb is one transaction and answers after its commit.
//! Nothing is decided here: where a change depends on a rule, the caller passes the rule as a pure function and it is
//! asked inside the transaction. A read that a person asks for names the environment; what lies in another one is
//! not found.

mod agent;
mod audit;
mod checkpoint;
mod company;
mod connection;
mod credential;
mod error;
mod life;
mod limit;
mod log;
mod migrate;
mod notice;
mod online;
mod outbox;
mod page;
mod person;
mod reader;
mod release;
mod retention;
mod row;
mod run;
mod session;
mod setting;
mod task;
#[cfg(test)]
mod tests;
mod trigger;
mod variable;
mod view;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection as Sqlite, OpenFlags};

use crate::reader::Readers;
use crate::writer::{Kind, Writer};

pub use agent::{Agent, AgentEdit, AgentFilter, AgentKind, AgentUse, NewAgent, OnlineCounts};
pub use audit::{AuditFilter, AuditLine};
pub use checkpoint::{Checkpoint, CheckpointChange, CheckpointCommit, CheckpointEdit, CheckpointKey};
pub use company::{Company, Environment, First};
pub use connection::{Connection, ConnectionEdit, ConnectionFilter, NewConnection};
pub use credential::{Credential, CredentialState};
pub use error::Error;
pub use life::{CRASHES_MAX, StoredCrash};
pub use limit::RunLimit;
pub use log::{AgentLogEntry, LogFilter, LogSource, RunLogEntry, RunLogLine};
pub use notice::{
    Channel, ChannelEdit, NewChannel, Notice, NoticeFilter, NoticeState, ParseNoticeStateError, WAITING_MAX,
};
pub use online::{OnlineSpan, SPANS_MAX};
pub use outbox::{Happening, ParseHappeningError, RunNews};
pub use page::{ListRequest, Page, TOTAL_MAX};
pub use person::{ApiToken, Login, NewToken, Person, TokenLogin, TokenUse};
pub use release::Release;
pub use retention::Removed;
pub use run::{NewRun, Run, RunCommit, RunFilter, RunStand, Started, StepRun};
pub use session::{Admission, Admit, RefusalCount, Session, SessionKind};
pub use task::{NewTask, Task, TaskFilter, TaskVersion};
pub use trigger::{Fired, NewTrigger, Trigger, TriggerFilter};
pub use variable::Variable;
pub use view::SavedView;

/// How long a statement waits for another process (the offline command line) that holds the database.
const BUSY: Duration = Duration::from_secs(5);

/// The database. Cheap to clone; the last clone closes it.
#[derive(Clone)]
pub struct Store {
    writer: Arc<Writer>,
    readers: Arc<Readers>,
}

impl Store {
    /// Opens or makes the database file and brings its schema up to date. Blocks.
    ///
    /// # Errors
    /// [`Error::TooNew`] when a newer build wrote it, [`Error::Migration`] when it was changed by hand.
    pub fn open(file: &Path) -> Result<Self, Error> {
        let mut connection = connect(file)?;
        migrate::run(&mut connection)?;
        let readers = Readers::open(|| connect(file))?;
        Ok(Self { writer: Arc::new(Writer::start(connection)?), readers: Arc::new(readers) })
    }

    /// Commits what was asked for, folds the log into the database file and refuses everything that comes later.
    pub async fn close(&self) {
        self.writer.close().await;
    }

    /// Grows before the answer to every write that may have changed agents, connections, variables, tasks or limits.
    /// What is read after this was asked may be used until it answers another number.
    pub fn generation(&self) -> u64 {
        self.writer.generation()
    }

    /// Answers when the database can be read and written.
    pub async fn ping(&self) -> Result<(), Error> {
        self.read(|sql| Ok(sql.query_row("SELECT count(*) FROM setting", [], |_| Ok(()))?)).await?;
        self.record(|_| Ok::<(), Error>(())).await
    }

    async fn write<T, E>(&self, op: impl FnOnce(&Sqlite) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.writer.submit(Kind::Change, op).await
    }

    /// A write that leaves agents, connections, variables, tasks and limits as they are: what was read of them stays
    /// good. Only for verbs of the hot path; any other may as well be a [`Store::write`].
    async fn record<T, E>(&self, op: impl FnOnce(&Sqlite) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.writer.submit(Kind::Record, op).await
    }

    async fn read<T: Send + 'static>(
        &self,
        op: impl FnOnce(&Sqlite) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.readers.run(op).await
    }

    /// A read that may take long.
    async fn list<T: Send + 'static>(
        &self,
        op: impl FnOnce(&Sqlite) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.readers.list(op).await
    }
}

fn connect(file: &Path) -> Result<Sqlite, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Sqlite::open_with_flags(file, flags).map_err(|source| Error::Open { file: file.to_owned(), source })?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(256);
    let settle = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;";
    connection.execute_batch(settle).map_err(|source| Error::Open { file: file.to_owned(), source })?;
    Ok(connection)
}
