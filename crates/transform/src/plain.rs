//! Results in the types that connectors agree on: a query may compute views, unsigned numbers or dictionaries.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, FieldRef, IntervalUnit, Schema, SchemaRef, TimeUnit};

use crate::Error;

/// The result's schema and how to get there.
pub(crate) struct Shape {
    pub(crate) schema: SchemaRef,
}

impl Shape {
    pub(crate) fn of(schema: &Schema) -> Result<Self, Error> {
        for (index, field) in schema.fields().iter().enumerate() {
            if schema.fields()[..index].iter().any(|other| other.name() == field.name()) {
                let text = format!("the query gives two columns named `{}`", field.name());
                return Err(Error::query("duplicate_column", text, "name one of them with AS"));
            }
        }
        let fields: Vec<FieldRef> = schema.fields().iter().map(plain_field).collect();
        Ok(Self { schema: Arc::new(Schema::new(fields)) })
    }

    pub(crate) fn apply(&self, batch: RecordBatch) -> Result<RecordBatch, Error> {
        let columns = batch.columns().iter().zip(self.schema.fields()).map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(Arc::clone(column))
            } else {
                arrow_cast::cast(column, field.data_type())
            }
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let rows = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &rows)?)
    }
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let plain = plain_type(field.data_type());
    // Whether a computed column can be null is the planner's guess; a connector must not rely on it.
    Arc::new(Field::new(field.name(), plain, true).with_metadata(field.metadata().clone()))
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Int8 | DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(_, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| Arc::from("UTC")))
        }
        DataType::Interval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            DataType::List(plain_field(item))
        }
        other => other.clone(),
    }
}
