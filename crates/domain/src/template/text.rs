//! Strings with `{{ expressions }}` in them.

use minijinja::value::Value;

use super::engine::{environment, said};
use super::{Error, Values, engine};

/// The longest text that a string with expressions may become, in bytes.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;

/// What a string is for; it decides how values get into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Any text.
    Text,
    /// SQL: a value that is text must go through a filter that makes it safe.
    Sql,
}

impl Target {
    /// The name under which the environment's formatter knows it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Sql => "sql",
        }
    }
}

/// Whether a string has expressions in it.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// The expression of a string that is nothing else, so that a number stays a number.
fn alone(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}")).then_some(inner)
}

/// Evaluates the expressions of a string.
pub(super) fn text(text: &str, kind: Target, values: &Values) -> Result<serde_json::Value, Error> {
    if !is_template(text) {
        return Ok(serde_json::Value::String(text.to_owned()));
    }
    match alone(text).filter(|_| kind == Target::Text) {
        Some(expression) => plain(&engine::value(expression, values.names())?),
        None => rendered(text, kind, values).map(serde_json::Value::String),
    }
}

/// Evaluates the expressions of SQL.
pub fn sql(query: &str, values: &Values) -> Result<String, Error> {
    if is_template(query) { rendered(query, Target::Sql, values) } else { Ok(query.to_owned()) }
}

fn rendered(text: &str, kind: Target, values: &Values) -> Result<String, Error> {
    let names = values.names();
    let rendered = environment().render_named_str(kind.word(), text, names).map_err(|error| said(&error))?;
    if rendered.len() > TEXT_BYTES_MAX {
        return Err(Error(format!("the text becomes {} bytes, over the limit of {TEXT_BYTES_MAX}", rendered.len())));
    }
    Ok(rendered)
}

fn plain(value: &Value) -> Result<serde_json::Value, Error> {
    if value.is_undefined() || value.is_none() {
        return Err(Error("it has no value".to_owned()));
    }
    let plain = serde_json::to_value(value).map_err(|error| Error(error.to_string()))?;
    match plain.as_str() {
        Some(text) if text.len() > TEXT_BYTES_MAX => {
            Err(Error(format!("the text is {} bytes, over the limit of {TEXT_BYTES_MAX}", text.len())))
        }
        _ => Ok(plain),
    }
}
