//! Rules about connections: what a person may save.

mod reach;

use std::path::Path;

use sallyport_protocol::Descriptor;
use serde_json::Value;

use crate::agent::Kind;
use crate::task::{Problem, against, problem};

pub use reach::{Reach, Trouble};

/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 128;

/// The most agents that serve one connection.
pub const AGENTS_MAX: usize = 16;

/// The agent of a connection's that serves it now, for what begins: the first that is online; without one the first that
/// may come online, else the first.
pub fn serving<T>(agents: impl IntoIterator<Item = T> + Clone, stands: impl Fn(&T) -> Standing) -> Option<T> {
    let first = |wanted: Standing| agents.clone().into_iter().find(|agent| stands(agent) == wanted);
    first(Standing::Online).or_else(|| first(Standing::Offline)).or_else(|| agents.clone().into_iter().next())
}

/// Whether an agent can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Now.
    Online,
    /// Once it is back.
    Offline,
    /// Not before a person reactivates it.
    Deactivated,
}

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
    /// The agents that reach it, of those whose names were found.
    pub agents: &'a [(&'a str, Kind)],
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
    problems.extend(grouped(draft.agents));
    let Some((agent, _)) = draft.agents.iter().find(|(_, kind)| *kind == Kind::Background) else { return problems };
    if let Some(why) = descriptor.background_refuses(false) {
        let message = format!("agent `{agent}` cannot serve connector `{}`: {why}; choose a remote agent", draft.kind);
        problems.push(problem("/agent", "agent_not_allowed", message));
    }
    if let Some(schema) = &descriptor.connection_schema {
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

/// What is wrong with several agents for one connection.
fn grouped(agents: &[(&str, Kind)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if agents.len() > AGENTS_MAX {
        let message = format!("{} agents are too many: a connection has at most {AGENTS_MAX}", agents.len());
        problems.push(problem("/agents", "too_many", message));
    }
    for (at, (agent, kind)) in agents.iter().enumerate() {
        if agents[..at].iter().any(|(before, _)| before == agent) {
            problems.push(problem(&format!("/agents/{at}"), "twice", format!("agent `{agent}` is given twice")));
        }
        if *kind == Kind::Background && agents.len() > 1 {
            let message = format!("agent `{agent}` is the server's own and serves a connection alone; leave it out");
            problems.push(problem(&format!("/agents/{at}"), "agent_not_allowed", message));
        }
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
