//! Tasks: the document a person writes, and the check that names everything wrong with it at once.

mod document;
mod duration;
pub mod parameter;
mod parse;
#[cfg(test)]
mod tests;
mod trigger;

pub use document::{OnError, Retry, Step, Task, schema};
pub use duration::{Span, SpanError};
pub use parameter::Parameter;
pub use parse::{DOCUMENT_BYTES_MAX, parse};
pub(crate) use parse::{against, nearest, problem};
pub use trigger::{Missed, Signature, Trigger, Webhook, When};

use serde::{Deserialize, Serialize};

/// One thing that is wrong with a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where, as a JSON pointer into the document: `/steps/1/with/table`.
    pub path: String,
    /// The step's name, where the problem is in one.
    #[serde(default)]
    pub step: Option<String>,
    /// A stable word, such as `unknown_agent`.
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
}
