//! Rows of a text file on their way to the step's output.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use sallyport_dataplane::Output;
use sallyport_protocol::FailureKind;

use super::csv::Flaw;
use super::feed::{RECORD_BYTES_MAX, Stop};
use super::settings::ColumnSpec;
use crate::reject::cut;
use crate::settings::invalid;
use crate::text::column::{Column, NotA};
use crate::text::types;
use crate::{Context, Error};

const BATCH_ROWS_MAX: usize = 16 * 1024;

/// Text that goes into one batch; the values take about as much.
const BATCH_BYTES_MAX: usize = 2 << 20;

/// Collects rows and sends them in batches.
pub(super) struct Rows<'a> {
    pub(super) columns: Vec<Column>,
    schema: SchemaRef,
    rows: usize,
    bytes: usize,
    output: &'a mut Output,
    cx: &'a Context,
}

impl<'a> Rows<'a> {
    /// Starts the output.
    pub(super) fn start(schema: &SchemaRef, output: &'a mut Output, cx: &'a Context) -> Result<Self, Error> {
        let columns = schema.fields().iter().map(|field| {
            Column::new(field)
                .ok_or_else(|| invalid("columns", format!("`{}` has a type that text has no form for", field.name())))
        });
        let columns = columns.collect::<Result<_, _>>()?;
        output.start(schema)?;
        Ok(Self { columns, schema: Arc::clone(schema), rows: 0, bytes: 0, output, cx })
    }

    /// A row of so many bytes of text has been pushed to the columns.
    #[inline]
    pub(super) fn row(&mut self, bytes: usize) -> Result<(), Error> {
        self.rows += 1;
        self.bytes += bytes;
        if self.rows >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES_MAX { self.flush() } else { Ok(()) }
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
        self.rows = 0;
        self.bytes = 0;
        self.output.send(batch)?;
        Ok(())
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

/// A value that does not fit its column.
pub(super) fn bad_value(file: &str, line: u64, column: &str, value: &[u8], not: &NotA) -> Error {
    let shown = cut(&String::from_utf8_lossy(&value[..value.len().min(200)]));
    let why = format!("file `{file}`, line {line}, column `{column}`: `{shown}` is not {}", not.0);
    Error::permanent(FailureKind::Input, "bad_value", why)
        .advise("mend the file, or name the column's type in `columns` (with `text` every value fits)")
}
