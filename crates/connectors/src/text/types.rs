//! The words for column types in settings, and the Arrow fields they stand for.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};
use sallyport_dataplane::TYPE_KEY;

/// The words, for errors and documents.
pub(crate) const WORDS: &str = "smallint, int, bigint, real, double, numeric, numeric(p,s), text, bytea, boolean, date, time, \
     timestamp, timestamptz, interval, uuid, json, jsonb, and each with [] for a list";

/// How deep lists may nest: far more than anybody has, far less than the stack holds.
const DEPTH_MAX: usize = 8;

/// The nullable field of a type word.
pub(crate) fn field(name: &str, word: &str) -> Option<Field> {
    let word = word.trim().to_ascii_lowercase();
    let (mut element, mut depth) = (word.as_str(), 0);
    while let Some(inner) = element.strip_suffix("[]") {
        element = inner.trim_end();
        depth += 1;
    }
    if depth > DEPTH_MAX {
        return None;
    }
    let mut field = plain("item", element)?;
    for _ in 0..depth {
        field = Field::new("item", DataType::List(Arc::new(field)), true);
    }
    Some(field.with_name(name))
}

/// The field of a word without `[]`.
fn plain(name: &str, word: &str) -> Option<Field> {
    let (data_type, special) = match word {
        "smallint" | "int2" | "int16" => (DataType::Int16, None),
        "int" | "integer" | "int4" | "int32" => (DataType::Int32, None),
        "bigint" | "int8" | "int64" => (DataType::Int64, None),
        "real" | "float4" | "float32" => (DataType::Float32, None),
        "double" | "double precision" | "float" | "float8" | "float64" => (DataType::Float64, None),
        "numeric" | "decimal" => (DataType::Utf8, Some("numeric")),
        "text" | "varchar" | "char" | "string" | "utf8" => (DataType::Utf8, None),
        "json" => (DataType::Utf8, Some("json")),
        "jsonb" => (DataType::Utf8, Some("jsonb")),
        "bytea" | "binary" | "blob" => (DataType::Binary, None),
        "boolean" | "bool" => (DataType::Boolean, None),
        "date" => (DataType::Date32, None),
        "time" => (DataType::Time64(TimeUnit::Microsecond), None),
        "timestamp" | "datetime" => (DataType::Timestamp(TimeUnit::Microsecond, None), None),
        "timestamptz" => (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), None),
        "interval" => (DataType::Interval(IntervalUnit::MonthDayNano), None),
        "uuid" => (DataType::FixedSizeBinary(16), Some("uuid")),
        _ => (decimal(word)?, None),
    };
    let field = Field::new(name, data_type, true);
    Some(match special {
        Some(special) => field.with_metadata(HashMap::from([(TYPE_KEY.to_owned(), special.to_owned())])),
        None => field,
    })
}

/// The word for a field's type; Arrow's own where there is none.
pub(crate) fn word(field: &Field) -> String {
    let word = match (field.data_type(), special(field)) {
        (DataType::Interval(_), _) => "interval",
        (DataType::Utf8, Some(special @ ("numeric" | "json" | "jsonb"))) => special,
        (DataType::FixedSizeBinary(16), _) => "uuid",
        (DataType::Utf8, _) => "text",
        (DataType::Int16, _) => "smallint",
        (DataType::Int32, _) => "int",
        (DataType::Int64, _) => "bigint",
        (DataType::Float32, _) => "real",
        (DataType::Float64, _) => "double",
        (DataType::Binary, _) => "bytea",
        (DataType::Boolean, _) => "boolean",
        (DataType::Date32, _) => "date",
        (DataType::Time64(_), _) => "time",
        (DataType::Timestamp(_, None), _) => "timestamp",
        (DataType::Timestamp(_, Some(_)), _) => "timestamptz",
        (DataType::Decimal128(precision, scale), _) => return format!("numeric({precision},{scale})"),
        (DataType::List(item), _) => return format!("{}[]", self::word(item)),
        (other, _) => return other.to_string(),
    };
    word.to_owned()
}

/// What the field's metadata adds to its type.
pub(crate) fn special(field: &Field) -> Option<&str> {
    field.metadata().get(TYPE_KEY).map(String::as_str)
}

/// `numeric(p,s)` and `decimal(p,s)`.
pub(crate) fn decimal(word: &str) -> Option<DataType> {
    let inner = word.strip_prefix("numeric").or_else(|| word.strip_prefix("decimal"))?;
    let inner = inner.trim().strip_prefix('(')?.strip_suffix(')')?;
    let (precision, scale) = match inner.split_once(',') {
        Some((precision, scale)) => (precision.trim().parse::<u8>().ok()?, scale.trim().parse::<i8>().ok()?),
        None => (inner.trim().parse::<u8>().ok()?, 0),
    };
    let fits = (1..=38).contains(&precision) && (0..=38).contains(&scale) && scale.unsigned_abs() <= precision;
    fits.then_some(DataType::Decimal128(precision, scale))
}
