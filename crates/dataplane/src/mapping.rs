//! The types that all steps agree on, and the nearest of them for every other Arrow type.
//!
//! Sources outside our hands (Parquet files, programs, SQL engines) use all of Arrow. [`Mapping`] brings their batches to
//! the small set of types that every sink knows. A type that has no place is an error at the start, a value that has none
//! when it comes; only finer parts are cut: nanoseconds to microseconds, a `Date64` to its day.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Time64MicrosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};

/// The metadata key of what Arrow's types cannot say (`numeric`, `json`, `uuid`, ...).
pub const TYPE_KEY: &str = "sallyport:type";

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// A column has a type that no step can take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column `{column}` has the type {data_type}, which has no place in a table of plain values")]
pub struct Unmapped {
    /// The column.
    pub column: String,
    /// Its Arrow type.
    pub data_type: String,
}

/// Brings batches of one schema to the common types.
#[derive(Clone, Debug)]
pub struct Mapping {
    schema: SchemaRef,
    same: bool,
}

impl Mapping {
    /// The mapping of a schema.
    pub fn of(schema: &SchemaRef) -> Result<Self, Unmapped> {
        let fields = schema.fields().iter().map(|field| map(field)).collect::<Result<Vec<Field>, Unmapped>>()?;
        let same = fields.iter().zip(schema.fields()).all(|(mapped, field)| mapped.data_type() == field.data_type());
        Ok(Self { schema: Arc::new(Schema::new(fields)), same })
    }

    /// The common types.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Casts a batch; fails on a value outside the common type's range.
    pub fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = if self.same {
            batch.columns().to_vec()
        } else {
            let pairs = batch.columns().iter().zip(self.schema.fields());
            pairs.map(|(column, field)| cast(column, field.data_type())).collect::<Result<_, _>>()?
        };
        for (column, field) in columns.iter().zip(self.schema.fields()) {
            within_the_day(column.as_ref())
                .map_err(|error| ArrowError::ComputeError(format!("column `{}`: {error}", field.name())))?;
        }
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &rows)
    }
}

/// Arrow takes any number for a time; the types that all steps agree on end at 24:00.
fn within_the_day(column: &dyn Array) -> Result<(), String> {
    match column.data_type() {
        DataType::Time64(_) => {
            let times = column.as_primitive::<Time64MicrosecondType>();
            let outside = times.iter().flatten().find(|time| !(0..=DAY_MICROS).contains(time));
            outside.map_or(Ok(()), |time| Err(format!("{time} microseconds is not a time of a day")))
        }
        DataType::List(_) => within_the_day(column.as_list::<i32>().values().as_ref()),
        _ => Ok(()),
    }
}

fn cast(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == to {
        return Ok(Arc::clone(column));
    }
    cast_with_options(column, to, &CastOptions { safe: false, ..CastOptions::default() })
}

/// Every mapped field may be null: a sink asks its target, not the source, what must not be.
fn map(field: &Field) -> Result<Field, Unmapped> {
    let special = |word: &str| Some(word.to_owned());
    let own = field.metadata().get(TYPE_KEY).cloned();
    let (data_type, word) = match field.data_type() {
        DataType::FixedSizeBinary(16) => (DataType::FixedSizeBinary(16), special("uuid")),
        DataType::Decimal256(_, _) => (DataType::Utf8, special("numeric")),
        DataType::Decimal128(_, scale) if *scale < 0 => (DataType::Utf8, special("numeric")),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => (DataType::List(Arc::new(map(item)?)), own),
        other => match scalar(other) {
            Some(mapped) => (mapped, own),
            None => return Err(Unmapped { column: field.name().clone(), data_type: other.to_string() }),
        },
    };
    let metadata = word.map(|word| HashMap::from([(TYPE_KEY.to_owned(), word)])).unwrap_or_default();
    Ok(Field::new(field.name(), data_type, true).with_metadata(metadata))
}

fn scalar(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Boolean => DataType::Boolean,
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => DataType::Int16,
        DataType::UInt16 | DataType::Int32 => DataType::Int32,
        DataType::UInt32 | DataType::Int64 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 | DataType::Float32 => DataType::Float32,
        DataType::Float64 => DataType::Float64,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) if *scale >= 0 => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Decimal128(precision, scale) => DataType::Decimal128(*precision, *scale),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Interval(_) | DataType::Duration(_) => DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Dictionary(_, values) => scalar(values)?,
        DataType::RunEndEncoded(_, values) => scalar(values.data_type())?,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
