//! A table in the target that remembers which steps have appended their rows, in the same transaction as the rows.

use std::time::Duration;

use rusqlite::{Connection as Database, OptionalExtension, params};
use sallyport_protocol::Timestamp;

use crate::CommitKey;

/// Runs are not retried after so long.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// Whether an earlier attempt of the step has committed. Makes the table if it is not there.
pub(super) fn is_committed(database: &Database, commit: &CommitKey) -> rusqlite::Result<bool> {
    database.execute_batch(
        "create table if not exists sallyport_ledger (
            step text primary key, attempt integer not null, fence integer not null,
            row_count integer not null, committed_us integer not null
        )",
    )?;
    let found = database.query_row("select 1 from sallyport_ledger where step = ?1", [&commit.key], |_| Ok(()));
    Ok(found.optional()?.is_some())
}

/// Remembers the step, and forgets old ones.
pub(super) fn commit(database: &Database, commit: &CommitKey, rows: u64, now: Timestamp) -> rusqlite::Result<()> {
    let before = now.0.saturating_sub(i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX));
    database.execute("delete from sallyport_ledger where committed_us < ?1", [before])?;
    let fence = i64::try_from(commit.fence).unwrap_or(i64::MAX);
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    database.execute(
        "insert into sallyport_ledger (step, attempt, fence, row_count, committed_us) values (?1, ?2, ?3, ?4, ?5)",
        params![commit.key, commit.attempt, fence, rows, now.0],
    )?;
    Ok(())
}
