//! Writes a table in one transaction that is committed when the input has ended well.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use rusqlite::{Connection as Database, ErrorCode, Statement};
use sallyport_dataplane::{Input, payload_bytes};
use sallyport_protocol::{Clock, FailureKind};

use super::bind::{Keeping, bind};
use super::declared::{affinity, declaration};
use super::open::{Access, explain, locate, message, open, patiently, quoted};
use super::settings::{Connection, Mode, Write};
use super::{ledger, table};
use crate::reject::{OnBadRow, RejectFile, cut, row_values};
use crate::text::cell::Cell;
use crate::text::types;
use crate::{Context, Error, Sink, Written};

/// A step that writes.
pub(super) struct SqliteSink {
    pub(super) connection: Connection,
    pub(super) settings: Write,
}

impl Sink for SqliteSink {
    fn write(self: Box<Self>, input: &mut Input, cx: &Context) -> Result<Written, Error> {
        let makes = self.settings.create || self.settings.mode == Mode::Replace;
        let access = if makes { Access::Create } else { Access::Write };
        let path = locate(&self.connection, &cx.site, access)?;
        let existed = path.exists();
        let result = match &cx.checkpointing {
            Some(checkpointing) if self.settings.ledger => {
                self.write_incremental(input, &path, access, checkpointing, cx)
            }
            _ => self.write_all(input, &path, access, cx),
        };
        if result.is_err() && !existed {
            // Nothing was committed: the file is empty and was made here.
            let empty = std::fs::metadata(&path).is_ok_and(|file| file.len() == 0);
            let _ = empty.then(|| std::fs::remove_file(&path));
        }
        result
    }

    fn keeps_checkpoint(&self) -> bool {
        self.settings.ledger
    }
}

impl SqliteSink {
    fn write_all(
        &self,
        input: &mut Input,
        path: &std::path::Path,
        access: Access,
        cx: &Context,
    ) -> Result<Written, Error> {
        let schema = &input.schema()?;
        let database = open(path, access, &cx.cancel)?;
        let what = format!("table `{}` of `{}`", self.settings.table, path.display());
        let failed = |error: rusqlite::Error| explain(&error, &format!("writing {what}"));
        // Dropped uncommitted, a transaction is rolled back with the connection.
        patiently(&cx.cancel, || database.execute_batch("begin immediate"))?.map_err(failed)?;
        // The other modes may be repeated without harm.
        let ledger = self.settings.ledger && matches!(self.settings.mode, Mode::Append | Mode::Upsert | Mode::Delete);
        if ledger && ledger::is_committed(&database, &cx.commit).map_err(failed)? {
            database.execute_batch("rollback").map_err(failed)?;
            while input.next_batch()?.is_some() {
                cx.cancel.check()?;
            }
            return Ok(Written { already_committed: true });
        }
        let columns = self.make_ready(&database, schema, &what)?;
        let reject = self.reject_file(cx)?;
        let statement = self.statement(&columns);
        let statement = database.prepare(&statement).map_err(|error| self.bad_statement(&error, &what))?;
        let mut writing = Writing::new(&what, cx, schema, columns, &database, statement, reject);
        while let Some(batch) = input.next_batch()? {
            cx.cancel.check()?;
            writing.batch(&batch)?;
        }
        let Writing { reject, row, .. } = writing;
        if ledger {
            ledger::commit(&database, &cx.commit, row, Clock::system().now()).map_err(failed)?;
        }
        cx.cancel.check()?;
        if let Some(reject) = reject {
            reject.finish()?;
        }
        patiently(&cx.cancel, || database.execute_batch("commit"))?.map_err(failed)?;
        Ok(Written::default())
    }

    pub(super) fn reject_file(&self, cx: &Context) -> Result<Option<RejectFile>, Error> {
        match (&self.settings.on_bad_row, &self.settings.reject_file) {
            (OnBadRow::Reject, Some(file)) => Ok(Some(RejectFile::create(&cx.site, file, &cx.commit)?)),
            _ => Ok(None),
        }
    }

    /// Makes or empties the table as the mode asks; gives the columns to write.
    pub(super) fn make_ready(&self, database: &Database, schema: &Schema, what: &str) -> Result<Vec<Target>, Error> {
        let failed = |error: rusqlite::Error| explain(&error, &format!("making {what} ready"));
        let name = quoted(&self.settings.table);
        for field in schema.fields() {
            if !Cell::takes(field.data_type()) {
                let why =
                    format!("column `{}` has the type {}, which {what} cannot keep", field.name(), field.data_type());
                return Err(Error::permanent(FailureKind::Input, "unsupported_type", why)
                    .advise("convert it in a transform step"));
            }
        }
        let mut known = table::columns(database, &self.settings.table).map_err(failed)?;
        if self.settings.mode == Mode::Replace && !known.is_empty() {
            database.execute_batch(&format!("drop table {name}")).map_err(failed)?;
            known.clear();
        }
        if known.is_empty() {
            if !self.settings.create && self.settings.mode != Mode::Replace {
                let why = format!("writing {what}: there is no such table");
                return Err(Error::permanent(FailureKind::Connector, "no_such_table", why)
                    .advise("correct `table`, or set `create: true` to make it from the incoming columns"));
            }
            let columns =
                schema.fields().iter().map(|field| format!("{} {}", quoted(field.name()), declaration(field)));
            let mut parts: Vec<String> = columns.collect();
            if !self.settings.key.is_empty() {
                parts.push(format!("primary key ({})", names(&self.settings.key)));
            }
            database.execute_batch(&format!("create table {name} ({})", parts.join(", "))).map_err(failed)?;
            known = table::columns(database, &self.settings.table).map_err(failed)?;
        } else if self.settings.mode == Mode::Truncate {
            database.execute_batch(&format!("delete from {name}")).map_err(failed)?;
        }
        self.targets(schema, &known, what)
    }

    fn targets(&self, schema: &Schema, known: &[table::TableColumn], what: &str) -> Result<Vec<Target>, Error> {
        let key = |name: &str| self.settings.key.iter().any(|key| key.eq_ignore_ascii_case(name));
        for name in &self.settings.key {
            if !schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name)) {
                let why = format!("writing {what}: the key column `{name}` is not among the incoming columns");
                return Err(Error::permanent(FailureKind::Input, "no_such_column", why).advise("correct `key`"));
            }
        }
        let mut targets = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            if self.settings.mode == Mode::Delete && !key(field.name()) {
                continue;
            }
            let Some(column) = known.iter().find(|column| column.name.eq_ignore_ascii_case(field.name())) else {
                let has = known.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
                let why = format!("writing {what}: it has no column `{}`; it has {has}", field.name());
                return Err(Error::permanent(FailureKind::Input, "no_such_column", why)
                    .advise("rename or leave out the column in a transform step, or add it to the table"));
            };
            let numeric = types::special(field) == Some("numeric");
            let keeping = Keeping { affinity: affinity(&column.declared), numeric };
            targets.push(Target { index, name: column.name.clone(), key: key(field.name()), keeping });
        }
        Ok(targets)
    }

    pub(super) fn statement(&self, columns: &[Target]) -> String {
        let table = quoted(&self.settings.table);
        if self.settings.mode == Mode::Delete {
            let parts =
                columns.iter().enumerate().map(|(index, column)| format!("{} = ?{}", quoted(&column.name), index + 1));
            return format!("delete from {table} where {}", parts.collect::<Vec<_>>().join(" and "));
        }
        let marks = (1..=columns.len()).map(|index| format!("?{index}")).collect::<Vec<_>>().join(", ");
        let all = columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ");
        let insert = format!("insert into {table} ({all}) values ({marks})");
        if self.settings.mode != Mode::Upsert {
            return insert;
        }
        let sets = columns
            .iter()
            .filter(|column| !column.key)
            .map(|column| format!("{0} = excluded.{0}", quoted(&column.name)));
        let sets: Vec<String> = sets.collect();
        let action = if sets.is_empty() { "nothing".to_owned() } else { format!("update set {}", sets.join(", ")) };
        format!("{insert} on conflict ({}) do {action}", names(&self.settings.key))
    }

    pub(super) fn bad_statement(&self, error: &rusqlite::Error, what: &str) -> Error {
        let text = message(error);
        let why = format!("writing {what}: {text}");
        let advice = if text.contains("ON CONFLICT") {
            format!(
                "make the key unique: `create unique index ... on {} ({})`",
                self.settings.table,
                self.settings.key.join(", ")
            )
        } else {
            "write to a table, not a view, whose columns can be set".to_owned()
        };
        Error::permanent(FailureKind::Connector, "bad_target", why).advise(advice)
    }
}

fn names(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// A column that is written.
pub(super) struct Target {
    /// Its place in the input.
    index: usize,
    name: String,
    key: bool,
    keeping: Keeping,
}

/// A row that the table does not take.
struct Refusal {
    column: Option<String>,
    why: String,
}

/// One writing step at work.
pub(super) struct Writing<'a, 'd> {
    what: &'a str,
    cx: &'a Context,
    schema: &'a SchemaRef,
    columns: Vec<Target>,
    database: &'d Database,
    statement: Statement<'d>,
    reject: Option<RejectFile>,
    row: u64,
    scratch: Vec<u8>,
}

impl<'a, 'd> Writing<'a, 'd> {
    pub(super) fn new(
        what: &'a str,
        cx: &'a Context,
        schema: &'a SchemaRef,
        columns: Vec<Target>,
        database: &'d Database,
        statement: Statement<'d>,
        reject: Option<RejectFile>,
    ) -> Self {
        Self { what, cx, schema, columns, database, statement, reject, row: 0, scratch: Vec::new() }
    }

    pub(super) fn into_reject(self) -> Option<RejectFile> {
        self.reject
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let schema = Arc::clone(self.schema);
        let cells = self
            .columns
            .iter()
            .filter_map(|column| Cell::new(schema.field(column.index), batch.column(column.index).as_ref()));
        let cells: Vec<Cell<'_>> = cells.collect();
        let mut rejected = 0;
        for row in 0..batch.num_rows() {
            self.row += 1;
            if let Err(refusal) = self.put(&cells, row)? {
                self.refused(batch, row, &refusal)?;
                rejected += 1;
            }
        }
        self.cx.progress.add_rows_out(batch.num_rows() as u64 - rejected);
        self.cx.progress.add_bytes(payload_bytes(batch) as u64);
        Ok(())
    }

    fn put(&mut self, cells: &[Cell<'_>], row: usize) -> Result<Result<(), Refusal>, Error> {
        for (index, (cell, target)) in cells.iter().zip(&self.columns).enumerate() {
            let refusal = |why: &str| Refusal { column: Some(target.name.clone()), why: why.to_owned() };
            if target.key && cell.is_null(row) {
                return Ok(Err(refusal("a key must have a value")));
            }
            if let Err(why) = bind(&mut self.statement, index + 1, cell, row, target.keeping, &mut self.scratch) {
                return Ok(Err(refusal(why)));
            }
        }
        match self.statement.raw_execute() {
            Ok(_) => Ok(Ok(())),
            Err(error) => match error.sqlite_error_code() {
                // A constraint of the table may take back the whole transaction, all earlier rows with it.
                _ if self.database.is_autocommit() => {
                    let why = format!(
                        "writing {}, row {}: {}; the table's constraint took all rows back (`on conflict rollback`)",
                        self.what,
                        self.row,
                        message(&error)
                    );
                    Err(Error::permanent(FailureKind::Output, "bad_value", why).advise(
                        "mend the row before it is written, or make the constraint one that does not roll back",
                    ))
                }
                Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
                    Ok(Err(constraint(&error)))
                }
                _ => Err(explain(&error, &format!("writing {}, row {}", self.what, self.row))),
            },
        }
    }

    fn refused(&mut self, batch: &RecordBatch, row: usize, refusal: &Refusal) -> Result<(), Error> {
        let values = row_values(batch, row);
        if let Some(reject) = &mut self.reject {
            self.cx.progress.add_rows_rejected(1);
            return reject.reject(self.row, refusal.column.as_deref(), &refusal.why, &values);
        }
        let at = match &refusal.column {
            Some(column) => {
                let value = values
                    .as_object()
                    .and_then(|values| values.iter().find(|(name, _)| name.eq_ignore_ascii_case(column)));
                let value = value.map_or_else(
                    || "NULL".to_owned(),
                    |(_, value)| value.as_str().map_or_else(|| "NULL".to_owned(), cut),
                );
                format!("row {}, column `{column}`, value `{value}`", self.row)
            }
            None => format!("row {}", self.row),
        };
        let why = format!("writing {}: {at}: {}", self.what, refusal.why);
        Err(Error::permanent(FailureKind::Output, "bad_value", why)
            .advise("mend the row before it is written, or set `on_bad_row: reject` and a `reject_file`"))
    }
}

/// `NOT NULL constraint failed: orders.price` names the column behind the dot.
fn constraint(error: &rusqlite::Error) -> Refusal {
    let why = message(error);
    let column = why.rsplit_once(": ").map(|(_, names)| names).filter(|names| !names.contains(','));
    let column = column.and_then(|name| name.rsplit_once('.')).map(|(_, column)| column.to_owned());
    Refusal { column, why }
}
