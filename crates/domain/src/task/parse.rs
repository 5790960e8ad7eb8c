//! From text to a task document. The JSON Schema is checked first, because it finds every wrong field at once.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::Problem;
use super::document::{Task, schema};

/// The largest document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 512 * 1024;

/// Reads a YAML or JSON document (JSON is YAML); every problem names its field.
pub fn parse(text: &str) -> Result<Task, Vec<Problem>> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(vec![problem("", "too_large", format!("the document is larger than {DOCUMENT_BYTES_MAX} bytes"))]);
    }
    let value: Value = serde_saphyr::from_str(text)
        .map_err(|error| vec![problem("", "syntax", format!("the document is not valid YAML: {error}"))])?;
    let problems = against(&schema(), &value, "");
    if !problems.is_empty() {
        return Err(named(problems, &value));
    }
    serde_json::from_value(value).map_err(|error| vec![problem("", "shape", error.to_string())])
}

/// Checks a value against a JSON Schema; `at` is the pointer of the value in its document.
pub(crate) fn against(schema: &Value, value: &Value, at: &str) -> Vec<Problem> {
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => return vec![problem(at, "schema", format!("the connector's schema is not valid: {error}"))],
    };
    let mut known = Vec::new();
    properties(schema, &mut known);
    validator.iter_errors(value).flat_map(|error| worded(&error, at, &known)).collect()
}

fn worded(error: &ValidationError<'_>, at: &str, known: &[&str]) -> Vec<Problem> {
    let path = format!("{at}{}", error.instance_path());
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|field| {
                let near = nearest(field, known.iter().copied());
                problem(&format!("{path}/{field}"), "unknown_field", format!("there is no field `{field}`{near}"))
            })
            .collect(),
        ValidationErrorKind::Required { property } => {
            let field = property.as_str().unwrap_or_default();
            vec![problem(&path, "missing_field", format!("the field `{field}` is missing"))]
        }
        _ => vec![problem(&path, "bad_value", error.to_string())],
    }
}

/// The names of all fields that a schema speaks of, at any depth.
fn properties<'s>(schema: &'s Value, known: &mut Vec<&'s str>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(fields)) = map.get("properties") {
                known.extend(fields.keys().map(String::as_str));
            }
            map.values().for_each(|inner| properties(inner, known));
        }
        Value::Array(all) => all.iter().for_each(|inner| properties(inner, known)),
        _ => {}
    }
}

/// `; did you mean X?` where a known name is close enough.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let best = known.map(|other| (strsim::jaro_winkler(name, other), other)).max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((score, other)) if score > 0.8 => format!("; did you mean `{other}`?"),
        _ => String::new(),
    }
}

pub(crate) fn problem(path: &str, code: &str, message: String) -> Problem {
    Problem { path: path.to_owned(), step: None, code: code.to_owned(), message }
}

/// Adds step names to problems whose path leads into a step.
fn named(problems: Vec<Problem>, document: &Value) -> Vec<Problem> {
    let step_of = |path: &str| {
        let index: usize = path.strip_prefix("/steps/")?.split('/').next()?.parse().ok()?;
        Some(document.get("steps")?.get(index)?.get("name")?.as_str()?.to_owned())
    };
    problems.into_iter().map(|problem| Problem { step: step_of(&problem.path), ..problem }).collect()
}
