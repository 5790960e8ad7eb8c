//! Notices: what about a task's runs people are told, through which channels, how often and how long it is tried.

mod channel;
mod pace;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::run::RunState;

pub use channel::{Draft, HOURLY_DEFAULT, Mail, Protection, RULES_MAX, Target, Webhook, check};
pub use pace::{ATTEMPTS_MAX, may_send, next_try};

/// What people are told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A run did not deliver everything.
    Failure,
    /// The first run that did, after such.
    Recovery,
    /// A run that has not ended within its trigger's `late_after`.
    Late,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Failure, Self::Recovery, Self::Late];

    /// The word in the API and the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Recovery => "recovery",
            Self::Late => "late",
        }
    }
}

/// The text names no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of failure, recovery, late")]
pub struct ParseEventError;

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Event {
    type Err = ParseEventError;

    fn from_str(text: &str) -> Result<Self, ParseEventError> {
        Self::ALL.into_iter().find(|event| event.word() == text).ok_or(ParseEventError)
    }
}

/// Which events of which tasks a channel tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// By name; every task of the environment where it is empty.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// All of them by default.
    #[serde(default = "every_event")]
    pub events: Vec<Event>,
    /// Tells every failure, not only the first until the task recovers.
    #[serde(default)]
    pub repeat: bool,
}

impl Default for Rule {
    fn default() -> Self {
        Self { tasks: Vec::new(), events: every_event(), repeat: false }
    }
}

/// What happened to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It ended so.
    Ended(RunState),
    /// It is late.
    Late,
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occasion {
    /// About what.
    pub event: Event,
    /// Whether it is the first of its kind since the task was well.
    pub first: bool,
}

/// Where a task stands after something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether its last run that says something failed.
    pub failing: bool,
    /// What there is to tell.
    pub occasion: Option<Occasion>,
}

/// Weighs what happened to a run of a task that was, or was not, failing. A run that was cancelled says nothing about
/// its task.
pub fn weigh(failing: bool, what: What) -> Verdict {
    let tell = |event, first| Some(Occasion { event, first });
    match what {
        What::Late => Verdict { failing, occasion: tell(Event::Late, true) },
        What::Ended(state) if !state.has_ended() || state == RunState::Cancelled => Verdict { failing, occasion: None },
        What::Ended(state) if state.is_good() => {
            Verdict { failing: false, occasion: if failing { tell(Event::Recovery, true) } else { None } }
        }
        What::Ended(_) => Verdict { failing: true, occasion: tell(Event::Failure, !failing) },
    }
}

/// Whether a channel with these rules tells it about this task.
pub fn tells(rules: &[Rule], task: &str, occasion: Occasion) -> bool {
    rules.iter().any(|rule| {
        (rule.tasks.is_empty() || rule.tasks.iter().any(|name| name.eq_ignore_ascii_case(task)))
            && rule.events.contains(&occasion.event)
            && (occasion.first || rule.repeat)
    })
}

fn every_event() -> Vec<Event> {
    Event::ALL.to_vec()
}
