//! Which columns may cross, checked on both sides: a peer's schema is read only after it was found harmless.

use std::sync::Arc;

use arrow_buffer::Buffer;
use arrow_ipc as ipc;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::Error;

/// Columns of one schema, nested ones included.
const FIELDS_MAX: usize = 20_000;

/// How deep lists and structs may nest.
const DEPTH_MAX: usize = 16;

/// Encodes a schema of types that can cross.
pub(super) fn encode(schema: &Schema) -> Result<Vec<u8>, Error> {
    for field in schema.fields() {
        supported(field)?;
    }
    let mut tracker = DictionaryTracker::new(true);
    let options = IpcWriteOptions::default();
    Ok(IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(schema, &mut tracker, &options).ipc_message)
}

/// Decodes a peer's schema.
pub(super) fn decode(payload: &Buffer) -> Result<SchemaRef, String> {
    let message = ipc::root_as_message(payload).map_err(|error| format!("the schema cannot be read: {error}"))?;
    let schema = message.header_as_schema().ok_or("the schema frame holds no schema")?;
    if schema.endianness() != ipc::Endianness::Little {
        return Err("the schema is of a big-endian machine".to_owned());
    }
    let mut left = FIELDS_MAX;
    for field in schema.fields().ok_or("the schema has no fields")? {
        harmless(field, &mut left, DEPTH_MAX)
            .map_err(|why| format!("column `{}`: {why}", field.name().unwrap_or_default()))?;
    }
    Ok(Arc::new(ipc::convert::fb_to_schema(schema)))
}

fn supported(field: &Field) -> Result<(), Error> {
    match field.data_type() {
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::FixedSizeList(child, _)
        | DataType::Map(child, _) => supported(child),
        DataType::Struct(children) => children.iter().try_for_each(|child| supported(child)),
        other @ (DataType::Dictionary(..)
        | DataType::Union(..)
        | DataType::RunEndEncoded(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_)) => {
            Err(Error::Unsupported { column: field.name().clone(), data_type: other.to_string() })
        }
        _ => Ok(()),
    }
}

/// Whether Arrow's conversion, which trusts its input, will take the field.
fn harmless(field: ipc::Field<'_>, left: &mut usize, depth: usize) -> Result<(), String> {
    *left = left.checked_sub(1).ok_or("the schema has too many columns")?;
    let depth = depth.checked_sub(1).ok_or("nested too deep")?;
    if field.dictionary().is_some() {
        return Err("dictionaries are not part of the format".to_owned());
    }
    let children = || field.children().into_iter().flatten();
    if !plain(field) {
        let wanted = nested(field).ok_or_else(|| format!("unknown type {:?}", field.type_type()))?;
        if wanted.is_some_and(|wanted| children().count() != wanted) {
            return Err("a nested type has the wrong number of children".to_owned());
        }
    }
    children().try_for_each(|child| harmless(child, left, depth))
}

/// Whether the type has no children and is one of the format.
fn plain(field: ipc::Field<'_>) -> bool {
    use ipc::{DateUnit, IntervalUnit, Precision, TimeUnit, Type};
    let unit = |unit: TimeUnit| (0..=3).contains(&unit.0);
    match field.type_type() {
        Type::Null | Type::Bool | Type::Binary | Type::BinaryView | Type::LargeBinary => true,
        Type::Utf8 | Type::Utf8View | Type::LargeUtf8 => true,
        Type::Int => field.type_as_int().is_some_and(|int| matches!(int.bitWidth(), 8 | 16 | 32 | 64)),
        Type::FloatingPoint => field
            .type_as_floating_point()
            .is_some_and(|float| matches!(float.precision(), Precision::HALF | Precision::SINGLE | Precision::DOUBLE)),
        Type::FixedSizeBinary => field.type_as_fixed_size_binary().is_some_and(|fixed| fixed.byteWidth() >= 0),
        Type::Date => {
            field.type_as_date().is_some_and(|date| matches!(date.unit(), DateUnit::DAY | DateUnit::MILLISECOND))
        }
        Type::Time => field.type_as_time().is_some_and(|time| {
            matches!(
                (time.bitWidth(), time.unit()),
                (32, TimeUnit::SECOND | TimeUnit::MILLISECOND) | (64, TimeUnit::MICROSECOND | TimeUnit::NANOSECOND)
            )
        }),
        Type::Timestamp => field.type_as_timestamp().is_some_and(|timestamp| unit(timestamp.unit())),
        Type::Duration => field.type_as_duration().is_some_and(|duration| unit(duration.unit())),
        Type::Interval => field.type_as_interval().is_some_and(|interval| {
            matches!(interval.unit(), IntervalUnit::YEAR_MONTH | IntervalUnit::DAY_TIME | IntervalUnit::MONTH_DAY_NANO)
        }),
        Type::Decimal => field.type_as_decimal().is_some_and(|decimal| {
            let precision_max = match decimal.bitWidth() {
                32 => 9,
                64 => 18,
                128 => 38,
                256 => 76,
                _ => 0,
            };
            (1..=precision_max).contains(&decimal.precision()) && i8::try_from(decimal.scale()).is_ok()
        }),
        _ => false,
    }
}

/// How many children a nested type has; `Some(None)` for any number, `None` when it is no such type.
fn nested(field: ipc::Field<'_>) -> Option<Option<usize>> {
    use ipc::Type;
    match field.type_type() {
        Type::List | Type::LargeList => Some(Some(1)),
        Type::FixedSizeList => field.type_as_fixed_size_list().filter(|list| list.listSize() >= 0).map(|_| Some(1)),
        Type::Map => field.type_as_map().map(|_| Some(1)),
        Type::Struct_ => Some(None),
        _ => None,
    }
}
