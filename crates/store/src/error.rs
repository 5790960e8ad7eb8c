//! How a verb fails.

use std::path::PathBuf;

/// Why a verb did nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such row in this environment.
    #[error("not found")]
    NotFound,
    /// Several rows could be meant.
    #[error("more than one could be meant")]
    Ambiguous,
    /// Another row has this name.
    #[error("the {what} is taken")]
    Taken {
        /// Which value, such as `agent name`.
        what: &'static str,
    },
    /// The row was changed since the caller read it.
    #[error("changed in the meantime, now at version {current}")]
    Stale {
        /// The version that stands.
        current: i64,
    },
    /// Something else depends on the row.
    #[error("used by {by}")]
    InUse {
        /// What depends on it, by kind and name.
        by: String,
    },
    /// There is no room for one more.
    #[error("there are {most} {what} already, the most there can be; remove one first")]
    TooMany {
        /// Of what, such as `saved views`.
        what: &'static str,
        /// How many there can be.
        most: u32,
    },
    /// The list cannot be sorted by this column.
    #[error("cannot sort by `{given}`: expected one of {}", .allowed.join(", "))]
    BadSort {
        /// What was asked for.
        given: String,
        /// What can be asked for.
        allowed: Vec<&'static str>,
    },
    /// A list took longer than it may.
    #[error("the list took longer than {seconds} s")]
    TooSlow {
        /// How long it may take.
        seconds: u64,
    },
    /// The cursor is not one that this list gave with this sort.
    #[error("the cursor does not belong to this list and sort")]
    BadCursor,
    /// A newer build has changed the database.
    #[error(
        "the database has schema {found}, this build knows up to {known}: start the newer build, or restore the backup made before the upgrade"
    )]
    TooNew {
        /// What the file has.
        found: i64,
        /// What this build can do.
        known: i64,
    },
    /// The record of an applied migration does not match this build's.
    #[error("migration {version} of the database differs from this build's: the file belongs to another build")]
    Migration {
        /// Its number.
        version: i64,
    },
    /// The file cannot be opened.
    #[error("opening the database `{}`", .file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The store was closed.
    #[error("the database is closed")]
    Closed,
    /// The group of changes was not committed; the same text goes to everyone in it.
    #[error("committing to the database: {0}")]
    Commit(String),
    /// A verb met a bug in itself; its changes were undone.
    #[error("a database operation panicked")]
    Panicked,
    /// SQLite refused.
    #[error("the database refused")]
    Sqlite(#[from] rusqlite::Error),
    /// A column holds text that cannot be read back.
    #[error("reading stored JSON")]
    Json(#[from] serde_json::Error),
    /// A thread could not be started.
    #[error("starting the writer")]
    Thread(#[from] std::io::Error),
}

/// Tells a taken name from other refusals of SQLite.
pub(crate) fn taken<T>(result: rusqlite::Result<T>, what: &'static str) -> Result<T, Error> {
    result.map_err(|error| match &error {
        rusqlite::Error::SqliteFailure(code, _)
            if code.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
                || code.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY =>
        {
            Error::Taken { what }
        }
        _ => Error::Sqlite(error),
    })
}
