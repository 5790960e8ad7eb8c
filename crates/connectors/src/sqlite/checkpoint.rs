//! A table in the target that says how far each incremental read is committed, written in the rows' own transaction.
//!
//! Invariant: the row's fence only grows, and a commit that does not find its own fence is refused. So once an attempt
//! has claimed the row, no older one commits any more.

use rusqlite::{Connection as Database, OptionalExtension, params};
use sallyport_dataplane::Cancel;
use sallyport_protocol::{Checkpoint, FailureKind, Incremental, Timestamp};

use super::open::{explain, patiently};
use crate::{CommitKey, Error};

const TABLE: &str = "create table if not exists sallyport_checkpoint (
    stream text primary key, epoch integer not null, fence integer not null, step text not null,
    attempt integer not null, sequence integer not null, checkpoint text, committed_us integer
)";

/// One attempt's place in the table.
pub(super) struct Claim<'a> {
    order: &'a Incremental,
    what: &'a str,
    /// How far the target is.
    pub(super) checkpoint: Option<Checkpoint>,
    /// Commits of this epoch so far.
    pub(super) sequence: u64,
}

impl<'a> Claim<'a> {
    /// Takes the place from older attempts, in a transaction of its own.
    pub(super) fn take(
        database: &Database,
        order: &'a Incremental,
        commit: &CommitKey,
        what: &'a str,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let failed = |error: rusqlite::Error| explain(&error, &format!("claiming the checkpoint of {what}"));
        patiently(cancel, || database.execute_batch("begin immediate"))?.map_err(failed)?;
        database.execute_batch(TABLE).map_err(failed)?;
        let found: Option<(u64, u64, u64, Option<String>)> = database
            .query_row(
                "select epoch, fence, sequence, checkpoint from sallyport_checkpoint where stream = ?1",
                [&order.stream],
                |row| Ok((number(row.get(0)?), number(row.get(1)?), number(row.get(2)?), row.get(3)?)),
            )
            .optional()
            .map_err(failed)?;
        let mut claim = Self { order, what, checkpoint: order.checkpoint.clone(), sequence: 0 };
        if let Some((epoch, fence, sequence, kept)) = found {
            if epoch > order.epoch || fence > order.fence {
                return Err(claim.superseded());
            }
            if epoch == order.epoch {
                claim.sequence = sequence;
                let kept = kept.and_then(|text| serde_json::from_str(&text).ok());
                claim.checkpoint = kept.or(claim.checkpoint);
            }
        }
        database
            .execute(
                "insert or replace into sallyport_checkpoint (stream, epoch, fence, step, attempt, sequence, checkpoint)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    order.stream,
                    signed(order.epoch),
                    signed(order.fence),
                    commit.key,
                    commit.attempt,
                    signed(claim.sequence),
                    text(claim.checkpoint.as_ref())
                ],
            )
            .map_err(failed)?;
        patiently(cancel, || database.execute_batch("commit"))?.map_err(failed)?;
        Ok(claim)
    }

    /// Writes, in the open transaction, that everything up to the checkpoint is there.
    pub(super) fn advance(
        &self,
        database: &Database,
        checkpoint: Option<&Checkpoint>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let changed = database
            .execute(
                "update sallyport_checkpoint set sequence = ?1, checkpoint = ?2, committed_us = ?3
                 where stream = ?4 and epoch = ?5 and fence = ?6",
                params![
                    signed(self.sequence + 1),
                    text(checkpoint),
                    now.0,
                    self.order.stream,
                    signed(self.order.epoch),
                    signed(self.order.fence)
                ],
            )
            .map_err(|error| explain(&error, &format!("writing the checkpoint of {}", self.what)))?;
        if changed == 1 { Ok(()) } else { Err(self.superseded()) }
    }

    fn superseded(&self) -> Error {
        let why = format!("writing {}: a newer attempt at this step has taken over", self.what);
        Error::permanent(FailureKind::Connector, "superseded", why)
    }
}

fn text(checkpoint: Option<&Checkpoint>) -> Option<String> {
    checkpoint.map(|checkpoint| checkpoint.0.to_string())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(signed: i64) -> u64 {
    u64::try_from(signed).unwrap_or(0)
}
