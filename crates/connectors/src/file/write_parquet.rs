//! Writes Parquet, in row groups of bounded memory.

use std::io::{self, BufWriter};
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{self, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use sallyport_dataplane::{Input, TYPE_KEY};
use sallyport_protocol::FailureKind;

use super::outflow::{Contents, Counted, Counting};
use super::settings::Compression;
use crate::part::{PartFile, write_failed};
use crate::text::cell::Cell;
use crate::{Context, Error};

/// A row group is ended when the writer holds so much: large enough for readers, small enough for an agent's memory.
const ROW_GROUP_BYTES: usize = 32 << 20;

const ROW_GROUP_ROWS: usize = 1 << 20;

pub(super) fn write(
    input: &mut Input,
    schema: &SchemaRef,
    part: &PartFile,
    compression: Compression,
    counting: Counting,
    cx: &Context,
) -> Result<Contents, Error> {
    let failed = |error: ParquetError| parquet_failed(part, error);
    let stored = stored_schema(schema)?;
    let file = Counted::new(part.writer()?, counting);
    let file = BufWriter::with_capacity(1 << 20, file);
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&stored), Some(properties(compression))).map_err(failed)?;
    while let Some(batch) = input.next_batch()? {
        cx.cancel.check()?;
        writer.write(&stored_batch(&batch, &stored)?).map_err(failed)?;
        if writer.memory_size() > ROW_GROUP_BYTES {
            writer.flush().map_err(failed)?;
        }
        cx.progress.add_rows_out(batch.num_rows() as u64);
    }
    let file = writer.into_inner().map_err(failed)?;
    let written = file.into_inner().map_err(io::IntoInnerError::into_error).and_then(Counted::finish);
    written.map_err(|error| write_failed(part.path(), &error))
}

fn properties(compression: Compression) -> WriterProperties {
    let compression = match compression {
        Compression::None => basic::Compression::UNCOMPRESSED,
        Compression::Gzip => basic::Compression::GZIP(basic::GzipLevel::default()),
        Compression::Zstd => basic::Compression::ZSTD(ZstdLevel::default()),
        Compression::Snappy => basic::Compression::SNAPPY,
    };
    WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // Readers skip row groups by these; statistics of every page cost more than they give.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("sallyport ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}

/// Parquet has no interval of months, days and nanoseconds: it is kept as ISO 8601 text that says what it is.
fn stored_schema(schema: &Schema) -> Result<SchemaRef, Error> {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Interval(_) => {
            let mut metadata = field.metadata().clone();
            metadata.insert(TYPE_KEY.to_owned(), "interval".to_owned());
            Ok(Field::new(field.name(), DataType::Utf8, true).with_metadata(metadata))
        }
        DataType::List(item) if matches!(item.data_type(), DataType::Interval(_)) => {
            let why = format!("column `{}` is a list of intervals, which Parquet cannot hold", field.name());
            Err(Error::permanent(FailureKind::Input, "unsupported_type", why)
                .advise("convert it to text in a transform step"))
        }
        _ => Ok(field.as_ref().clone()),
    });
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>, Error>>()?)))
}

fn stored_batch(batch: &RecordBatch, stored: &SchemaRef) -> Result<RecordBatch, Error> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| match field.data_type() {
        DataType::Interval(_) => intervals(field, column),
        _ => Arc::clone(column),
    });
    RecordBatch::try_new(Arc::clone(stored), columns.collect()).map_err(|error| {
        Error::permanent(FailureKind::Input, "batch", format!("a batch does not have the announced columns: {error}"))
    })
}

fn intervals(field: &Field, column: &ArrayRef) -> ArrayRef {
    let mut builder = StringBuilder::new();
    let cell = Cell::new(field, column.as_ref() as &dyn Array);
    let mut text = Vec::new();
    for row in 0..column.len() {
        text.clear();
        match &cell {
            Some(cell) if !cell.is_null(row) && cell.write(row, &mut text).is_ok() => {
                builder.append_value(String::from_utf8_lossy(&text))
            }
            _ => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

fn parquet_failed(part: &PartFile, error: ParquetError) -> Error {
    if let ParquetError::External(inner) = &error
        && let Some(error) = inner.downcast_ref::<io::Error>()
    {
        return write_failed(part.path(), error);
    }
    let why = format!("writing Parquet file `{}`: {error}", part.path().display());
    Error::permanent(FailureKind::Output, "write_failed", why)
}
