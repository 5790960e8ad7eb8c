//! Opening a database, and what its errors mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::limits::Limit;
use rusqlite::{Connection as Database, ErrorCode, OpenFlags};
use sallyport_dataplane::{Cancel, Cancelled};
use sallyport_protocol::FailureKind;

use super::settings::Connection;
use crate::paths::Root;
use crate::{Error, Site};

/// How long a lock of another program is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a lock is tried for, and how soon a stop is noticed meanwhile.
const BUSY_PAUSE: Duration = Duration::from_millis(25);

/// Steps of SQLite's machine between two looks at the stop signal: some microseconds.
const STEPS_PER_LOOK: i32 = 1000;

/// The largest row that is read: several values of [`crate::VALUE_BYTES_MAX`].
const ROW_BYTES_MAX: i32 = 96 * 1024 * 1024;

/// What a step does with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    /// As `Write`; the file is made if missing.
    Create,
}

/// Where the database is.
pub(super) fn locate(connection: &Connection, site: &Site, access: Access) -> Result<PathBuf, Error> {
    let path = Path::new(&connection.path);
    if path.is_absolute() && site.confined {
        return Err(crate::settings::not_confined("path"));
    }
    if path.is_absolute() {
        // The owner of the connection named the file itself; only a relative path is bound to the files root.
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(crate::settings::invalid("path", format!("`{}` names no file", connection.path)));
        };
        let folder = Root::new(folder)?;
        let path = folder.path().join(name);
        let path = if path.exists() { std::fs::canonicalize(&path).unwrap_or(path) } else { path };
        site.may_touch(&path)?;
        return if path.is_file() || access == Access::Create { Ok(path) } else { Err(missing(&path)) };
    }
    let root = Root::new(&site.files_root)?;
    if access == Access::Create {
        let place = root.place(&connection.path)?;
        if place.folder.has(&place.name).unwrap_or(false) { Ok(root.open(&connection.path)?.1) } else { Ok(place.path) }
    } else {
        Ok(root.open(&connection.path)?.1)
    }
}

fn missing(path: &Path) -> Error {
    Error::permanent(FailureKind::Connector, "file_not_found", format!("there is no database `{}`", path.display()))
        .advise("correct the connection's `path`; it is on the machine of the agent that runs the step")
}

/// Opens the database. When the step is cancelled, whatever the database does is broken off.
pub(super) fn open(path: &Path, access: Access, cancel: &Cancel) -> Result<Database, Error> {
    let rights = match access {
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Access::Create => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    };
    let flags = rights | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let opened = Database::open_with_flags(path, flags).and_then(|mut database| {
        let stop = cancel.clone();
        database.progress_handler(STEPS_PER_LOOK, Some(move || stop.is_cancelled()))?;
        // `patiently` waits instead: SQLite's own wait cannot be stopped, and a writer whose cache is full would go
        // through it for every page while a step of the same task reads the file.
        database.busy_timeout(Duration::ZERO)?;
        if access == Access::Read {
            database.set_limit(Limit::SQLITE_LIMIT_LENGTH, ROW_BYTES_MAX)?;
        }
        Ok(database)
    });
    let failed = |error: rusqlite::Error| explain(&error, &format!("opening database `{}`", path.display()));
    let database = opened.map_err(failed)?;
    // Reads the header: a file that is no database is found here.
    patiently(cancel, || database.query_row("select count(*) from sqlite_schema", [], |_| Ok(())))?.map_err(failed)?;
    Ok(database)
}

/// Tries again while another program holds the database, up to [`BUSY_TIMEOUT`] or until the step is cancelled.
pub(super) fn patiently<T>(
    cancel: &Cancel,
    mut tried: impl FnMut() -> rusqlite::Result<T>,
) -> Result<rusqlite::Result<T>, Cancelled> {
    let mut left = BUSY_TIMEOUT;
    loop {
        cancel.check()?;
        match tried() {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && !left.is_zero() => {
                std::thread::sleep(BUSY_PAUSE);
                left = left.saturating_sub(BUSY_PAUSE);
            }
            done => return Ok(done),
        }
    }
}

/// What an error of SQLite means for the step.
pub(super) fn explain(error: &rusqlite::Error, doing: &str) -> Error {
    let code = error.sqlite_error_code();
    let text = message(error);
    match code {
        Some(ErrorCode::OperationInterrupted) => Error::Cancelled,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::transient(
            FailureKind::Connector,
            "database_locked",
            format!("{doing}: another program holds the database"),
        )
        .advise("end the other program's transaction, or run the task when it is idle"),
        Some(ErrorCode::TooBig) => {
            let limit = ROW_BYTES_MAX / (1024 * 1024);
            Error::permanent(
                FailureKind::Input,
                "value_too_large",
                format!("{doing}: a row is larger than {limit} MiB"),
            )
            .advise("leave the large column out, or cut the value in a `query`")
        }
        Some(ErrorCode::DiskFull) => Error::permanent(FailureKind::Output, "disk_full", format!("{doing}: {text}"))
            .advise("free space on the disk that holds the database"),
        Some(ErrorCode::NotADatabase) => {
            Error::permanent(FailureKind::Connector, "not_a_database", format!("{doing}: {text}"))
                .advise("correct the connection's `path`")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            Error::permanent(FailureKind::Connector, "database_not_accessible", format!("{doing}: {text}"))
                .advise("give the agent's user the right to the file and its folder")
        }
        _ => Error::permanent(FailureKind::Connector, "sqlite", format!("{doing}: {text}")),
    }
}

/// SQLite's own words.
pub(super) fn message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

/// A name as SQL has it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
