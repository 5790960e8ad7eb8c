//! The words for column types in SQLite's tables, to Arrow fields and back.
//!
//! SQLite takes any words and only distinguishes affinities; what is written here reads back as what it was.

use arrow_schema::{DataType, Field};

use crate::text::types;

/// The field that a column's declared type stands for; `None` where the rows must tell.
pub(super) fn field(name: &str, declared: Option<&str>) -> Option<Field> {
    let declared = declared?.trim().to_ascii_lowercase();
    let word = match declared.split('(').next().unwrap_or_default().trim() {
        "boolean" | "bool" => "boolean",
        "date" => "date",
        "time" => "time",
        "datetime" | "timestamp" | "timestamp without time zone" => "timestamp",
        "timestamptz" | "timestamp with time zone" => "timestamptz",
        "interval" => "interval",
        "uuid" => "uuid",
        "json" | "json text" => "json",
        "numeric text" => "numeric",
        "decimal" | "numeric" | "decimal text" => {
            let decimal = types::decimal(&declared.replace("decimal text", "decimal").replace(' ', ""))?;
            return Some(Field::new(name, decimal, true));
        }
        _ => affinity_word(&declared)?,
    };
    types::field(name, word)
}

/// SQLite's own rules, in their order; `None` for its numeric affinity.
fn affinity_word(declared: &str) -> Option<&'static str> {
    let has = |part: &str| declared.contains(part);
    if has("int") {
        Some("bigint")
    } else if has("char") || has("clob") || has("text") {
        Some("text")
    } else if has("blob") {
        Some("bytea")
    } else if has("real") || has("floa") || has("doub") {
        Some("double")
    } else {
        None
    }
}

/// The declared type that keeps every value of a field.
pub(super) fn declaration(field: &Field) -> String {
    match field.data_type() {
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INTEGER".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 | DataType::Float64 => "REAL".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        // SQLite keeps decimals as doubles, which are exact for this many digits.
        DataType::Decimal128(precision, scale) if *precision <= DOUBLE_DIGITS => {
            format!("DECIMAL({precision},{scale})")
        }
        DataType::Decimal128(precision, scale) => format!("DECIMAL TEXT({precision},{scale})"),
        DataType::Binary => "BLOB".to_owned(),
        DataType::FixedSizeBinary(_) => "UUID".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Time64(_) => "TIME".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMPTZ".to_owned(),
        DataType::Interval(_) => "INTERVAL".to_owned(),
        DataType::List(_) => "JSON TEXT".to_owned(),
        _ => match types::special(field) {
            Some("json" | "jsonb") => "JSON TEXT".to_owned(),
            Some("numeric") => "NUMERIC TEXT".to_owned(),
            _ => "TEXT".to_owned(),
        },
    }
}

/// Decimal digits that a double keeps.
pub(super) const DOUBLE_DIGITS: u8 = 15;

/// What a column does to values of other kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    /// Turns numbers into text.
    Text,
    /// Keeps everything as it is.
    Blob,
    /// Turns text that looks like a number into an integer or a double.
    Number,
    /// As `Number`, and integers into doubles.
    Real,
}

/// The affinity of a declared type.
pub(super) fn affinity(declared: &str) -> Affinity {
    match affinity_word(&declared.to_ascii_lowercase()) {
        _ if declared.is_empty() => Affinity::Blob,
        Some("text") => Affinity::Text,
        Some("bytea") => Affinity::Blob,
        Some("double") => Affinity::Real,
        _ => Affinity::Number,
    }
}
