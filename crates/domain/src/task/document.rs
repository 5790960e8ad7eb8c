//! The task document's shape.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{Parameter, Span, Trigger};

/// A task: a graph of steps that move rows from where they are to where they are wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The task's name, unique in its environment.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"))]
    pub task: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub description: Option<String>,
    /// An inactive task is not run.
    #[serde(default = "yes")]
    pub active: bool,
    /// How many runs of it may go on at one time; more wait.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
    /// Runs of a higher priority start first.
    #[serde(default)]
    #[schemars(range(min = -100, max = 100))]
    pub priority: i32,
    /// What a run may be given when it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub parameters: Vec<Parameter>,
    /// What starts it, besides a person and the API.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub triggers: Vec<Trigger>,
    /// What to do. Steps joined by `input` run at the same time, rows streaming from one to the next.
    #[schemars(length(min = 1, max = 200))]
    pub steps: Vec<Step>,
}

/// A step: reads with a connector, transforms its inputs, writes its input with a connector, or starts another task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The step's name, unique in the task; transforms see its rows as a table of this name.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$"))]
    pub name: String,
    /// The connector's kind, such as `postgres` or `file`. May be left out beside `connection`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub connector: Option<String>,
    /// An SQL query over the inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub transform: Option<String>,
    /// Another task of the environment, to be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub task: Option<String>,
    /// What that task's parameters are to be, by name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// Whether the step ends with that task's run (the default), or once that is started.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub wait: bool,
    /// The connection to use; its agent runs the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub connection: Option<String>,
    /// The agent that runs the step, where no connection says so; a transform runs by default where its first input does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub agent: Option<String>,
    /// The step or steps whose rows come in. A connector step with an input writes, one without reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(schema_with = "one_or_many_schema")]
    pub input: Vec<String>,
    /// The step or steps that must have ended well before this one starts, without giving it rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(schema_with = "one_or_many_schema")]
    pub after: Vec<String>,
    /// An expression such as `steps.orders.rows_out > 0`. Where it does not hold, the step and what needs its rows is
    /// skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 4000))]
    pub when: Option<String>,
    /// What a failure of the step means for the run.
    #[serde(default, skip_serializing_if = "OnError::is_default")]
    pub on_error: OnError,
    /// The connector's settings for this step.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// The longest one attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub timeout: Option<Span>,
    /// How long the step may wait for an agent that is offline (24h by default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub deadline: Option<Span>,
    /// What to do after a failure that may pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Retry")]
    pub retry: Option<Retry>,
    /// An inactive step is skipped, and so are the steps that need its rows.
    #[serde(default = "yes")]
    pub active: bool,
}

/// What a failure of a step means for its run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The run fails; steps that come after this one do not start.
    #[default]
    Fail,
    /// The run goes on, steps that come after this one start, and it ends as `finished with errors`.
    Continue,
}

impl OnError {
    const fn is_default(&self) -> bool {
        matches!(self, Self::Fail)
    }
}

/// Retries after failures that may pass, such as a lost connection; a wrong password is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// The most attempts, the first included.
    #[serde(default = "Retry::attempts_default")]
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// The wait before the second attempt; it doubles with each further one, up to an hour.
    #[serde(default = "Retry::backoff_default")]
    pub backoff: Span,
}

impl Retry {
    const fn attempts_default() -> u32 {
        3
    }

    const fn backoff_default() -> Span {
        Span::seconds(5)
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: Self::attempts_default(), backoff: Self::backoff_default() }
    }
}

/// The JSON Schema that editors and the parser use.
pub fn schema() -> Value {
    schemars::schema_for!(Task).to_value()
}

pub(super) const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_true(value: &bool) -> bool {
    *value
}

const fn one() -> u32 {
    1
}

fn one_or_many_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "One step's name or a list of them.",
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "maxItems": 50 }],
    })
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Names;

    impl<'de> Visitor<'de> for Names {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a step's name or a list of them")
        }

        fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
            Ok(vec![name.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(name) = names.next_element()? {
                all.push(name);
            }
            Ok(all)
        }
    }

    deserializer.deserialize_any(Names)
}
