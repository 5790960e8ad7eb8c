//! What expressions see of a run.

use std::fmt;

use minijinja::value::{Serde, Value};
use sallyport_protocol::{StepCounts, Timestamp};
use serde_json::{Map, json};

/// The names of a run and their values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    run: Map<String, serde_json::Value>,
    steps: Map<String, serde_json::Value>,
    parameters: Map<String, serde_json::Value>,
    variables: Map<String, serde_json::Value>,
}

impl Values {
    /// A run's own facts.
    pub fn new(id: impl fmt::Display, started_at: Option<Timestamp>, due_at: Option<Timestamp>, attempt: u32) -> Self {
        let mut run = Map::new();
        run.insert("id".to_owned(), json!(id.to_string()));
        run.insert("started_at".to_owned(), json!(started_at.and_then(rfc3339)));
        run.insert("due_at".to_owned(), json!(due_at.and_then(rfc3339)));
        run.insert("attempt".to_owned(), json!(attempt));
        Self { run, ..Self::default() }
    }

    /// Sets what the run was given.
    #[must_use]
    pub fn given(self, parameters: Map<String, serde_json::Value>, variables: Map<String, serde_json::Value>) -> Self {
        Self { parameters, variables, ..self }
    }

    /// Adds the result of a step that has ended.
    pub fn step(&mut self, name: &str, state: &str, counts: StepCounts) {
        let result = json!({
            "state": state,
            "rows_in": counts.rows_in,
            "rows_out": counts.rows_out,
            "rows_rejected": counts.rows_rejected,
            "bytes": counts.bytes,
        });
        self.steps.insert(alias(name), result);
    }

    pub(super) fn names(&self) -> Value {
        Value::from(Serde(json!({
            "run": self.run,
            "steps": self.steps,
            "parameters": self.parameters,
            "variables": self.variables,
        })))
    }
}

/// A step's name as expressions write it: a `-` would be read as a minus.
pub(super) fn alias(step: &str) -> String {
    step.replace('-', "_")
}

fn rfc3339(at: Timestamp) -> Option<String> {
    jiff::Timestamp::from_microsecond(at.0).ok().map(|at| at.to_string())
}
