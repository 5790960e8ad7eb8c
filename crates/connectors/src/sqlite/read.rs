//! Reads a table or a query in one read transaction.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use rusqlite::types::ValueRef;
use rusqlite::{Connection as Database, Row, Rows, Statement};
use sallyport_dataplane::Output;
use sallyport_protocol::FailureKind;

use super::declared;
use super::open::{Access, explain, locate, message, open, patiently, quoted};
use super::read_incremental::CursorRows;
use super::settings::{Connection, Read};
use crate::incremental::{self, Lower};
use crate::reject::cut;
use crate::text::column::{Column, NotA};
use crate::text::{format, types};
use crate::{Context, Error, Source, VALUE_BYTES_MAX};

const BATCH_ROWS_MAX: usize = 16 * 1024;
const BATCH_BYTES_MAX: usize = 4 << 20;

/// Rows that tell the type of a column that is not declared.
const SAMPLE_ROWS: usize = 1000;

/// A step that reads.
pub(super) struct SqliteSource {
    pub(super) connection: Connection,
    pub(super) settings: Read,
}

impl Source for SqliteSource {
    fn read(self: Box<Self>, output: &mut Output, cx: &Context) -> Result<(), Error> {
        let lower = match &self.settings.incremental {
            Some(cursor) => Some((cursor, Lower::await_word(cursor.start.as_ref(), output, cx)?)),
            None => None,
        };
        let path = locate(&self.connection, &cx.site, Access::Read)?;
        let database = open(&path, Access::Read, &cx.cancel)?;
        let what = match &self.settings.table {
            Some(table) => format!("table `{table}` of `{}`", path.display()),
            None => format!("the query on `{}`", path.display()),
        };
        let reading = Reading { what: &what, cx };
        database.execute_batch("begin").map_err(|error| reading.failed(&error))?;
        // Takes the lock that the transaction reads under.
        patiently(&cx.cancel, || database.query_row("select count(*) from sqlite_schema", [], |_| Ok(())))?
            .map_err(|error| reading.failed(&error))?;
        if let Some((cursor, lower)) = lower {
            let rows = CursorRows::new(&reading, &database, &self.settings, cursor)?;
            output.start(&rows.schema)?;
            return incremental::Reading { rows: &rows, what: &what, cursor, cx }.read(&lower, output);
        }
        let (mut statement, keyed) = reading.prepare(&database, &self.settings)?;
        let schema = reading.schema(&mut statement, keyed)?;
        output.start(&schema)?;
        reading.rows(statement.raw_query(), &schema, keyed, &mut |batch| Ok(output.send(batch)?))
    }
}

/// One reading step's surroundings.
pub(super) struct Reading<'a> {
    pub(super) what: &'a str,
    pub(super) cx: &'a Context,
}

impl Reading<'_> {
    /// The statement that gives the rows, as it goes into parentheses.
    pub(super) fn rows_of(&self, database: &Database, settings: &Read) -> Result<String, Error> {
        let Some(table) = &settings.table else {
            let query = settings.query.as_deref().unwrap_or_default();
            let bare = query.trim().trim_end_matches(|letter: char| letter == ';' || letter.is_whitespace());
            return Ok(format!("{bare}\n"));
        };
        let columns = settings.columns.as_deref().unwrap_or_default();
        self.check_columns(database, table, columns)?;
        let names = columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
        let names = if names.is_empty() { "*" } else { names.as_str() };
        let condition =
            settings.r#where.as_ref().map(|condition| format!(" where ({condition}\n)")).unwrap_or_default();
        Ok(format!("select {names} from {}{condition}", quoted(table)))
    }

    /// The statement, and whether its last column is the row's id, there for messages alone.
    fn prepare<'d>(&self, database: &'d Database, settings: &Read) -> Result<(Statement<'d>, bool), Error> {
        let Some(table) = &settings.table else {
            let query = settings.query.as_deref().unwrap_or_default();
            // Asked before SQLite sees it: a `pragma` may take effect while it is prepared, for the whole process.
            if !is_query(query) {
                return Err(self.no_query());
            }
            let statement = database.prepare(query);
            let statement = statement.map_err(|error| self.bad_query(&error))?;
            if statement.column_count() == 0 || !statement.readonly() {
                return Err(self.no_query());
            }
            return Ok((statement, false));
        };
        let columns = match &settings.columns {
            Some(columns) => columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", "),
            None => "*".to_owned(),
        };
        // A quoted name that is no column would be taken for a text: ask the table first.
        self.check_columns(database, table, settings.columns.as_deref().unwrap_or_default())?;
        let condition =
            settings.r#where.as_ref().map(|condition| format!(" where ({condition}\n)")).unwrap_or_default();
        let from = format!("from {}{condition}", quoted(table));
        // Views and tables without row ids refuse the first form.
        if let Ok(statement) = database.prepare(&format!("select {columns}, rowid {from}")) {
            return Ok((statement, true));
        }
        let statement =
            database.prepare(&format!("select {columns} {from}")).map_err(|error| self.bad_query(&error))?;
        if statement.readonly() {
            Ok((statement, false))
        } else {
            Err(crate::settings::invalid("where", "changes the database"))
        }
    }

    fn check_columns(&self, database: &Database, table: &str, columns: &[String]) -> Result<(), Error> {
        let known = super::table::columns(database, table).map_err(|error| self.failed(&error))?;
        if known.is_empty() {
            let why = format!("{}: there is no such table or view", self.what);
            return Err(Error::permanent(FailureKind::Connector, "no_such_table", why).advise("correct `table`"));
        }
        for column in columns {
            if !known.iter().any(|known| known.name.eq_ignore_ascii_case(column)) {
                let names = known.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
                let why = format!("{} has no column `{column}`; it has {names}", self.what);
                return Err(Error::permanent(FailureKind::Connector, "no_such_column", why).advise("correct `columns`"));
            }
        }
        Ok(())
    }

    pub(super) fn schema(&self, statement: &mut Statement<'_>, keyed: bool) -> Result<SchemaRef, Error> {
        let count = statement.column_count() - usize::from(keyed);
        let declared: Vec<(String, Option<Field>)> = statement
            .columns()
            .take(count)
            .map(|column| (column.name().to_owned(), declared::field(column.name(), column.decl_type())))
            .collect();
        let mut kinds = vec![Kinds::default(); count];
        if declared.iter().any(|(_, field)| field.is_none()) {
            let mut rows = statement.raw_query();
            for _ in 0..SAMPLE_ROWS {
                let Some(row) = rows.next().map_err(|error| self.failed(&error))? else { break };
                for (index, kinds) in kinds.iter_mut().enumerate() {
                    kinds.see(value(row, index));
                }
            }
        }
        let fields =
            declared.into_iter().zip(&kinds).map(|((name, field), kinds)| field.unwrap_or_else(|| kinds.field(&name)));
        Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }

    pub(super) fn rows(
        &self,
        mut rows: Rows<'_>,
        schema: &SchemaRef,
        keyed: bool,
        give: &mut dyn FnMut(RecordBatch) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut columns: Vec<Column> = schema.fields().iter().filter_map(|field| Column::new(field)).collect();
        let (mut count, mut bytes, mut number) = (0_usize, 0_usize, 0_u64);
        loop {
            let row = rows.next().map_err(|error| self.failed(&error))?;
            if count > 0 && (row.is_none() || count >= BATCH_ROWS_MAX || bytes >= BATCH_BYTES_MAX) {
                self.cx.cancel.check()?;
                let arrays = columns.iter_mut().map(Column::finish).collect();
                let batch = RecordBatch::try_new(Arc::clone(schema), arrays);
                give(batch.map_err(|error| Error::permanent(FailureKind::Runtime, "batch", error.to_string()))?)?;
                self.cx.progress.add_bytes(bytes as u64);
                (count, bytes) = (0, 0);
            }
            let Some(row) = row else { return Ok(()) };
            number += 1;
            for (index, column) in columns.iter_mut().enumerate() {
                let value = value(row, index);
                let size = length(value);
                let pushed = if size > VALUE_BYTES_MAX { Err(None) } else { push(column, value).map_err(Some) };
                pushed.map_err(|not| self.bad_value(schema, index, row, keyed, number, not))?;
                bytes += size;
            }
            count += 1;
        }
    }

    fn bad_value(
        &self,
        schema: &Schema,
        index: usize,
        row: &Row<'_>,
        keyed: bool,
        number: u64,
        not: Option<NotA>,
    ) -> Error {
        let column = schema.field(index).name();
        let at = match keyed.then(|| value(row, schema.fields().len())) {
            Some(ValueRef::Integer(rowid)) => format!("rowid {rowid}"),
            _ => format!("row {number}"),
        };
        let at = format!("{}, {at}, column `{column}`", self.what);
        let Some(not) = not else {
            let why = format!("{at}: the value is larger than {} MiB", VALUE_BYTES_MAX / (1024 * 1024));
            return Error::permanent(FailureKind::Input, "value_too_large", why)
                .advise("leave the column out, or cut the value in a `query`");
        };
        let why = format!("{at}: `{}` is not {}", shown(value(row, index)), not.0);
        Error::permanent(FailureKind::Input, "bad_value", why)
            .advise("mend the row, or read with a `query` that casts the column, such as `cast(x as text) as x`")
    }

    fn no_query(&self) -> Error {
        let why = format!("{}: it gives no rows or changes the database", self.what);
        Error::permanent(FailureKind::Connector, "bad_query", why)
            .advise("write one `select`, which may begin with `with` or `values`")
    }

    pub(super) fn bad_query(&self, error: &rusqlite::Error) -> Error {
        let why = format!("{}: {}", self.what, message(error));
        Error::permanent(FailureKind::Connector, "bad_query", why).advise("correct the step's SQL")
    }

    pub(super) fn failed(&self, error: &rusqlite::Error) -> Error {
        explain(error, &format!("reading {}", self.what))
    }
}

/// Whether the first word is one that only reads.
fn is_query(sql: &str) -> bool {
    let mut rest = sql.trim_start();
    loop {
        let comment = if let Some(line) = rest.strip_prefix("--") {
            line.split_once('\n')
        } else if let Some(block) = rest.strip_prefix("/*") {
            block.split_once("*/")
        } else {
            break;
        };
        rest = comment.map_or("", |(_, after)| after.trim_start());
    }
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    ["select", "with", "values"].iter().any(|word| rest[..end].eq_ignore_ascii_case(word))
}

fn value<'r>(row: &'r Row<'_>, index: usize) -> ValueRef<'r> {
    row.get_ref(index).unwrap_or(ValueRef::Null)
}

fn length(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
        _ => 8,
    }
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Real(value) => value.to_string(),
        ValueRef::Text(bytes) => cut(&String::from_utf8_lossy(&bytes[..bytes.len().min(1000)])),
        ValueRef::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
    }
}

/// Adds a value of any storage class to a column, if it can be one of the column's type.
fn push(column: &mut Column, value: ValueRef<'_>) -> Result<(), NotA> {
    match (&mut *column, value) {
        (_, ValueRef::Null) => column.push_null(),
        (Column::Int64(builder), ValueRef::Integer(value)) => builder.append_value(value),
        (Column::Float64(builder), ValueRef::Real(value)) => builder.append_value(value),
        (Column::Text(builder), ValueRef::Text(text)) => match std::str::from_utf8(text) {
            Ok(text) => builder.append_value(text),
            Err(_) => return Err(NotA("text in UTF-8".to_owned())),
        },
        (Column::Binary(builder), ValueRef::Blob(bytes) | ValueRef::Text(bytes)) => builder.append_value(bytes),
        (Column::Uuid(builder), ValueRef::Blob(bytes)) if bytes.len() == 16 => {
            return builder.append_value(bytes).map_err(|_| NotA("a uuid".to_owned()));
        }
        (Column::Boolean(builder), ValueRef::Integer(value @ 0..=1)) => builder.append_value(value == 1),
        (Column::Json(_), ValueRef::Integer(_) | ValueRef::Real(_)) => return push_number(column, value),
        (
            Column::Text(_) | Column::Decimal(..) | Column::Float64(_) | Column::Numeric(_),
            ValueRef::Integer(_) | ValueRef::Real(_),
        ) => {
            return push_number(column, value);
        }
        (_, ValueRef::Text(text)) => return column.push(text),
        _ => return Err(column.not_a()),
    }
    Ok(())
}

/// Adds a number by its text: exact, or not at all.
fn push_number(column: &mut Column, value: ValueRef<'_>) -> Result<(), NotA> {
    let mut text = Vec::with_capacity(24);
    match value {
        ValueRef::Integer(value) => {
            if let Column::Float64(builder) = column {
                let double = value as f64;
                if double as i128 != i128::from(value) {
                    return Err(NotA("a number that a double holds".to_owned()));
                }
                builder.append_value(double);
                return Ok(());
            }
            format::int(value, &mut text);
        }
        ValueRef::Real(value) => format::float64(value, &mut text),
        _ => {}
    }
    column.push(&text)
}

/// The storage classes seen in a column.
#[derive(Clone, Copy, Debug, Default)]
struct Kinds {
    integers: bool,
    reals: bool,
    texts: bool,
    blobs: bool,
}

impl Kinds {
    fn see(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => {}
            ValueRef::Integer(_) => self.integers = true,
            ValueRef::Real(_) => self.reals = true,
            ValueRef::Text(_) => self.texts = true,
            ValueRef::Blob(_) => self.blobs = true,
        }
    }

    fn field(self, name: &str) -> Field {
        let word = match (self.integers, self.reals, self.texts, self.blobs) {
            (true, false, false, false) => "bigint",
            (_, true, false, false) => "double",
            (false, false, _, true) => "bytea",
            _ => "text",
        };
        types::field(name, word).unwrap_or_else(|| Field::new(name, arrow_schema::DataType::Utf8, true))
    }
}
