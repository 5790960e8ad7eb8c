//! Reads Parquet files, row group by row group.

use std::sync::Arc;

use arrow_array::builder::IntervalMonthDayNanoBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::IntervalMonthDayNano;
use arrow_schema::{ArrowError, DataType, Field, IntervalUnit, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sallyport_dataplane::{Mapping, Output};
use sallyport_protocol::FailureKind;

use super::locate::Located;
use super::read::{Files, described};
use crate::text::{parse, types};
use crate::{Context, Error, large};

/// Memory that one batch aims at.
const BATCH_BYTES: i64 = 4 << 20;

pub(super) fn read(files: &Files<'_>, output: &mut Output, cx: &Context) -> Result<(), Error> {
    let mut expected: Option<SchemaRef> = None;
    for file in files.list {
        let builder = open(files, file)?;
        let schema = Arc::clone(builder.schema());
        let mapping = Mapping::of(&schema).map_err(|unmapped| {
            let why = format!("file `{}`: {unmapped}", file.shown);
            Error::permanent(FailureKind::Input, "unsupported_type", why)
                .advise("flatten the column before it is written")
        })?;
        let given = given_schema(mapping.schema());
        match &expected {
            None => {
                output.start(&given)?;
                expected = Some(given);
            }
            Some(expected) if *expected != given => {
                let (this, first) = (described(&given), described(expected));
                let why = format!("file `{}` has the columns {this}; the first file has {first}", file.shown);
                return Err(Error::permanent(FailureKind::Input, "schema_differs", why)
                    .advise("files of one pattern must have the same columns"));
            }
            Some(_) => {}
        }
        read_file(builder, file, &mapping, output, cx)?;
    }
    Ok(())
}

type Builder = ParquetRecordBatchReaderBuilder<std::fs::File>;

fn open(files: &Files<'_>, file: &Located) -> Result<Builder, Error> {
    let handle = files.open(file)?;
    ParquetRecordBatchReaderBuilder::try_new(handle).map_err(|error| unreadable(file, &error))
}

fn read_file(
    builder: Builder,
    file: &Located,
    mapping: &Mapping,
    output: &mut Output,
    cx: &Context,
) -> Result<(), Error> {
    let (rows, bytes, packed) =
        builder.metadata().row_groups().iter().fold((0, 0, 0), |(rows, bytes, packed), group| {
            (rows + group.num_rows(), bytes + group.total_byte_size(), packed + group.compressed_size())
        });
    // Names and sizes come from the file: they may be anything.
    let row_bytes = (bytes.max(1) / rows.max(1)).max(1);
    let batch_rows = usize::try_from(BATCH_BYTES / row_bytes).unwrap_or(1).clamp(16, 16 * 1024);
    let reader = builder.with_batch_size(batch_rows).build().map_err(|error| unreadable(file, &error))?;
    let mut row = 0_u64;
    for batch in reader {
        cx.cancel.check()?;
        let batch = batch.map_err(|error| unreadable(file, &error))?;
        let batch = mapping.apply(&batch).map_err(|error| unreadable(file, &error))?;
        large::refuse(&batch, &format!("file `{}`", file.shown), row)?;
        let batch = given_batch(&batch).map_err(|error| unreadable(file, &error))?;
        let count = batch.num_rows() as u64;
        row += count;
        cx.progress.add_bytes(share(packed, count, rows));
        output.send(batch)?;
    }
    Ok(())
}

/// Intervals are kept as text that says what it is (Parquet has no type for them); they are given as what they were.
fn given_schema(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match types::special(field) {
        Some("interval") => Field::new(field.name(), DataType::Interval(IntervalUnit::MonthDayNano), true),
        _ => field.as_ref().clone(),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn given_batch(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = given_schema(&batch.schema());
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        match (column.data_type(), field.data_type()) {
            (DataType::Utf8, DataType::Interval(_)) => intervals(column),
            _ => Ok(Arc::clone(column)),
        }
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect::<Result<_, _>>()?)
}

fn intervals(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let mut builder = IntervalMonthDayNanoBuilder::new();
    for text in column.as_string::<i32>() {
        let Some(text) = text else {
            builder.append_null();
            continue;
        };
        let (months, days, nanos) = parse::interval(text.as_bytes())
            .ok_or_else(|| ArrowError::ParseError(format!("`{text}` is not an ISO 8601 interval")))?;
        builder.append_value(IntervalMonthDayNano::new(months, days, nanos));
    }
    Ok(Arc::new(builder.finish()))
}

/// The bytes of the file that these rows stand for.
fn share(bytes: i64, count: u64, rows: i64) -> u64 {
    let share = i128::from(bytes) * i128::from(count) / i128::from(rows.max(1));
    u64::try_from(share).unwrap_or(0)
}

fn unreadable(file: &Located, error: &dyn std::fmt::Display) -> Error {
    Error::permanent(FailureKind::Input, "malformed_file", format!("reading Parquet file `{}`: {error}", file.shown))
        .advise("check that the file is complete and that it is Parquet")
}
