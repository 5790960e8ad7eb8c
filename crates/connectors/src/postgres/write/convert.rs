//! Which incoming types a target's column takes, and how a column of a batch becomes its cells.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};

use super::cells::{Cells, Jsons, Parse, Texts, Values, Width};
use crate::postgres::kind::{Kind, TYPE_KEY};
use crate::postgres::numeric::Limits;

/// How a column is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// In the binary form of its type.
    Binary,
    /// As text that the server casts.
    Cast,
    /// As an array of texts that the server casts.
    CastArray,
}

/// Whether a column of a kind takes an incoming field, and how.
pub(super) fn way(field: &Field, kind: &Kind) -> Option<Way> {
    let from = normal(field.data_type());
    let text = from == DataType::Utf8;
    match kind {
        Kind::OtherArray if let DataType::List(item) = &from => {
            textual(&normal(item.data_type())).then_some(Way::CastArray)
        }
        Kind::Other | Kind::OtherArray => textual(&from).then_some(Way::Cast),
        Kind::Interval(_) | Kind::Array(..) if text => Some(Way::Cast),
        _ if from == DataType::Null => Some(Way::Binary),
        _ if text => Some(Way::Binary),
        kind => takes(&from, kind, field).then_some(Way::Binary),
    }
}

/// For incoming types other than text.
fn takes(from: &DataType, kind: &Kind, field: &Field) -> bool {
    use DataType as T;
    let uuid = field.metadata().get(TYPE_KEY).is_some_and(|word| word == "uuid");
    let integer = matches!(from, T::Int16 | T::Int32 | T::Int64);
    let float = matches!(from, T::Float32 | T::Float64);
    let decimal = matches!(from, T::Decimal128(..));
    match kind {
        Kind::Bool => *from == T::Boolean || integer,
        Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Float4 | Kind::Float8 => integer || float || decimal,
        Kind::Decimal { .. } | Kind::Numeric { .. } => integer || float || decimal,
        Kind::Text { .. } => textual(from),
        Kind::Bytea => matches!(from, T::Binary | T::FixedSizeBinary(_)),
        Kind::Uuid => *from == T::FixedSizeBinary(16) && (uuid || field.metadata().get(TYPE_KEY).is_none()),
        Kind::Date | Kind::Timestamp(_) | Kind::TimestampTz(_) => matches!(from, T::Date32 | T::Timestamp(..)),
        Kind::Time(_) => matches!(from, T::Time64(_)),
        Kind::Interval(_) => matches!(from, T::Interval(_)),
        Kind::Array(element, _) => match from {
            T::List(item) => way(item, element) == Some(Way::Binary),
            _ => false,
        },
        Kind::Json | Kind::Jsonb | Kind::Enum(_) | Kind::Other | Kind::OtherArray => false,
    }
}

/// What has one clear text.
fn textual(from: &DataType) -> bool {
    !matches!(
        from,
        DataType::List(_) | DataType::Struct(_) | DataType::Map(..) | DataType::Union(..) | DataType::Binary
    )
}

/// The type that stands for all of its family.
fn normal(from: &DataType) -> DataType {
    use DataType as T;
    match from {
        T::Dictionary(_, value) => normal(value),
        T::RunEndEncoded(_, value) => normal(value.data_type()),
        T::LargeUtf8 | T::Utf8View | T::Decimal256(..) => T::Utf8,
        T::LargeBinary | T::BinaryView => T::Binary,
        T::Int8 | T::UInt8 => T::Int16,
        T::UInt16 => T::Int32,
        T::UInt32 => T::Int64,
        T::UInt64 => T::Decimal128(20, 0),
        T::Decimal32(precision, scale) | T::Decimal64(precision, scale) => T::Decimal128(*precision, *scale),
        T::Float16 => T::Float32,
        T::Date64 => T::Timestamp(TimeUnit::Microsecond, None),
        T::Timestamp(_, zone) => T::Timestamp(TimeUnit::Microsecond, zone.clone()),
        T::Time32(_) | T::Time64(_) => T::Time64(TimeUnit::Microsecond),
        T::Interval(_) | T::Duration(_) => T::Interval(IntervalUnit::MonthDayNano),
        T::LargeList(item) | T::FixedSizeList(item, _) | T::ListView(item) | T::LargeListView(item) => {
            T::List(Arc::clone(item))
        }
        other => other.clone(),
    }
}

/// A column that its plan said could be written, and cannot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{from} does not convert")]
pub(super) struct NoWay {
    from: DataType,
}

/// How strictly a column is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demands {
    /// NOT NULL.
    pub required: bool,
    /// Check here what the server would check too, so that single rows can be rejected.
    pub check: bool,
}

/// The cells of a column for a target of `kind`; where the server casts, the kind is plain text or an array of it.
pub(super) fn cells(array: &ArrayRef, field: &Field, kind: &Kind, demands: Demands) -> Result<Cells, NoWay> {
    let nulls = array.logical_nulls();
    let mut cast = Cast { array: Arc::clone(array), lossy: None };
    let refused = || NoWay { from: array.data_type().clone() };
    cast.to(&normal(array.data_type()), "microseconds").ok_or_else(refused)?;
    let values = if cast.array.data_type() == &DataType::Null {
        Values::Null
    } else if cast.array.data_type() == &DataType::Utf8 {
        from_text(&cast.array, kind, demands).ok_or_else(refused)?
    } else {
        from_typed(&mut cast, field, kind, demands).ok_or_else(refused)?
    };
    let converted = cast.lossy.and_then(|into| Some((cast.array.logical_nulls()?, into)));
    let converted =
        converted.filter(|(after, _)| after.null_count() > nulls.as_ref().map_or(0, |nulls| nulls.null_count()));
    Ok(Cells { values, nulls, converted, required: demands.required })
}

/// A column on its way through Arrow's casts, in which a value that does not convert becomes NULL.
struct Cast {
    array: ArrayRef,
    lossy: Option<&'static str>,
}

impl Cast {
    fn to(&mut self, target: &DataType, into: &'static str) -> Option<()> {
        if self.array.data_type() == target {
            return Some(());
        }
        let before = Arc::clone(&self.array);
        let options = CastOptions { safe: true, ..CastOptions::default() };
        self.array = cast_with_options(&before, target, &options).ok()?;
        self.lossy = Some(into);
        if finer_than_micros(before.data_type()) {
            // Nanoseconds are cut by the cast: only what comes back the same has converted.
            let back = cast_with_options(&self.array, before.data_type(), &options).ok()?;
            let cut = differ(&before, &back)?;
            self.array = arrow_select::nullif::nullif(&self.array, &cut).ok()?;
        }
        Some(())
    }
}

fn finer_than_micros(from: &DataType) -> bool {
    matches!(from, DataType::Timestamp(TimeUnit::Nanosecond, _) | DataType::Time64(TimeUnit::Nanosecond))
}

/// Where two columns of nanoseconds differ.
fn differ(left: &ArrayRef, right: &ArrayRef) -> Option<arrow_array::BooleanArray> {
    let (left, right) = (cast_int(left)?, cast_int(right)?);
    let (left, right) = (left.as_primitive::<Int64Type>(), right.as_primitive::<Int64Type>());
    Some((0..left.len()).map(|row| Some(left.is_valid(row) && left.value(row) != right.value(row))).collect())
}

fn cast_int(array: &ArrayRef) -> Option<ArrayRef> {
    cast_with_options(array, &DataType::Int64, &CastOptions::default()).ok()
}

fn from_text(array: &ArrayRef, kind: &Kind, demands: Demands) -> Option<Values> {
    let values = array.as_string::<i32>().clone();
    let parsed = |values, parse| Some(Values::Parsed(values, parse));
    match kind {
        Kind::Text { max } => Some(Values::Text(texts(values, *max))),
        Kind::Enum(labels) => Some(Values::Label(values, Arc::clone(labels))),
        Kind::Other | Kind::OtherArray => Some(Values::Text(texts(values, None))),
        Kind::Json => Some(Values::Json(Jsons { texts: texts(values, None), binary: false, check: demands.check })),
        Kind::Jsonb => Some(Values::Json(Jsons { texts: texts(values, None), binary: true, check: demands.check })),
        Kind::Numeric { limits } => Some(Values::NumericText(values, *limits)),
        Kind::Decimal { limits, .. } => Some(Values::NumericText(values, Some(*limits))),
        Kind::Bool => parsed(values, Parse::Bool),
        Kind::Int2 => parsed(values, Parse::Int(Width::Two)),
        Kind::Int4 => parsed(values, Parse::Int(Width::Four)),
        Kind::Int8 => parsed(values, Parse::Int(Width::Eight)),
        Kind::Float4 => parsed(values, Parse::Float(Width::Four)),
        Kind::Float8 => parsed(values, Parse::Float(Width::Eight)),
        Kind::Date => parsed(values, Parse::Date),
        Kind::Time(step) => parsed(values, Parse::Time(*step)),
        Kind::Timestamp(step) => parsed(values, Parse::Timestamp(*step)),
        Kind::TimestampTz(step) => parsed(values, Parse::TimestampTz(*step)),
        Kind::Uuid => parsed(values, Parse::Uuid),
        Kind::Bytea => parsed(values, Parse::Bytea),
        Kind::Interval(_) | Kind::Array(..) => None,
    }
}

fn from_typed(cast: &mut Cast, field: &Field, kind: &Kind, demands: Demands) -> Option<Values> {
    match kind {
        Kind::Int2 => into_int(cast, Width::Two),
        Kind::Int4 => into_int(cast, Width::Four),
        Kind::Int8 => into_int(cast, Width::Eight),
        Kind::Float4 => into_float(cast, Width::Four),
        Kind::Float8 => into_float(cast, Width::Eight),
        Kind::Decimal { limits, .. } => into_numeric(cast, Some(*limits)),
        Kind::Numeric { limits } => into_numeric(cast, *limits),
        Kind::Text { max } => into_text(cast, field, *max),
        Kind::Other | Kind::OtherArray => into_text(cast, field, None),
        Kind::Bool => match cast.array.data_type() {
            DataType::Boolean => Some(Values::Bool(cast.array.as_boolean().clone())),
            _ => {
                cast.to(&DataType::Int64, "an integer")?;
                Some(Values::IntBool(cast.array.as_primitive::<Int64Type>().clone()))
            }
        },
        Kind::Bytea => {
            cast.to(&DataType::Binary, "bytea")?;
            Some(Values::Bytes(cast.array.as_binary::<i32>().clone()))
        }
        Kind::Uuid => Some(Values::Uuid(cast.array.as_fixed_size_binary_opt()?.clone())),
        Kind::Date => match cast.array.data_type() {
            DataType::Date32 => Some(Values::Date(cast.array.as_primitive::<Date32Type>().clone())),
            _ => Some(Values::Midnight(cast.array.as_primitive_opt::<TimestampMicrosecondType>()?.clone())),
        },
        Kind::Timestamp(step) | Kind::TimestampTz(step) => {
            if cast.array.data_type() == &DataType::Date32 {
                cast.to(&DataType::Timestamp(TimeUnit::Microsecond, None), "a timestamp")?;
            }
            Some(Values::Timestamp(cast.array.as_primitive_opt::<TimestampMicrosecondType>()?.clone(), *step))
        }
        Kind::Time(step) => Some(Values::Time(cast.array.as_primitive_opt::<Time64MicrosecondType>()?.clone(), *step)),
        Kind::Interval(span) => {
            Some(Values::Interval(cast.array.as_primitive_opt::<IntervalMonthDayNanoType>()?.clone(), *span))
        }
        Kind::Array(element, oid) => {
            let list = cast.array.as_list_opt::<i32>()?;
            let DataType::List(item) = list.data_type() else { return None };
            let inner = Demands { required: false, ..demands };
            let items = Box::new(cells(list.values(), item, element, inner).ok()?);
            Some(Values::List { offsets: list.offsets().clone(), items, element: *oid })
        }
        Kind::Json | Kind::Jsonb | Kind::Enum(_) => None,
    }
}

fn into_int(cast: &mut Cast, width: Width) -> Option<Values> {
    match (cast.array.data_type(), width) {
        (DataType::Int16, Width::Two) => Some(Values::Int2(cast.array.as_primitive::<Int16Type>().clone())),
        (DataType::Int32, Width::Four) => Some(Values::Int4(cast.array.as_primitive::<Int32Type>().clone())),
        (DataType::Int64, Width::Eight) => Some(Values::Int8(cast.array.as_primitive::<Int64Type>().clone())),
        (DataType::Float32 | DataType::Float64, _) => {
            cast.to(&DataType::Float64, "double precision")?;
            Some(Values::FloatInto(cast.array.as_primitive::<Float64Type>().clone(), width))
        }
        (DataType::Decimal128(_, scale), _) => {
            let scale = *scale;
            Some(Values::DecimalInto(cast.array.as_primitive::<Decimal128Type>().clone(), scale, width))
        }
        _ => {
            cast.to(&DataType::Int64, "an integer")?;
            Some(Values::IntInto(cast.array.as_primitive::<Int64Type>().clone(), width))
        }
    }
}

fn into_float(cast: &mut Cast, width: Width) -> Option<Values> {
    match (cast.array.data_type(), width) {
        (DataType::Float32, Width::Four) => Some(Values::Float4(cast.array.as_primitive::<Float32Type>().clone())),
        (DataType::Int16 | DataType::Int32 | DataType::Int64, _) => {
            cast.to(&DataType::Int64, "an integer")?;
            Some(Values::IntFloat(cast.array.as_primitive::<Int64Type>().clone(), width))
        }
        // A decimal becomes the nearest float, as it would in the server.
        (DataType::Decimal128(..), Width::Four) => {
            cast.to(&DataType::Float32, "real")?;
            Some(Values::Float4(cast.array.as_primitive::<Float32Type>().clone()))
        }
        (DataType::Float64, Width::Four) => Some(Values::NarrowFloat(cast.array.as_primitive::<Float64Type>().clone())),
        _ => {
            cast.to(&DataType::Float64, "double precision")?;
            Some(Values::Float8(cast.array.as_primitive::<Float64Type>().clone()))
        }
    }
}

fn into_numeric(cast: &mut Cast, limits: Option<Limits>) -> Option<Values> {
    match cast.array.data_type() {
        DataType::Float32 => {
            // By the shortest text: 0.1 in a real is 0.100000001490116 in a double.
            cast.to(&DataType::Utf8, "numeric")?;
            Some(Values::NumericText(cast.array.as_string::<i32>().clone(), limits))
        }
        DataType::Float64 => Some(Values::NumericFloat(cast.array.as_primitive::<Float64Type>().clone(), limits)),
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            Some(Values::Decimal { values: cast.array.as_primitive::<Decimal128Type>().clone(), scale, limits })
        }
        _ => {
            cast.to(&DataType::Int64, "an integer")?;
            cast.to(&DataType::Decimal128(20, 0), "numeric")?;
            Some(Values::Decimal { values: cast.array.as_primitive::<Decimal128Type>().clone(), scale: 0, limits })
        }
    }
}

fn into_text(cast: &mut Cast, field: &Field, max: Option<u32>) -> Option<Values> {
    let uuid = field.metadata().get(TYPE_KEY).is_some_and(|word| word == "uuid");
    if uuid && let Some(values) = cast.array.as_fixed_size_binary_opt() {
        return Some(Values::UuidText(values.clone()));
    }
    cast.to(&DataType::Utf8, "text")?;
    Some(Values::Text(texts(cast.array.as_string::<i32>().clone(), max)))
}

fn texts(values: arrow_array::StringArray, max: Option<u32>) -> Texts {
    // Of a slice, only its own part of the buffer.
    let offsets = values.value_offsets();
    let own = offsets.first().zip(offsets.last()).map(|(first, last)| *first as usize..*last as usize);
    let zero = own.is_some_and(|own| memchr::memchr(0, &values.values()[own]).is_some());
    Texts { values, max, zero }
}
