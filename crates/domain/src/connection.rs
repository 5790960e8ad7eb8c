//! Rules about connections: what a person may save.

use std::path::Path;

use sallyport_protocol::Descriptor;
use serde_json::Value;

use crate::agent::Kind;
use crate::task::{Problem, against, problem};

/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 128;

/// What a person wants to save.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Its name; tasks use it.
    pub name: &'a str,
    /// The connector's kind.
    pub kind: &'a str,
    /// As the connector's schema says.
    pub settings: &'a Value,
    /// Names of the secrets.
    pub secrets: &'a [String],
    /// The agent that reaches it, if the name was found.
    pub agent: Option<(&'a str, Kind)>,
}

/// Everything that is wrong with a connection.
pub fn check(draft: Draft<'_>, catalog: &[Descriptor]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !is_name(draft.name) {
        let message = format!(
            "`{}` cannot be a name: expected 1 to {NAME_CHARS_MAX} characters without control characters, spaces at \
             the ends, or `/`",
            draft.name
        );
        problems.push(problem("/name", "name", message));
    }
    let Some(descriptor) = catalog.iter().find(|descriptor| descriptor.kind == draft.kind) else {
        let known: Vec<&str> = catalog.iter().map(|descriptor| descriptor.kind.as_str()).collect();
        let message = format!("there is no connector `{}`: expected one of {}", draft.kind, known.join(", "));
        problems.push(problem("/kind", "unknown_connector", message));
        return problems;
    };
    match &descriptor.connection_schema {
        Some(schema) => problems.extend(against(schema, draft.settings, "/settings")),
        None => {
            let message = format!("connector `{}` takes no connection", draft.kind);
            problems.push(problem("/kind", "no_connection", message));
        }
    }
    // A connector that names no secrets of its own hands on whatever its program needs.
    for secret in draft.secrets.iter().filter(|_| !descriptor.secrets.is_empty()) {
        if !descriptor.secrets.contains(secret) {
            let message = format!(
                "connector `{}` has no secret `{secret}`: it has {}",
                draft.kind,
                descriptor.secrets.join(", ")
            );
            problems.push(problem(&format!("/secrets/{secret}"), "unknown_secret", message));
        }
    }
    if let Some((agent, Kind::Background)) = draft.agent
        && let Some(why) = descriptor.background_refuses()
    {
        let message = format!("agent `{agent}` cannot serve connector `{}`: {why}; choose a remote agent", draft.kind);
        problems.push(problem("/agent", "agent_not_allowed", message));
    }
    if let (Some((agent, Kind::Background)), Some(schema)) = (draft.agent, &descriptor.connection_schema) {
        problems.extend(absolute(schema, draft.settings).map(|field| {
            let message = format!(
                "`{field}` must be relative: agent `{agent}` reaches the server's files folder only; name a place below \
                 it, or choose a remote agent"
            );
            problem(&format!("/settings/{field}"), "absolute_path", message)
        }));
    }
    problems
}

/// The settings that the schema calls paths and that are absolute here, where the background agent runs.
fn absolute<'a>(schema: &'a Value, settings: &'a Value) -> impl Iterator<Item = &'a str> {
    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    fields.filter(|(_, shape)| shape.get("format").is_some_and(|format| format == "path")).filter_map(|(field, _)| {
        let path = Path::new(settings.get(field)?.as_str()?);
        path.has_root().then_some(field.as_str())
    })
}

pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.trim() == name
        && name.chars().count() <= NAME_CHARS_MAX
        && !name.chars().any(|c| c.is_control() || c == '/')
}

#[cfg(test)]
mod tests;
