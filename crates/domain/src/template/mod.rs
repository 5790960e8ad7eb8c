//! Expressions in task documents: conditions of steps, and `{{ }}` in settings and queries.
//!
//! Invariant: an expression sees the run and nothing else, and its work and its output are bounded. It is checked when
//! the task is saved (syntax, names, filters) and evaluated when its step is about to start. A value gets into SQL only
//! through a filter that quotes it.

mod condition;
mod engine;
mod quote;
mod scope;
mod settings;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod values;

pub use condition::condition;
pub(crate) use scope::Scope;
pub use settings::settings;
pub(crate) use settings::{is_sql, strings};
pub(crate) use text::is_template;
pub use text::{TEXT_BYTES_MAX, Target, sql};
pub use values::Values;

/// An expression that cannot be evaluated. The text is for the task's author.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);
