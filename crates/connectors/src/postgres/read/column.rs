//! Builders of Arrow columns from binary values.

use std::sync::Arc;

use arrow_array::types::IntervalMonthDayNano;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, FieldRef};

use crate::postgres::kind::Kind;
use crate::postgres::numeric;
use crate::postgres::value::{EPOCH_DAYS, EPOCH_MICROS, Reason};

/// One column of the batch that is being filled.
pub(crate) struct Column {
    values: Values,
    nulls: NullBufferBuilder,
    rows: usize,
}

enum Values {
    Bool(BooleanBufferBuilder),
    Int2(Vec<i16>),
    Int4(Vec<i32>),
    Int8(Vec<i64>),
    Float4(Vec<f32>),
    Float8(Vec<f64>),
    Decimal { values: Vec<i128>, precision: u8, scale: i8 },
    Numeric(Strings),
    Text(Strings),
    Jsonb(Strings),
    Bytea(Strings),
    Date(Vec<i32>),
    Time(Vec<i64>),
    Timestamp(Vec<i64>),
    TimestampTz(Vec<i64>),
    Interval(Vec<IntervalMonthDayNano>),
    Uuid(Vec<u8>),
    List { offsets: Vec<i32>, items: Box<Column>, field: FieldRef },
}

struct Strings {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
}

impl Strings {
    fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { bytes: Vec::with_capacity(bytes), offsets }
    }

    #[inline]
    fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.close();
    }

    /// Ends a value; batches end long before two gigabytes.
    #[inline]
    fn close(&mut self) {
        self.offsets.push(self.bytes.len() as i32);
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let fresh = Self::with_capacity(self.offsets.len(), self.bytes.len() + self.bytes.len() / 8);
        let full = std::mem::replace(self, fresh);
        (OffsetBuffer::new(ScalarBuffer::from(full.offsets)), Buffer::from_vec(full.bytes))
    }
}

impl Column {
    pub(crate) fn new(kind: &Kind, rows: usize) -> Self {
        Self { values: Values::new(kind, rows), nulls: NullBufferBuilder::new(rows), rows: 0 }
    }

    /// Adds a value in the server's binary form.
    #[inline]
    pub(crate) fn push(&mut self, value: &[u8]) -> Result<(), Reason> {
        self.values.push(value)?;
        self.nulls.append_non_null();
        self.rows += 1;
        Ok(())
    }

    pub(crate) fn push_null(&mut self) {
        self.values.push_null();
        self.nulls.append_null();
        self.rows += 1;
    }

    /// The filled column; the next one starts empty.
    pub(crate) fn take(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.nulls.finish();
        self.rows = 0;
        self.values.take(nulls)
    }
}

impl Values {
    fn new(kind: &Kind, rows: usize) -> Self {
        let strings = || Strings::with_capacity(rows, rows * 16);
        match kind {
            Kind::Bool => Self::Bool(BooleanBufferBuilder::new(rows)),
            Kind::Int2 => Self::Int2(Vec::with_capacity(rows)),
            Kind::Int4 => Self::Int4(Vec::with_capacity(rows)),
            Kind::Int8 => Self::Int8(Vec::with_capacity(rows)),
            Kind::Float4 => Self::Float4(Vec::with_capacity(rows)),
            Kind::Float8 => Self::Float8(Vec::with_capacity(rows)),
            Kind::Decimal { precision, scale, .. } => {
                Self::Decimal { values: Vec::with_capacity(rows), precision: *precision, scale: *scale }
            }
            Kind::Numeric { .. } => Self::Numeric(strings()),
            Kind::Text { .. } | Kind::Json | Kind::Enum(_) | Kind::Other => Self::Text(strings()),
            Kind::Jsonb => Self::Jsonb(strings()),
            Kind::Bytea => Self::Bytea(strings()),
            Kind::Date => Self::Date(Vec::with_capacity(rows)),
            Kind::Time(_) => Self::Time(Vec::with_capacity(rows)),
            Kind::Timestamp(_) => Self::Timestamp(Vec::with_capacity(rows)),
            Kind::TimestampTz(_) => Self::TimestampTz(Vec::with_capacity(rows)),
            Kind::Interval(_) => Self::Interval(Vec::with_capacity(rows)),
            Kind::Uuid => Self::Uuid(Vec::with_capacity(rows * 16)),
            Kind::Array(element, _) => Self::list(kind, element, rows),
            Kind::OtherArray => Self::list(kind, &Kind::Other, rows),
        }
    }

    fn list(kind: &Kind, element: &Kind, rows: usize) -> Self {
        let field = match kind.data_type() {
            DataType::List(field) => field,
            _ => FieldRef::new(element.field("item")),
        };
        Self::List { offsets: vec![0], items: Box::new(Column::new(element, rows)), field }
    }

    #[inline]
    fn push(&mut self, value: &[u8]) -> Result<(), Reason> {
        match self {
            Self::Int4(values) => values.push(i32::from_be_bytes(fixed(value)?)),
            Self::Decimal { values, scale, .. } => values.push(numeric::to_decimal(value, *scale)?),
            Self::Text(strings) | Self::Bytea(strings) => strings.push(value),
            Self::Date(values) => values.push(date(i32::from_be_bytes(fixed(value)?))?),
            Self::Int8(values) => values.push(i64::from_be_bytes(fixed(value)?)),
            Self::Int2(values) => values.push(i16::from_be_bytes(fixed(value)?)),
            Self::Float4(values) => values.push(f32::from_be_bytes(fixed(value)?)),
            Self::Float8(values) => values.push(f64::from_be_bytes(fixed(value)?)),
            Self::Timestamp(values) | Self::TimestampTz(values) => {
                values.push(timestamp(i64::from_be_bytes(fixed(value)?))?);
            }
            Self::Bool(values) => values.append(fixed::<1>(value)? != [0]),
            Self::Time(values) => values.push(i64::from_be_bytes(fixed(value)?)),
            Self::Uuid(values) => values.extend_from_slice(&fixed::<16>(value)?),
            Self::Interval(values) => values.push(interval(value)?),
            Self::Numeric(strings) => {
                numeric::to_text(value, &mut strings.bytes)?;
                strings.close();
            }
            Self::Jsonb(strings) => match value {
                [1, text @ ..] => strings.push(text),
                _ => return Err(Reason::Malformed),
            },
            Self::List { offsets, items, .. } => {
                push_items(value, items)?;
                offsets.push(i32::try_from(items.rows).map_err(|_| Reason::OutOfRange)?);
            }
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Bool(values) => values.append(false),
            Self::Int2(values) => values.push(0),
            Self::Int4(values) | Self::Date(values) => values.push(0),
            Self::Int8(values) | Self::Time(values) | Self::Timestamp(values) | Self::TimestampTz(values) => {
                values.push(0);
            }
            Self::Float4(values) => values.push(0.0),
            Self::Float8(values) => values.push(0.0),
            Self::Decimal { values, .. } => values.push(0),
            Self::Numeric(strings) | Self::Text(strings) | Self::Jsonb(strings) | Self::Bytea(strings) => {
                strings.close()
            }
            Self::Interval(values) => values.push(IntervalMonthDayNano::ZERO),
            Self::Uuid(values) => values.extend_from_slice(&[0; 16]),
            Self::List { offsets, items, .. } => offsets.push(items.rows as i32),
        }
    }

    fn take(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Bool(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Self::Int2(values) => Arc::new(Int16Array::try_new(taken(values), nulls)?),
            Self::Int4(values) => Arc::new(Int32Array::try_new(taken(values), nulls)?),
            Self::Int8(values) => Arc::new(Int64Array::try_new(taken(values), nulls)?),
            Self::Float4(values) => Arc::new(Float32Array::try_new(taken(values), nulls)?),
            Self::Float8(values) => Arc::new(Float64Array::try_new(taken(values), nulls)?),
            Self::Decimal { values, precision, scale } => {
                Arc::new(Decimal128Array::try_new(taken(values), nulls)?.with_precision_and_scale(*precision, *scale)?)
            }
            Self::Numeric(strings) | Self::Text(strings) | Self::Jsonb(strings) => {
                let (offsets, bytes) = strings.take();
                Arc::new(StringArray::try_new(offsets, bytes, nulls)?)
            }
            Self::Bytea(strings) => {
                let (offsets, bytes) = strings.take();
                Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?)
            }
            Self::Date(values) => Arc::new(Date32Array::try_new(taken(values), nulls)?),
            Self::Time(values) => Arc::new(Time64MicrosecondArray::try_new(taken(values), nulls)?),
            Self::Timestamp(values) => Arc::new(TimestampMicrosecondArray::try_new(taken(values), nulls)?),
            Self::TimestampTz(values) => {
                Arc::new(TimestampMicrosecondArray::try_new(taken(values), nulls)?.with_timezone("UTC"))
            }
            Self::Interval(values) => Arc::new(IntervalMonthDayNanoArray::try_new(taken(values), nulls)?),
            Self::Uuid(values) => {
                let bytes = Buffer::from_vec(std::mem::replace(values, Vec::with_capacity(values.len())));
                Arc::new(FixedSizeBinaryArray::try_new(16, bytes, nulls)?)
            }
            Self::List { offsets, items, field } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, vec![0])));
                Arc::new(ListArray::try_new(Arc::clone(field), offsets, items.take()?, nulls)?)
            }
        })
    }
}

fn taken<T: arrow_buffer::ArrowNativeType>(values: &mut Vec<T>) -> ScalarBuffer<T> {
    let fresh = Vec::with_capacity(values.len() + values.len() / 16);
    ScalarBuffer::from(std::mem::replace(values, fresh))
}

#[inline]
fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], Reason> {
    value.try_into().map_err(|_| Reason::Malformed)
}

#[inline]
fn date(days: i32) -> Result<i32, Reason> {
    match days {
        i32::MAX => Err(Reason::Endless("infinity")),
        i32::MIN => Err(Reason::Endless("-infinity")),
        days => days.checked_add(EPOCH_DAYS).ok_or(Reason::OutOfRange),
    }
}

#[inline]
fn timestamp(micros: i64) -> Result<i64, Reason> {
    match micros {
        i64::MAX => Err(Reason::Endless("infinity")),
        i64::MIN => Err(Reason::Endless("-infinity")),
        micros => micros.checked_add(EPOCH_MICROS).ok_or(Reason::OutOfRange),
    }
}

fn interval(value: &[u8]) -> Result<IntervalMonthDayNano, Reason> {
    let value: [u8; 16] = fixed(value)?;
    let (micros, rest) = value.split_at(8);
    let (days, months) = rest.split_at(4);
    let nanos = i64::from_be_bytes(fixed(micros)?).checked_mul(1000).ok_or(Reason::OutOfRange)?;
    Ok(IntervalMonthDayNano::new(i32::from_be_bytes(fixed(months)?), i32::from_be_bytes(fixed(days)?), nanos))
}

/// Adds an array's items: dimensions, whether there are NULLs, the type, size and lower bound, then the items.
fn push_items(value: &[u8], items: &mut Column) -> Result<(), Reason> {
    let (head, rest) = value.split_first_chunk::<12>().ok_or(Reason::Malformed)?;
    let dimensions = i32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    match dimensions {
        0 => return Ok(()),
        1 => {}
        more => return Err(Reason::Dimensions(more)),
    }
    let (size, mut rest) = rest.split_first_chunk::<8>().ok_or(Reason::Malformed)?;
    for _ in 0..i32::from_be_bytes([size[0], size[1], size[2], size[3]]) {
        let (length, after) = rest.split_first_chunk::<4>().ok_or(Reason::Malformed)?;
        rest = after;
        match usize::try_from(i32::from_be_bytes(*length)) {
            Ok(length) => {
                let (item, after) = rest.split_at_checked(length).ok_or(Reason::Malformed)?;
                items.push(item)?;
                rest = after;
            }
            Err(_) => items.push_null(),
        }
    }
    Ok(())
}
