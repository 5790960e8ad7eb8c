//! Reads Parquet files, row group by row group.

use std::fs::File;
use std::sync::Arc;

use arrow_array::builder::IntervalMonthDayNanoBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::IntervalMonthDayNano;
use arrow_schema::{ArrowError, DataType, Field, IntervalUnit, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use sallyport_dataplane::{Mapping, Output};
use sallyport_protocol::FailureKind;

use super::locate::Located;
use super::read::{Files, described};
use crate::text::{parse, types};
use crate::{Context, Error, large};

/// Memory that one batch aims at.
const BATCH_BYTES: i64 = 4 << 20;

pub(super) fn read(files: &mut Files<'_>, output: &mut Output, cx: &Context) -> Result<(), Error> {
    let mut expected: Option<SchemaRef> = None;
    if let (true, Some(sample)) = (files.list.is_empty(), files.sample) {
        let (_, _, mapping) = opened(files, sample)?;
        output.start(&given_schema(mapping.schema()))?;
    }
    for file in files.list {
        let (handle, metadata, mapping) = opened(files, file)?;
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
        let mut reading = Reading { file, mapping: &mapping, row: 0, output, cx };
        reading.groups(&handle, &metadata)?;
        if let Some(checkpoint) = files.done(file)? {
            output.mark(&checkpoint)?;
        }
    }
    Ok(())
}

fn opened(files: &Files<'_>, file: &Located) -> Result<(File, ArrowReaderMetadata, Mapping), Error> {
    let handle = files.open(file)?;
    let metadata = open(&handle).map_err(|error| unreadable(file, &error))?;
    let mapping = Mapping::of(metadata.schema()).map_err(|unmapped| {
        let why = format!("file `{}`: {unmapped}", file.shown);
        Error::permanent(FailureKind::Input, "unsupported_type", why).advise("flatten the column before it is written")
    })?;
    Ok((handle, metadata, mapping))
}

fn open(handle: &File) -> Result<ArrowReaderMetadata, ParquetError> {
    let metadata = ArrowReaderMetadata::load(handle, ArrowReaderOptions::new())?;
    let fields = metadata.schema().fields().iter().map(|field| viewed(field)).collect::<Vec<_>>();
    let schema = Schema::new_with_metadata(fields, metadata.schema().metadata().clone());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)
}

/// The field with views in place of texts and bytes: a dictionary's value is then held once, however many rows have it.
fn viewed(field: &Field) -> Field {
    let child = |item: &Arc<Field>| Arc::new(viewed(item));
    let data_type = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, values) => match values.as_ref() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8View,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::BinaryView,
            _ => field.data_type().clone(),
        },
        DataType::List(item) => DataType::List(child(item)),
        DataType::LargeList(item) => DataType::LargeList(child(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(child(item), *length),
        other => other.clone(),
    };
    field.clone().with_data_type(data_type)
}

/// One file on its way to the output.
struct Reading<'a> {
    file: &'a Located,
    mapping: &'a Mapping,
    /// Rows so far.
    row: u64,
    output: &'a mut Output,
    cx: &'a Context,
}

impl Reading<'_> {
    /// Row group by row group: each tells by itself how many of its rows make a batch.
    fn groups(&mut self, handle: &File, metadata: &ArrowReaderMetadata) -> Result<(), Error> {
        for (index, group) in metadata.metadata().row_groups().iter().enumerate() {
            // Sizes come from the file: they may be anything.
            let row_bytes = (group.total_byte_size().max(1) / group.num_rows().max(1)).max(1);
            let batch_rows = usize::try_from(BATCH_BYTES / row_bytes).unwrap_or(1).clamp(16, 16 * 1024);
            let handle = handle.try_clone().map_err(|error| unreadable(self.file, &error))?;
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(handle, metadata.clone());
            let reader = builder.with_row_groups(vec![index]).with_batch_size(batch_rows).build();
            for batch in reader.map_err(|error| unreadable(self.file, &error))? {
                let batch = batch.map_err(|error| unreadable(self.file, &error))?;
                self.batch(&batch, group.compressed_size(), group.num_rows())?;
            }
        }
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, packed: i64, rows: i64) -> Result<(), Error> {
        let file = self.file;
        for part in large::parts(batch, &format!("file `{}`", file.shown), self.row)? {
            self.cx.cancel.check()?;
            let part = self.mapping.apply(&part).map_err(|error| unreadable(file, &error))?;
            let part = given_batch(&part).map_err(|error| unreadable(file, &error))?;
            let count = part.num_rows() as u64;
            self.row += count;
            self.cx.progress.add_bytes(share(packed, count, rows));
            self.output.send(part)?;
        }
        Ok(())
    }
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
