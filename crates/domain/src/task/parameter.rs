//! Parameters: what a task asks of whoever starts it.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};

use super::{Problem, nearest, problem};

/// The longest text of one value, in bytes.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;

/// A value that a run is given, for its expressions: `{{ parameters.NAME }}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its name, unique in the task.
    #[schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]{0,62}$"))]
    pub name: String,
    /// What kind of value it is.
    #[serde(default, rename = "type")]
    pub kind: Kind,
    /// The value where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub default: Option<Value>,
    /// Whether a value must be given. One that is neither required nor has a default is `none` in expressions.
    #[serde(default)]
    pub required: bool,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub description: Option<String>,
    /// The values that are allowed; any when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub choices: Vec<Value>,
}

/// Kinds of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Text.
    #[default]
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A day, such as `2026-01-31`.
    Date,
    /// A point in time, such as `2026-01-31T08:00:00Z`; kept in UTC.
    Timestamp,
}

impl Kind {
    /// The value in its own kind; text is understood for every kind, because command lines know nothing else.
    fn read(self, value: &Value) -> Result<Value, String> {
        let read = match (self, value) {
            (Self::String, Value::String(text)) => (text.len() <= VALUE_BYTES_MAX).then(|| json!(text)),
            (Self::Integer, Value::Number(number)) if number.is_i64() => Some(value.clone()),
            (Self::Integer, Value::String(text)) => text.parse::<i64>().ok().map(Value::from),
            (Self::Number, Value::Number(_)) | (Self::Boolean, Value::Bool(_)) => Some(value.clone()),
            (Self::Number, Value::String(text)) => number(text),
            (Self::Boolean, Value::String(text)) => text.parse::<bool>().ok().map(Value::from),
            (Self::Date, Value::String(text)) => text.parse::<Date>().ok().map(|day| json!(day.to_string())),
            (Self::Timestamp, Value::String(text)) => {
                text.parse::<jiff::Timestamp>().ok().map(|at| json!(at.to_string()))
            }
            _ => None,
        };
        read.ok_or_else(|| self.expected())
    }

    fn expected(self) -> String {
        match self {
            Self::String => format!("text of at most {VALUE_BYTES_MAX} bytes"),
            Self::Integer => "a whole number".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Date => "a date such as 2026-01-31".to_owned(),
            Self::Timestamp => "a time with its offset, such as 2026-01-31T08:00:00Z".to_owned(),
        }
    }

    /// A value of this kind.
    fn sample(self) -> Value {
        match self {
            Self::String => json!("text"),
            Self::Integer | Self::Number => json!(1),
            Self::Boolean => json!(true),
            Self::Date => json!("2026-01-31"),
            Self::Timestamp => json!("2026-01-31T08:00:00Z"),
        }
    }
}

impl Parameter {
    fn read(&self, value: &Value) -> Result<Value, String> {
        let read = self.kind.read(value).map_err(|expected| format!("expected {expected}, found {value}"))?;
        let allowed: Vec<Value> = self.choices.iter().filter_map(|choice| self.kind.read(choice).ok()).collect();
        if self.choices.is_empty() || allowed.contains(&read) {
            return Ok(read);
        }
        let words: Vec<String> = allowed.iter().map(Value::to_string).collect();
        Err(format!("expected one of {}, found {value}", words.join(", ")))
    }

    /// A value that it may have.
    pub(crate) fn sample(&self) -> Value {
        let first = self.default.as_ref().or(self.choices.first());
        first.and_then(|value| self.kind.read(value).ok()).unwrap_or_else(|| self.kind.sample())
    }
}

/// Everything that is wrong with a task's parameters themselves.
pub(crate) fn check(parameters: &[Parameter]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, parameter) in parameters.iter().enumerate() {
        let at = |field: &str| format!("/parameters/{index}{field}");
        let name = &parameter.name;
        if parameters[..index].iter().any(|other| other.name == *name) {
            let message = format!("another parameter is named `{name}` too");
            problems.push(problem(&at("/name"), "duplicate_parameter", message));
        }
        for (number, choice) in parameter.choices.iter().enumerate() {
            if let Err(expected) = parameter.kind.read(choice) {
                let message = format!("parameter `{name}`: expected {expected}, found {choice}");
                problems.push(problem(&at(&format!("/choices/{number}")), "bad_choice", message));
            }
        }
        if let Some(Err(wrong)) = parameter.default.as_ref().map(|default| parameter.read(default)) {
            problems.push(problem(&at("/default"), "bad_default", format!("parameter `{name}`: {wrong}")));
        }
        if parameter.required && parameter.default.is_some() {
            let message = format!("parameter `{name}` has a default and is required; leave one of them out");
            problems.push(problem(&at("/required"), "required_default", message));
        }
    }
    problems
}

/// The values of a run from what it was given, defaults included; or everything that is wrong, by `/parameters/NAME`.
pub fn arguments(parameters: &[Parameter], given: &Map<String, Value>) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut problems = Vec::new();
    for name in given.keys().filter(|name| !parameters.iter().any(|parameter| parameter.name == **name)) {
        let near = nearest(name, parameters.iter().map(|parameter| parameter.name.as_str()));
        let message = format!("the task has no parameter `{name}`{near}");
        problems.push(problem(&format!("/parameters/{name}"), "unknown_parameter", message));
    }
    let mut values = Map::new();
    for parameter in parameters {
        let name = &parameter.name;
        let at = format!("/parameters/{name}");
        let value = given.get(name).filter(|value| !value.is_null()).or(parameter.default.as_ref());
        match value.map(|value| parameter.read(value)) {
            Some(Ok(value)) => drop(values.insert(name.clone(), value)),
            Some(Err(wrong)) => problems.push(problem(&at, "bad_parameter", format!("parameter `{name}`: {wrong}"))),
            None if parameter.required => {
                let message = format!("the task needs parameter `{name}`: {}", parameter.kind.expected());
                problems.push(problem(&at, "missing_parameter", message));
            }
            None => drop(values.insert(name.clone(), Value::Null)),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

fn number(text: &str) -> Option<Value> {
    let whole = text.parse::<i64>().ok().map(Value::from);
    whole.or_else(|| Number::from_f64(text.parse().ok()?).map(Value::Number))
}

#[cfg(test)]
mod tests;
