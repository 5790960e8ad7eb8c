//! From text to a task document. The JSON Schema is checked first, because it finds every wrong field at once.

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
    match jsonschema::validator_for(schema) {
        Ok(validator) => validator
            .iter_errors(value)
            .map(|error| problem(&format!("{at}{}", error.instance_path()), "schema", error.to_string()))
            .collect(),
        Err(error) => vec![problem(at, "schema", format!("the connector's schema is not valid: {error}"))],
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
