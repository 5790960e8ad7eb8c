//! The sink: binary COPY into the table or a staging table, then one statement, all in one transaction.

mod cells;
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
use self::table::Table;
use super::name::TableName;
use super::settings::{Mode, OnBadRow, Write};
use super::target::Target;
use super::wire::{Client, Error as WireError, UNLIMITED};
use crate::reject::RejectFile;
use crate::{Context, Error, Sink, Written};

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
}

impl PostgresSink {
    fn run(&self, input: &mut Input, cx: &Context) -> Result<Written, Error> {
        let name = TableName::parse(&self.write.table)?;
        let schema = input.schema()?;
        let mut client = Client::connect(&self.target, &cx.cancel)?;
        let job = Job { write: &self.write, doing: self.target.doing(&format!("writing table `{name}`")), cx };
        let outcome = job.run(&mut client, &name, &schema, input);
        if outcome.is_err() {
            // Rolls back at once, whatever the server is doing.
            client.abandon();
        } else {
            client.close();
        }
        outcome
    }
}

/// One write, from BEGIN to COMMIT.
struct Job<'a> {
    write: &'a Write,
    doing: String,
    cx: &'a Context,
}

impl Job<'_> {
    fn run(
        &self,
        client: &mut Client,
        name: &TableName,
        schema: &arrow_schema::SchemaRef,
        input: &mut Input,
    ) -> Result<Written, Error> {
        let found = Table::find(client, name).map_err(|error| self.explain(error))?;
        let ledger = self.ledger(client, name, found.as_ref())?;
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
            None => Table::find(client, name).map_err(|error| self.explain(error))?,
        };
        let (table, replacement) = self.prepare(client, name, found, schema)?;
        let places = places::places(schema, &table, self.write, &self.doing)?;
        let plan = statement::Plan::new(self.write, &table, places);
        self.execute(client, plan.before())?;
        let rejects = match (self.write.on_bad_row, &self.write.reject_file) {
            (OnBadRow::Reject, Some(path)) => Some(RejectFile::create(&self.cx.site, path, &self.cx.commit)?),
            _ => None,
        };
        client.copy_in(&plan.copy()).map_err(|error| self.explain(error))?;
        let sent = send::send(client, input, &plan.places, schema, &self.doing, rejects, self.cx)?;
        plan.finish(client, self.cx).map_err(|error| self.explain(error))?;
        if let Some(replacement) = replacement {
            replacement.swap(client).map_err(|error| self.explain(error))?;
        }
        if let Some(ledger) = &ledger {
            ledger.note(client, &self.cx.commit, sent.rows, &self.doing)?;
        }
        if let Some(rejects) = sent.rejects {
            rejects.finish()?;
        }
        self.cx.cancel.check()?;
        self.commit(client)?;
        Ok(Written { already_committed: false })
    }

    /// The ledger, where the mode needs one: the other modes may be repeated without harm.
    fn ledger(&self, client: &mut Client, name: &TableName, found: Option<&Table>) -> Result<Option<Ledger>, Error> {
        if self.write.mode != Mode::Append || !self.write.ledger {
            return Ok(None);
        }
        let schema = match found.map_or(&name.schema, |table| &table.name.schema) {
            Some(schema) => schema.clone(),
            None => table::current_schema(client).map_err(|error| self.explain(error))?,
        };
        let ledger = Ledger::of(&schema);
        ledger.ensure(client, &self.doing)?;
        Ok(Some(ledger))
    }

    /// The table that COPY fills or that the staged rows go to; made where it is missing and may be made.
    fn prepare(
        &self,
        client: &mut Client,
        name: &TableName,
        found: Option<Table>,
        schema: &arrow_schema::Schema,
    ) -> Result<(Table, Option<Replacement>), Error> {
        match found {
            Some(old) if self.write.mode == Mode::Replace => {
                let replacement = Replacement::begin(client, old, schema, self.write, &self.doing)?;
                let fresh = Table::find(client, &replacement.fresh).map_err(|error| self.explain(error))?;
                Ok((fresh.ok_or_else(|| self.missing(name))?, Some(replacement)))
            }
            Some(table) => Ok((table, None)),
            None if self.write.create => {
                let definitions = places::definitions(schema, &self.write.key, &self.doing)?;
                self.execute(client, format!("create table {} ({definitions})", name.sql()))?;
                let table = Table::find(client, name).map_err(|error| self.explain(error))?;
                Ok((table.ok_or_else(|| self.missing(name))?, None))
            }
            None => Err(self.missing(name)),
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

    fn missing(&self, name: &TableName) -> Error {
        Error::permanent(
            FailureKind::Connector,
            "table_not_found",
            format!("{}: there is no table `{name}`", self.doing),
        )
        .advise("correct the name, spelt as in the catalogue, or set `create: true`")
    }

    fn explain(&self, error: WireError) -> Error {
        error.explain(&self.doing)
    }
}
