//! Rows of a text file on their way to the step's output.

use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use sallyport_dataplane::Output;
use sallyport_protocol::{Checkpoint, FailureKind};
use serde_json::json;

use super::csv::Flaw;
use super::feed::{RECORD_BYTES_MAX, Stop};
use super::settings::ColumnSpec;
use crate::reject::{RejectFile, cut};
use crate::settings::invalid;
use crate::text::column::Column;
use crate::text::types;
use crate::{Context, Error};

const BATCH_ROWS_MAX: usize = 16 * 1024;

/// Text that goes into one batch; the values take about as much.
const BATCH_BYTES_MAX: usize = 2 << 20;

/// Columns of one file: more is a file of another kind.
pub(super) const COLUMNS_MAX: usize = 10_000;

/// What a reject file shows of a row.
const RAW_BYTES_MAX: usize = 8 * 1024;

/// Collects rows and sends them in batches.
pub(super) struct Rows<'a> {
    pub(super) columns: Vec<Column>,
    schema: SchemaRef,
    rows: usize,
    bytes: usize,
    /// Rows of all files so far.
    number: u64,
    /// Rows of this batch that were put aside: filled up with nulls, and left out when it is sent.
    rejected: Vec<usize>,
    reject: Option<&'a mut RejectFile>,
    output: &'a mut Output,
    cx: &'a Context,
}

/// A row that cannot be read.
pub(super) struct BadRow<'a> {
    pub(super) file: &'a str,
    pub(super) line: u64,
    pub(super) column: Option<&'a str>,
    pub(super) reason: &'a str,
    /// The row as it stands in the file.
    pub(super) raw: &'a [u8],
}

impl<'a> Rows<'a> {
    /// Starts the output; rows that cannot be read go to `reject`, if it is given.
    pub(super) fn start(
        schema: &SchemaRef,
        reject: Option<&'a mut RejectFile>,
        output: &'a mut Output,
        cx: &'a Context,
    ) -> Result<Self, Error> {
        let columns = schema.fields().iter().map(|field| {
            Column::new(field)
                .ok_or_else(|| invalid("columns", format!("`{}` has a type that text has no form for", field.name())))
        });
        let columns = columns.collect::<Result<_, _>>()?;
        output.start(schema)?;
        let schema = Arc::clone(schema);
        Ok(Self { columns, schema, rows: 0, bytes: 0, number: 0, rejected: Vec::new(), reject, output, cx })
    }

    /// A row of so many bytes of text has been pushed to the columns.
    #[inline]
    pub(super) fn row(&mut self, bytes: usize) -> Result<(), Error> {
        self.rows += 1;
        self.number += 1;
        self.bytes += bytes;
        if self.rows >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    /// Puts a row aside of which some columns may have a value (or a null in its place) already; fails with `error`
    /// where rows are not put aside.
    pub(super) fn bad(&mut self, row: &BadRow<'_>, error: impl FnOnce() -> Error) -> Result<(), Error> {
        let Some(reject) = &mut self.reject else { return Err(error()) };
        let raw = cut(String::from_utf8_lossy(&row.raw[..row.raw.len().min(RAW_BYTES_MAX)]).trim_end());
        let values = json!({"file": row.file, "line": row.line, "text": raw});
        reject.reject(self.number + 1, row.column, row.reason, &values)?;
        self.cx.progress.add_rows_rejected(1);
        for column in &mut self.columns {
            if column.len() == self.rows {
                column.push_null();
            }
        }
        self.rejected.push(self.rows);
        self.row(row.raw.len())
    }

    /// All rows up to this checkpoint were given.
    pub(super) fn mark(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.flush()?;
        Ok(self.output.mark(checkpoint)?)
    }

    /// Sends what is there.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.cx.cancel.check()?;
        if self.rows == 0 {
            return Ok(());
        }
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| Error::permanent(FailureKind::Runtime, "batch", format!("building a batch: {error}")))?;
        let batch = if self.rejected.is_empty() { batch } else { self.without_rejected(&batch)? };
        self.rows = 0;
        self.bytes = 0;
        self.rejected.clear();
        if batch.num_rows() > 0 {
            self.output.send(batch)?;
        }
        Ok(())
    }
}

impl Rows<'_> {
    fn without_rejected(&self, batch: &RecordBatch) -> Result<RecordBatch, Error> {
        let mut kept = vec![true; batch.num_rows()];
        self.rejected.iter().for_each(|row| kept[*row] = false);
        filter_record_batch(batch, &BooleanArray::from(kept)).map_err(|error| {
            Error::permanent(FailureKind::Runtime, "batch", format!("leaving out rejected rows: {error}"))
        })
    }
}

/// The fields that a task's `columns` name.
pub(super) fn fields(columns: &[ColumnSpec]) -> Result<Vec<Field>, Error> {
    let mut fields: Vec<Field> = Vec::with_capacity(columns.len());
    for column in columns {
        let field = types::field(&column.name, &column.r#type).ok_or_else(|| {
            let why = format!(
                "column `{}` has the unknown type `{}`; known are {}",
                column.name,
                column.r#type,
                types::WORDS
            );
            invalid("columns", why)
        })?;
        if fields.iter().any(|other| other.name() == field.name()) {
            return Err(invalid("columns", format!("column `{}` is named twice", column.name)));
        }
        fields.push(field);
    }
    if fields.is_empty() { Err(invalid("columns", "names no column")) } else { Ok(fields) }
}

/// The schema of fields.
pub(super) fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

/// A record that cannot be read.
pub(super) fn flawed(file: &str, line: u64, flaw: &Flaw) -> Error {
    match flaw {
        Flaw::Stop(Stop::Cancelled) => Error::Cancelled,
        Flaw::Stop(Stop::TooLarge) => {
            let why = format!(
                "file `{file}`, line {line}: the record is larger than {} MiB",
                RECORD_BYTES_MAX / (1024 * 1024)
            );
            Error::permanent(FailureKind::Input, "value_too_large", why)
                .advise("look for a quote that is never closed at that line, or split the value")
        }
        Flaw::Stop(Stop::Io(error)) => {
            let why = format!("reading file `{file}` near line {line}: {error}");
            let code = if error.kind() == std::io::ErrorKind::InvalidData { "malformed_file" } else { "read_failed" };
            Error::permanent(FailureKind::Connector, code, why)
                .advise("check `encoding` and `compression`, and that the file is complete")
        }
        Flaw::Malformed { column, why } => malformed(file, line, &format!("value {}: {why}", column + 1))
            .advise("check `delimiter`, `quote` and `escape`, or mend the line"),
    }
}

/// A line that is not what the format says.
pub(super) fn malformed(file: &str, line: u64, what: &str) -> Error {
    Error::permanent(FailureKind::Input, "malformed_row", format!("file `{file}`, line {line}: {what}"))
}

/// The file has more columns than any table.
pub(super) fn too_wide(file: &str, line: u64) -> Error {
    malformed(file, line, &format!("it has more than {COLUMNS_MAX} columns"))
        .advise("check `delimiter` and `quote`, and that the file is what it should be")
}

/// A value that does not fit its column.
pub(super) fn bad_value(file: &str, line: u64, column: &str, value: &[u8], reason: &str) -> Error {
    let shown = cut(&String::from_utf8_lossy(&value[..value.len().min(200)]));
    let why = format!("file `{file}`, line {line}, column `{column}`, value `{shown}`: {reason}");
    Error::permanent(FailureKind::Input, "bad_value", why)
        .advise("mend the file, or name the column's type in `columns` (with `text` every value fits)")
}
