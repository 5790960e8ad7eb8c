//! The table beside the target that says how far each incremental read is committed, written in the rows' transaction.
//!
//! Invariant: the row's fence only grows, and a commit that does not find its own fence is refused. So once an attempt
//! has claimed the row, no older one commits any more.

use sallyport_protocol::{Checkpoint, Incremental};

use super::ledger::{make, refused, supersede, superseded};
use crate::postgres::name::{TableName, literal};
use crate::postgres::wire::{Client, Error as WireError, Row};
use crate::{CommitKey, Error};

const TABLE: &str = "sallyport_checkpoint";

const COLUMNS: &str = "stream text primary key, epoch bigint not null, fence bigint not null, step text not null, \
                       attempt bigint not null, sequence bigint not null, checkpoint text, committed_at timestamptz";

/// One attempt's place in the table.
pub(super) struct Claim<'a> {
    table: String,
    shown: String,
    order: &'a Incremental,
    doing: &'a str,
    /// How far the target is.
    pub checkpoint: Option<Checkpoint>,
    /// Commits of this epoch so far.
    pub sequence: u64,
}

impl<'a> Claim<'a> {
    /// Takes the place from older attempts, in a transaction of its own; ends their sessions.
    pub(super) fn take(
        client: &mut Client,
        schema: &str,
        order: &'a Incremental,
        commit: &CommitKey,
        doing: &'a str,
    ) -> Result<Self, Error> {
        let name = TableName { schema: Some(schema.to_owned()), table: TABLE.to_owned() };
        let (table, shown) = (name.sql(), name.to_string());
        let mut claim = Self { table, shown, order, doing, checkpoint: order.checkpoint.clone(), sequence: 0 };
        make(client, &claim.table, COLUMNS).map_err(|error| claim.explain(error))?;
        supersede(client, &order.stream, order.fence, false, doing)?;
        let Self { table, .. } = &claim;
        let (stream, step) = (literal(&order.stream), literal(&commit.key));
        let found = client.simple(&format!(
            "begin; insert into {table} (stream, epoch, fence, step, attempt, sequence) values ({stream}, 0, 0, {step}, 0, 0) \
             on conflict (stream) do nothing; \
             select epoch, fence, sequence, checkpoint from {table} where stream = {stream} for update"
        ));
        let row = found.map_err(|error| claim.explain(error))?.pop().unwrap_or_default();
        claim.compare(&row)?;
        let Self { table, sequence, .. } = &claim;
        let kept = text(claim.checkpoint.as_ref());
        let taken = client.simple(&format!(
            "update {table} set epoch = {}, fence = {}, step = {step}, attempt = {}, sequence = {sequence}, \
             checkpoint = {kept} where stream = {stream}; commit",
            order.epoch, order.fence, commit.attempt
        ));
        taken.map_err(|error| claim.explain(error))?;
        Ok(claim)
    }

    /// Writes, in the open transaction, that everything up to the checkpoint is there.
    pub(super) fn advance(&self, client: &mut Client, checkpoint: Option<&Checkpoint>) -> Result<(), Error> {
        let Incremental { stream, epoch, fence, .. } = self.order;
        let written = client.simple(&format!(
            "update {} set sequence = {}, checkpoint = {}, committed_at = pg_catalog.clock_timestamp() \
             where stream = {} and epoch = {epoch} and fence = {fence} returning true",
            self.table,
            self.sequence + 1,
            text(checkpoint),
            literal(stream)
        ));
        let written = written.map_err(|error| self.explain(error))?;
        if written.is_empty() { Err(superseded(self.doing)) } else { Ok(()) }
    }

    /// Takes over what was kept, unless a newer attempt keeps it or a person has set another checkpoint since.
    fn compare(&mut self, row: &Row) -> Result<(), Error> {
        let field = |at: usize| row.get(at).and_then(Option::as_deref);
        let number = |at: usize| field(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let (epoch, fence) = (number(0), number(1));
        if epoch > self.order.epoch || fence > self.order.fence {
            return Err(superseded(self.doing));
        }
        if epoch == self.order.epoch {
            self.sequence = number(2);
            let kept = field(3).and_then(|text| serde_json::from_str(text).ok());
            self.checkpoint = kept.or(self.checkpoint.take());
        }
        Ok(())
    }

    fn explain(&self, error: WireError) -> Error {
        refused(error, self.doing, &self.shown)
    }
}

fn text(checkpoint: Option<&Checkpoint>) -> String {
    checkpoint.map_or_else(|| "null".to_owned(), |checkpoint| literal(&checkpoint.0.to_string()))
}
