//! Columns whose values are written as text or JSON.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{
    Array, BinaryArray, BooleanArray, FixedSizeBinaryArray, ListArray, PrimitiveArray, StringArray, new_empty_array,
};
use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};
use serde::de::IgnoredAny;

use super::{format, types};

/// A column by its type, looked up once a batch.
pub(crate) enum Cell<'a> {
    Boolean(&'a BooleanArray),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a PrimitiveArray<Decimal128Type>, i8),
    Text(&'a StringArray),
    Json(&'a StringArray),
    Binary(&'a BinaryArray),
    Uuid(&'a FixedSizeBinaryArray),
    Date(&'a PrimitiveArray<Date32Type>),
    Time(&'a PrimitiveArray<Time64MicrosecondType>),
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>),
    TimestampUtc(&'a PrimitiveArray<TimestampMicrosecondType>),
    Interval(&'a PrimitiveArray<IntervalMonthDayNanoType>),
    List(&'a ListArray, Box<Cell<'a>>),
}

/// The value is marked as JSON and is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

impl<'a> Cell<'a> {
    /// A column by its type; `None` for types outside the mapping that all connectors share.
    pub(crate) fn new(field: &Field, array: &'a dyn Array) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Int16 => Self::Int16(array.as_primitive()),
            DataType::Int32 => Self::Int32(array.as_primitive()),
            DataType::Int64 => Self::Int64(array.as_primitive()),
            DataType::Float32 => Self::Float32(array.as_primitive()),
            DataType::Float64 => Self::Float64(array.as_primitive()),
            DataType::Decimal128(_, scale) => Self::Decimal(array.as_primitive(), *scale),
            DataType::Utf8 => match types::special(field) {
                Some("json" | "jsonb") => Self::Json(array.as_string()),
                _ => Self::Text(array.as_string()),
            },
            DataType::Binary => Self::Binary(array.as_binary()),
            DataType::FixedSizeBinary(16) => Self::Uuid(array.as_fixed_size_binary()),
            DataType::Date32 => Self::Date(array.as_primitive()),
            DataType::Time64(TimeUnit::Microsecond) => Self::Time(array.as_primitive()),
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::Timestamp(array.as_primitive()),
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Self::TimestampUtc(array.as_primitive()),
            DataType::Interval(IntervalUnit::MonthDayNano) => Self::Interval(array.as_primitive()),
            DataType::List(item) => {
                let list = array.as_list::<i32>();
                Self::List(list, Box::new(Self::new(item, list.values().as_ref())?))
            }
            _ => return None,
        })
    }

    /// Whether a type is one of the mapping that all connectors share.
    pub(crate) fn takes(data_type: &DataType) -> bool {
        let none = new_empty_array(data_type);
        Cell::new(&Field::new("", data_type.clone(), true), none.as_ref()).is_some()
    }

    #[inline]
    pub(crate) fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Boolean(array) => array.is_null(row),
            Self::Int16(array) => array.is_null(row),
            Self::Int32(array) => array.is_null(row),
            Self::Int64(array) => array.is_null(row),
            Self::Float32(array) => array.is_null(row),
            Self::Float64(array) => array.is_null(row),
            Self::Decimal(array, _) => array.is_null(row),
            Self::Text(array) | Self::Json(array) => array.is_null(row),
            Self::Binary(array) => array.is_null(row),
            Self::Uuid(array) => array.is_null(row),
            Self::Date(array) => array.is_null(row),
            Self::Time(array) => array.is_null(row),
            Self::Timestamp(array) | Self::TimestampUtc(array) => array.is_null(row),
            Self::Interval(array) => array.is_null(row),
            Self::List(array, _) => array.is_null(row),
        }
    }

    /// The text of a value that is stored as text.
    #[inline]
    pub(crate) fn stored_text(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Text(array) | Self::Json(array) => Some(array.value(row)),
            _ => None,
        }
    }

    /// Writes a value (not a null) as text; lists are JSON.
    #[inline]
    pub(crate) fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), NotJson> {
        match self {
            Self::Text(array) | Self::Json(array) => out.extend_from_slice(array.value(row).as_bytes()),
            Self::Int64(array) => format::int(array.value(row), out),
            Self::Decimal(array, scale) => format::decimal(array.value(row), *scale, out),
            Self::Date(array) => format::date(i64::from(array.value(row)), out),
            Self::Int32(array) => format::int(array.value(row), out),
            Self::Int16(array) => format::int(array.value(row), out),
            Self::Float64(array) => format::float64(array.value(row), out),
            Self::Float32(array) => format::float32(array.value(row), out),
            Self::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            Self::Timestamp(array) => format::timestamp(array.value(row), out),
            Self::TimestampUtc(array) => format::timestamp_utc(array.value(row), out),
            Self::Time(array) => format::time(array.value(row), out),
            Self::Interval(array) => {
                let value = array.value(row);
                format::interval(value.months, value.days, value.nanoseconds, out);
            }
            Self::Binary(array) => format::binary(array.value(row), out),
            Self::Uuid(array) => format::uuid(array.value(row), out),
            Self::List(..) => return self.write_json(row, out),
        }
        Ok(())
    }

    /// Writes a value or a null as JSON. Numbers keep all their digits; what JSON has no word for is a string.
    pub(crate) fn write_json(&self, row: usize, out: &mut Vec<u8>) -> Result<(), NotJson> {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        match self {
            Self::Text(array) => format::json_string(array.value(row), out),
            Self::Json(array) => {
                let text = array.value(row);
                serde_json::from_str::<IgnoredAny>(text).map_err(|_| NotJson)?;
                // Line ends stand only between the tokens of valid JSON, where a blank means the same.
                out.extend(text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
            }
            Self::Float64(array) if !array.value(row).is_finite() => self.quoted(row, out),
            Self::Float32(array) if !array.value(row).is_finite() => self.quoted(row, out),
            Self::Boolean(_) | Self::Int16(_) | Self::Int32(_) | Self::Int64(_) => self.write(row, out)?,
            Self::Float32(_) | Self::Float64(_) | Self::Decimal(..) => self.write(row, out)?,
            Self::List(array, items) => {
                let offsets = array.value_offsets();
                out.push(b'[');
                for item in offsets[row]..offsets[row + 1] {
                    if item > offsets[row] {
                        out.push(b',');
                    }
                    items.write_json(item as usize, out)?;
                }
                out.push(b']');
            }
            Self::Binary(array) => {
                let mut text = Vec::new();
                format::binary(array.value(row), &mut text);
                format::json_string(&String::from_utf8_lossy(&text), out);
            }
            _ => self.quoted(row, out),
        }
        Ok(())
    }

    /// For values whose text needs no escape in JSON.
    fn quoted(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        // Only lists can fail.
        let _ = self.write(row, out);
        out.push(b'"');
    }
}
