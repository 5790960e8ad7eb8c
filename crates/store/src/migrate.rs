//! Numbered changes of the schema, applied forward only. An applied one is never edited: its checksum is kept.

use rusqlite::{Connection as Sqlite, OptionalExtension, params};
use sha2::{Digest, Sha256};

use crate::Error;

/// In order; the place in the list is the number, from 1.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_triggers.sql"),
    include_str!("migrations/0003_flow.sql"),
    include_str!("migrations/0004_checkpoints.sql"),
    include_str!("migrations/0005_notices.sql"),
    include_str!("migrations/0006_retention.sql"),
    include_str!("migrations/0007_releases.sql"),
    include_str!("migrations/0008_console.sql"),
    include_str!("migrations/0009_life.sql"),
    include_str!("migrations/0010_groups.sql"),
    include_str!("migrations/0011_wrapper_releases.sql"),
];

pub(crate) fn run(sql: &mut Sqlite) -> Result<(), Error> {
    apply(sql, MIGRATIONS)
}

pub(crate) fn apply(sql: &mut Sqlite, migrations: &[&str]) -> Result<(), Error> {
    let transaction = sql.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS migration (
           version INTEGER PRIMARY KEY, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL DEFAULT (unixepoch() * 1000000)
         ) STRICT",
    )?;
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let found: i64 = transaction.query_row("SELECT coalesce(max(version), 0) FROM migration", [], |row| row.get(0))?;
    if found > known {
        return Err(Error::TooNew { found, known });
    }
    for (version, text) in (1_i64..).zip(migrations) {
        let checksum = checksum(text);
        let applied: Option<String> = transaction
            .query_row("SELECT checksum FROM migration WHERE version = ?", [version], |row| row.get(0))
            .optional()?;
        match applied {
            Some(applied) if applied == checksum => {}
            Some(_) => return Err(Error::Migration { version }),
            None => {
                transaction.execute_batch(text)?;
                transaction
                    .execute("INSERT INTO migration(version, checksum) VALUES (?, ?)", params![version, checksum])?;
                tracing::info!(version, "database schema migrated");
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

fn checksum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
