//! Columns that are built from text, value by value.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, FixedSizeBinaryBuilder, Float32Builder,
    Float64Builder, GenericByteBuilder, Int16Builder, Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder,
    PrimitiveBuilder, StringBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::types::ByteArrayType;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, ListArray};
use arrow_buffer::{IntervalMonthDayNano, NullBufferBuilder, OffsetBuffer};
use arrow_schema::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{parse, types};

/// The text is not a value of the column's type; says what the type is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotA(pub(crate) String);

/// More room than this is not kept for the next values.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// One column of the batch that is being built.
pub(crate) enum Column {
    Boolean(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Numeric(StringBuilder),
    Text(StringBuilder),
    Json(StringBuilder),
    Binary(BinaryBuilder),
    Uuid(FixedSizeBinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    TimestampUtc(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    List { item: FieldRef, offsets: Vec<i32>, nulls: NullBufferBuilder, values: Box<Column> },
}

macro_rules! each {
    ($column:expr, $builder:ident => $body:expr, list($offsets:ident, $nulls:ident, $item:ident, $values:ident) => $list:expr) => {
        match $column {
            Column::Boolean($builder) => $body,
            Column::Int16($builder) => $body,
            Column::Int32($builder) => $body,
            Column::Int64($builder) => $body,
            Column::Float32($builder) => $body,
            Column::Float64($builder) => $body,
            Column::Decimal($builder, _, _) => $body,
            Column::Numeric($builder) | Column::Text($builder) | Column::Json($builder) => $body,
            Column::Binary($builder) => $body,
            Column::Uuid($builder) => $body,
            Column::Date($builder) => $body,
            Column::Time($builder) => $body,
            Column::Timestamp($builder) | Column::TimestampUtc($builder) => $body,
            Column::Interval($builder) => $body,
            Column::List { item: $item, offsets: $offsets, nulls: $nulls, values: $values } => $list,
        }
    };
}

impl Column {
    /// An empty column for a field; `None` for types outside the mapping that all connectors share.
    pub(crate) fn new(field: &Field) -> Option<Self> {
        Some(match field.data_type() {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => {
                let builder = Decimal128Builder::new().with_data_type(field.data_type().clone());
                Self::Decimal(builder, *precision, *scale)
            }
            DataType::Utf8 => match types::special(field) {
                Some("numeric") => Self::Numeric(StringBuilder::new()),
                Some("json" | "jsonb") => Self::Json(StringBuilder::new()),
                _ => Self::Text(StringBuilder::new()),
            },
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::FixedSizeBinary(16) => Self::Uuid(FixedSizeBinaryBuilder::new(16)),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Time64(TimeUnit::Microsecond) => Self::Time(Time64MicrosecondBuilder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::Timestamp(TimestampMicrosecondBuilder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
                Self::TimestampUtc(TimestampMicrosecondBuilder::new().with_data_type(field.data_type().clone()))
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => Self::Interval(IntervalMonthDayNanoBuilder::new()),
            DataType::List(item) => {
                let values = Box::new(Self::new(item)?);
                Self::List { item: Arc::clone(item), offsets: vec![0], nulls: NullBufferBuilder::new(0), values }
            }
            _ => return None,
        })
    }

    /// Adds no value.
    pub(crate) fn push_null(&mut self) {
        each!(self, builder => builder.append_null(), list(offsets, nulls, _item, _values) => {
            offsets.push(offsets[offsets.len() - 1]);
            nulls.append_null();
        });
    }

    /// Adds the value that `text` stands for; where it stands for none, adds no value and says so.
    #[inline]
    pub(crate) fn push(&mut self, text: &[u8]) -> Result<(), NotA> {
        let done = match self {
            Self::Int64(builder) => parse::int(text).map(|value| builder.append_value(value)),
            Self::Text(builder) => std::str::from_utf8(text).ok().map(|text| builder.append_value(text)),
            Self::Decimal(builder, precision, scale) => {
                parse::decimal(text, *precision, *scale).map(|value| builder.append_value(value))
            }
            Self::Date(builder) => parse::date(text).map(|value| builder.append_value(value)),
            Self::Float64(builder) => parse::float64(text).map(|value| builder.append_value(value)),
            Self::Int16(builder) => parse::int(text).map(|value| builder.append_value(value)),
            Self::Int32(builder) => parse::int(text).map(|value| builder.append_value(value)),
            Self::Float32(builder) => parse::float32(text).map(|value| builder.append_value(value)),
            Self::Boolean(builder) => parse::boolean(text).map(|value| builder.append_value(value)),
            _ => return self.push_rare(text),
        };
        if done.is_none() { Err(self.refuse()) } else { Ok(()) }
    }

    fn push_rare(&mut self, text: &[u8]) -> Result<(), NotA> {
        let done = match self {
            Self::Numeric(builder) if parse::is_numeric(text) => {
                std::str::from_utf8(text).ok().map(|text| builder.append_value(text))
            }
            Self::Json(builder) => {
                let text =
                    std::str::from_utf8(text).ok().filter(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
                text.map(|text| builder.append_value(text))
            }
            Self::Binary(builder) => parse::binary(text).map(|value| builder.append_value(value)),
            Self::Uuid(builder) => parse::uuid(text).and_then(|value| builder.append_value(value).ok()),
            Self::Time(builder) => parse::time(text).map(|value| builder.append_value(value)),
            Self::Timestamp(builder) => parse::timestamp(text).map(|value| builder.append_value(value)),
            Self::TimestampUtc(builder) => parse::timestamp_utc(text).map(|value| builder.append_value(value)),
            Self::Interval(builder) => parse::interval(text)
                .map(|(months, days, nanos)| builder.append_value(IntervalMonthDayNano::new(months, days, nanos))),
            Self::List { .. } => return self.push_list(text),
            _ => None,
        };
        if done.is_none() { Err(self.refuse()) } else { Ok(()) }
    }

    /// As [`Column::push`], for a JSON text; `null` is no value.
    pub(crate) fn push_json(&mut self, json: &str) -> Result<(), NotA> {
        if json == "null" {
            self.push_null();
            return Ok(());
        }
        if json.starts_with('"') && !matches!(self, Self::Json(_)) {
            // Most strings carry no escape and need no copy.
            if !json.contains('\\') {
                return self.push(&json.as_bytes()[1..json.len() - 1]);
            }
            return match serde_json::from_str::<String>(json) {
                Ok(text) => self.push(text.as_bytes()),
                Err(_) => Err(self.refuse()),
            };
        }
        self.push(json.as_bytes())
    }

    fn push_list(&mut self, text: &[u8]) -> Result<(), NotA> {
        let Self::List { offsets, nulls, values, .. } = self else { return Err(self.refuse()) };
        let items: Result<Vec<&RawValue>, _> = serde_json::from_slice(text);
        let mut taken = items.is_ok();
        for item in items.unwrap_or_default() {
            taken &= values.push_json(item.get()).is_ok();
        }
        let Ok(end) = i32::try_from(values.len()) else { return Err(NotA("a list that fits in one batch".to_owned())) };
        // The items of a list that is refused lie below its null.
        offsets.push(end);
        nulls.append(taken);
        if taken { Ok(()) } else { Err(self.not_a()) }
    }

    /// How many values it has.
    pub(crate) fn len(&self) -> usize {
        use arrow_array::builder::ArrayBuilder;
        each!(self, builder => builder.len(), list(offsets, _nulls, _item, _values) => offsets.len() - 1)
    }

    /// Takes the values out; the next ones find as much room as these took.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        let rows = self.len();
        match self {
            Self::Boolean(builder) => {
                let values = builder.finish();
                *builder = BooleanBuilder::with_capacity(rows);
                Arc::new(values)
            }
            Self::Int16(builder) => primitive(builder),
            Self::Int32(builder) => primitive(builder),
            Self::Int64(builder) => primitive(builder),
            Self::Float32(builder) => primitive(builder),
            Self::Float64(builder) => primitive(builder),
            Self::Decimal(builder, _, _) => primitive(builder),
            Self::Date(builder) => primitive(builder),
            Self::Time(builder) => primitive(builder),
            Self::Timestamp(builder) | Self::TimestampUtc(builder) => primitive(builder),
            Self::Interval(builder) => primitive(builder),
            Self::Numeric(builder) | Self::Text(builder) | Self::Json(builder) => bytes(builder),
            Self::Binary(builder) => bytes(builder),
            Self::Uuid(builder) => Arc::new(builder.finish()),
            Self::List { item, offsets, nulls, values } => {
                let offsets = OffsetBuffer::new(std::mem::replace(offsets, vec![0]).into());
                Arc::new(ListArray::new(Arc::clone(item), offsets, values.finish(), nulls.finish()))
            }
        }
    }

    /// Adds no value in place of one that is none; says what one is.
    #[cold]
    fn refuse(&mut self) -> NotA {
        self.push_null();
        self.not_a()
    }

    /// What a value of the column is.
    pub(crate) fn not_a(&self) -> NotA {
        NotA(match self {
            Self::Boolean(_) => "a boolean".to_owned(),
            Self::Int16(_) => "a whole number of 16 bits (smallint)".to_owned(),
            Self::Int32(_) => "a whole number of 32 bits (int)".to_owned(),
            Self::Int64(_) => "a whole number of 64 bits (bigint)".to_owned(),
            Self::Float32(_) | Self::Float64(_) | Self::Numeric(_) => "a number".to_owned(),
            Self::Decimal(_, precision, scale) => format!("a numeric({precision},{scale})"),
            Self::Text(_) => "text in UTF-8".to_owned(),
            Self::Json(_) => "JSON".to_owned(),
            Self::Binary(_) => "binary as \\x and hexadecimal digits".to_owned(),
            Self::Uuid(_) => "a uuid".to_owned(),
            Self::Date(_) => "a date (YYYY-MM-DD)".to_owned(),
            Self::Time(_) => "a time (HH:MM:SS.ffffff)".to_owned(),
            Self::Timestamp(_) => "a timestamp without a zone (YYYY-MM-DD HH:MM:SS.ffffff)".to_owned(),
            Self::TimestampUtc(_) => "a timestamp (YYYY-MM-DDTHH:MM:SS.ffffffZ)".to_owned(),
            Self::Interval(_) => "an ISO 8601 interval".to_owned(),
            Self::List { values, .. } => format!("a JSON list whose items are each {}", values.not_a().0),
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(builder: &mut PrimitiveBuilder<T>) -> ArrayRef {
    let values = builder.finish();
    *builder = PrimitiveBuilder::with_capacity(values.len()).with_data_type(values.data_type().clone());
    Arc::new(values)
}

fn bytes<T: ByteArrayType>(builder: &mut GenericByteBuilder<T>) -> ArrayRef {
    let values = builder.finish();
    let room = values.value_data().len().min(KEPT_BYTES_MAX);
    *builder = GenericByteBuilder::with_capacity(values.len(), room);
    Arc::new(values)
}
