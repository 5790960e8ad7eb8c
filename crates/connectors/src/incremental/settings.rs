//! What a reading step says about its cursor.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads only what is new since the last run, by a column whose values grow.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cursor {
    /// The column whose value grows with every new or changed row, such as `updated_at` or `id`.
    #[schemars(length(min = 1))]
    pub(crate) column: String,
    /// The first value that the first run reads; left out: everything.
    #[serde(default)]
    #[schemars(schema_with = "text_or_number")]
    pub(crate) start: Option<Value>,
    /// How far behind the newest value reading ends, so that rows that are committed late are not missed: a time such
    /// as `5m` for dates and times, a number for numbers.
    #[serde(default)]
    pub(crate) lag: Option<Lag>,
}

/// How far behind the newest value reading ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lag {
    /// For dates and times.
    Time(Duration),
    /// For numbers.
    Number(i64),
}

impl<'de> Deserialize<'de> for Lag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl Visitor<'_> for Written {
            type Value = Lag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a time such as `30s`, `5m`, `2h` or `1d`")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Lag, E> {
                i64::try_from(number).map(Lag::Number).map_err(|_| E::custom("the number is too large"))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Lag, E> {
                Err(E::custom("a lag is not negative"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Lag, E> {
                time(text).map(Lag::Time).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(Written)
    }
}

impl JsonSchema for Lag {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Lag".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": "^[0-9]+(s|m|h|d)$" },
        ] })
    }
}

fn text_or_number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "The first value that the first run reads; left out: everything.",
        "anyOf": [{ "type": "string" }, { "type": "integer" }],
    })
}

fn time(text: &str) -> Option<Duration> {
    let unit = match text.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3600,
        b'd' => 86400,
        _ => return None,
    };
    let count: u64 = text[..text.len() - 1].parse().ok()?;
    Some(Duration::from_secs(count.checked_mul(unit)?))
}
