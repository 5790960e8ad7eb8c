//! What starts a task by itself, as a person writes it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Span;
use super::document::yes;

/// Starts the task: at times (`cron`, `every` or `at`), when somebody calls (`webhook`), or after another task
/// (`after`); it has exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The trigger's name, unique in the task.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"))]
    pub name: String,
    /// Local times, as five fields (minute, hour, day of month, month, day of week) or six, the second first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub cron: Option<String>,
    /// A fixed distance, at least a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub every: Option<Span>,
    /// One time, such as `2026-12-01T08:00` in `zone`, or `2026-12-01T07:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub at: Option<String>,
    /// An HTTP request from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Webhook")]
    pub webhook: Option<Webhook>,
    /// The end of a run of this other task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub after: Option<String>,
    /// The time zone of `cron`, and of `at` and `from` without an offset, such as `Europe/Prague`; UTC by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub zone: Option<String>,
    /// A time from which `every` counts; 1970-01-01T00:00:00Z by default, so that `15m` means the quarters of the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub from: Option<String>,
    /// How the other task's run must have ended (`success` by default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "When")]
    pub when: Option<When>,
    /// What becomes of times that passed while the server was down (`once` by default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Missed")]
    pub missed: Option<Missed>,
    /// A run that has not ended this long after it was due is late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub late_after: Option<Span>,
    /// What the task's parameters are to be, by name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// An inactive trigger starts nothing.
    #[serde(default = "yes")]
    pub active: bool,
}

/// How a webhook's request is trusted, beyond the secret token in its address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// What the request must carry.
    #[serde(default)]
    pub signature: Signature,
    /// Parameters that come from the request's body, which is JSON: by name the JSON pointer, such as `/order/id`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 100))]
    pub parameters: BTreeMap<String, String>,
}

/// What a webhook's request must carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// Nothing more.
    #[default]
    None,
    /// A time and a signature over time and body.
    HmacSha256,
}

/// Which ends of the other task's runs count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// It delivered everything there was.
    #[default]
    Success,
    /// It did not.
    Failure,
    /// However it ended.
    Any,
}

/// What becomes of times that passed while the server was down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// One run stands for all of them.
    #[default]
    Once,
    /// Each gets its run, up to a limit.
    All,
    /// They are left out.
    Skip,
}
