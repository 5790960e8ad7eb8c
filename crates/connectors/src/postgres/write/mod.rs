//! The sink: binary COPY into the table or a staging table, then one statement, all in one transaction; the rows of an
//! incremental read in a few of them.

mod cells;
mod checkpoint;
mod convert;
mod encode;
mod ledger;
mod places;
mod replace;
mod send;
mod statement;
mod table;
mod text;

use sallyport_dataplane::Input;
use sallyport_protocol::{FailureKind, LogLevel};

use self::ledger::{Claim, Ledger};
use self::replace::Replacement;
use self::send::Take;
use self::table::Table;
use super::name::TableName;
use super::settings::{Mode, OnBadRow, Write};
use super::target::Target;
use super::wire::{Client, Error as WireError, UNLIMITED};
use crate::incremental::Chunk;
use crate::reject::RejectFile;
use crate::{Checkpointing, Context, Error, Sink, Written};

/// Writes a table.
pub(crate) struct PostgresSink {
    pub target: Target,
    pub write: Write,
}

impl Sink for PostgresSink {
    fn write(self: Box<Self>, input: &mut Input, cx: &Context) -> Result<Written, Error> {
        let outcome = self.run(input, cx);
        // A stop breaks the connection; what that looks like from here is not the reason.
        if outcome.is_err() && cx.cancel.is_cancelled() { Err(Error::Cancelled) } else { outcome }
    }

    fn keeps_checkpoint(&self) -> bool {
        self.write.ledger
    }
}

impl PostgresSink {
    fn run(&self, input: &mut Input, cx: &Context) -> Result<Written, Error> {
        let name = TableName::parse(&self.write.table)?;
        let job = Job { write: &self.write, doing: self.target.doing(&format!("writing table `{name}`")), name, cx };
        let incremental = cx.checkpointing.as_ref().filter(|_| self.write.ledger);
        if incremental.is_none() {
            // A source that fails at once costs no connection.
            input.schema()?;
        }
        let mut client = Client::connect(&self.target, cx)?;
        let outcome = match incremental {
            Some(checkpointing) => job.run_incremental(&mut client, input, checkpointing),
            None => job.run(&mut client, input),
        };
        if outcome.is_err() {
            // Rolls back at once, whatever the server is doing.
            client.abandon();
        } else {
            client.close();
        }
        outcome
    }
}

/// One write, from its first BEGIN to its last COMMIT.
struct Job<'a> {
    write: &'a Write,
    doing: String,
    name: TableName,
    cx: &'a Context,
}

impl Job<'_> {
    fn run(&self, client: &mut Client, input: &mut Input) -> Result<Written, Error> {
        let found = Table::find(client, &self.name).map_err(|error| self.explain(error))?;
        let ledger = self.ledger(client, found.as_ref())?;
        client.simple(&format!("begin; {UNLIMITED}")).map_err(|error| self.explain(error))?;
        if let Some(ledger) = &ledger
            && ledger.claim(client, &self.cx.commit, &self.doing)? == Claim::Committed
        {
            (self.cx.log)(LogLevel::Info, "an earlier attempt has committed these rows".into());
            while input.next_batch()?.is_some() {}
            return Ok(Written { already_committed: true });
        }
        let found = match found {
            Some(table) => Some(table),
            // Perhaps the attempt that held the ledger has made it.
            None => Table::find(client, &self.name).map_err(|error| self.explain(error))?,
        };
        let sent = self.transfer(client, found, input, self.rejects()?, Take::all())?;
        if let Some(ledger) = &ledger {
            ledger.note(client, &self.cx.commit, sent.rows, &self.doing)?;
        }
        self.finish(client, sent.rejects)?;
        Ok(Written { already_committed: false })
    }

    /// Writes chunks, each committed together with how far it reaches.
    fn run_incremental(
        &self,
        client: &mut Client,
        input: &mut Input,
        checkpointing: &Checkpointing,
    ) -> Result<Written, Error> {
        let found = Table::find(client, &self.name).map_err(|error| self.explain(error))?;
        let schema = self.schema(client, found.as_ref())?;
        let order = &checkpointing.order;
        let mut claim = checkpoint::Claim::take(client, &schema, order, &self.cx.commit, &self.doing)?;
        let mut reached = claim.checkpoint.clone();
        input.resume(reached.clone());
        input.schema()?;
        let mut before = 0;
        loop {
            let rejects = self.rejects()?;
            // A reject file appears with the last row, so that all rows do.
            let chunked = rejects.is_none() && matches!(self.write.mode, Mode::Append | Mode::Upsert | Mode::Delete);
            let chunk = chunked.then(|| Chunk::new(self.write.commit_every));
            client.simple(&format!("begin; {UNLIMITED}")).map_err(|error| self.explain(error))?;
            let found = Table::find(client, &self.name).map_err(|error| self.explain(error))?;
            let sent = self.transfer(client, found, input, rejects, Take { chunk, before })?;
            reached = sent.mark.or(reached);
            claim.advance(client, reached.as_ref())?;
            self.finish(client, sent.rejects)?;
            claim.sequence += 1;
            before += sent.taken;
            if let Some(reached) = &reached {
                checkpointing.note(claim.sequence, reached.clone(), sent.rows);
            }
            if sent.ended {
                return Ok(Written::default());
            }
        }
    }

    /// Writes rows in the transaction that has begun: all of them, or a chunk.
    fn transfer(
        &self,
        client: &mut Client,
        found: Option<Table>,
        input: &mut Input,
        rejects: Option<RejectFile>,
        take: Take,
    ) -> Result<send::Sent, Error> {
        let schema = input.schema()?;
        let (table, replacement) = self.prepare(client, found, &schema)?;
        let places = places::places(&schema, &table, self.write, &self.doing)?;
        let plan = statement::Plan::new(self.write, &table, places);
        self.execute(client, plan.before())?;
        client.copy_in(&plan.copy()).map_err(|error| self.explain(error))?;
        let rows = send::Rows { places: &plan.places, schema: &schema, doing: &self.doing, rejects, take };
        let sent = send::send(client, input, rows, self.cx)?;
        plan.finish(client, self.cx).map_err(|error| self.explain(error))?;
        if let Some(replacement) = replacement {
            replacement.swap(client).map_err(|error| self.explain(error))?;
        }
        Ok(sent)
    }

    fn rejects(&self) -> Result<Option<RejectFile>, Error> {
        match (self.write.on_bad_row, &self.write.reject_file) {
            (OnBadRow::Reject, Some(path)) => Ok(Some(RejectFile::create(&self.cx.site, path, &self.cx.commit)?)),
            _ => Ok(None),
        }
    }

    fn finish(&self, client: &mut Client, rejects: Option<RejectFile>) -> Result<(), Error> {
        if let Some(rejects) = rejects {
            rejects.finish()?;
        }
        self.cx.cancel.check()?;
        self.commit(client)
    }

    /// The ledger, where the mode needs one: the other modes may be repeated without harm.
    fn ledger(&self, client: &mut Client, found: Option<&Table>) -> Result<Option<Ledger>, Error> {
        if !self.write.ledger || matches!(self.write.mode, Mode::Truncate | Mode::Replace) {
            return Ok(None);
        }
        let ledger = Ledger::of(&self.schema(client, found)?);
        ledger.ensure(client, &self.doing)?;
        Ok(Some(ledger))
    }

    /// The schema that the table is in, or would be.
    fn schema(&self, client: &mut Client, found: Option<&Table>) -> Result<String, Error> {
        match found.map_or(&self.name.schema, |table| &table.name.schema) {
            Some(schema) => Ok(schema.clone()),
            None => table::current_schema(client).map_err(|error| self.explain(error)),
        }
    }

    /// The table that COPY fills or that the staged rows go to; made where it is missing and may be made.
    fn prepare(
        &self,
        client: &mut Client,
        found: Option<Table>,
        schema: &arrow_schema::Schema,
    ) -> Result<(Table, Option<Replacement>), Error> {
        let name = &self.name;
        match found {
            Some(old) if self.write.mode == Mode::Replace => {
                let replacement = Replacement::begin(client, old, schema, self.write, &self.doing)?;
                let fresh = Table::find(client, &replacement.fresh).map_err(|error| self.explain(error))?;
                Ok((fresh.ok_or_else(|| self.missing())?, Some(replacement)))
            }
            Some(table) => Ok((table, None)),
            None if self.write.create => {
                let definitions = places::definitions(schema, &self.write.key, &self.doing)?;
                self.execute(client, format!("create table {} ({definitions})", name.sql()))?;
                let table = Table::find(client, name).map_err(|error| self.explain(error))?;
                Ok((table.ok_or_else(|| self.missing())?, None))
            }
            None => Err(self.missing()),
        }
    }

    fn execute(&self, client: &mut Client, sql: String) -> Result<(), Error> {
        if sql.is_empty() {
            return Ok(());
        }
        client.simple(&sql).map(drop).map_err(|error| self.explain(error))
    }

    fn commit(&self, client: &mut Client) -> Result<(), Error> {
        client.simple("commit").map(drop).map_err(|error| match error {
            WireError::Lost(why) => Error::transient(
                FailureKind::Connector,
                "commit_unknown",
                format!("{}: lost the connection while the rows were committed: {why}", self.doing),
            )
            .advise("the next attempt finds out whether they were, if the mode is not `append` without a ledger"),
            error => self.explain(error),
        })
    }

    fn missing(&self) -> Error {
        Error::permanent(
            FailureKind::Connector,
            "table_not_found",
            format!("{}: there is no table `{}`", self.doing, self.name),
        )
        .advise("correct the name, spelt as in the catalogue, or set `create: true`")
    }

    fn explain(&self, error: WireError) -> Error {
        error.explain(&self.doing)
    }
}
