//! Settings of a step, whose strings may have expressions in them at any depth.

use serde_json::{Map, Value};

use super::text::{Target, text};
use super::{Error, Values};

/// The word in a connector's schema for a setting that is SQL.
const SQL: &str = "application/sql";

/// Evaluates every string of a step's settings; `schema` is the connector's. The error names the setting.
pub fn settings(with: &Value, schema: Option<&Value>, values: &Values) -> Result<Value, Error> {
    let Value::Object(fields) = with else { return Ok(with.clone()) };
    let mut evaluated = Map::new();
    for (field, value) in fields {
        let kind = if is_sql(schema, field) { Target::Sql } else { Target::Text };
        let value = deep(value, kind, values).map_err(|error| Error(format!("`{field}`: {error}")))?;
        evaluated.insert(field.clone(), value);
    }
    Ok(Value::Object(evaluated))
}

/// Whether a connector's schema says that a setting is SQL.
pub(crate) fn is_sql(schema: Option<&Value>, field: &str) -> bool {
    let property = schema.and_then(|schema| schema.get("properties")?.get(field)?.get("contentMediaType"));
    property.and_then(Value::as_str) == Some(SQL)
}

/// Every string of a value, with its JSON pointer below `at`.
pub(crate) fn strings<'v>(value: &'v Value, at: &str, found: &mut Vec<(String, &'v str)>) {
    match value {
        Value::String(text) => found.push((at.to_owned(), text)),
        Value::Array(all) => {
            all.iter().enumerate().for_each(|(index, inner)| strings(inner, &format!("{at}/{index}"), found));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(field, inner)| strings(inner, &format!("{at}/{field}"), found));
        }
        _ => {}
    }
}

fn deep(value: &Value, kind: Target, values: &Values) -> Result<Value, Error> {
    match value {
        Value::String(one) => text(one, kind, values),
        Value::Array(all) => all.iter().map(|inner| deep(inner, kind, values)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(field, inner)| Ok((field.clone(), deep(inner, kind, values)?)))
            .collect::<Result<Map<_, _>, Error>>()
            .map(Value::Object),
        other => Ok(other.clone()),
    }
}
