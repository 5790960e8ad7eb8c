//! What delivery a writing step promises, in the words that runs show.

use serde_json::Value;

/// How often a row reaches the target, whatever is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Once: what was committed is found again.
    ExactlyOnce,
    /// All rows appear in one moment, in the place of what was there.
    AllOrNothing,
    /// Once, or more often when the confirmation of a commit is lost.
    AtLeastOnce,
}

impl Promise {
    /// What a step of this kind with this `with` promises; `None` for kinds that this build does not know.
    pub fn of(kind: &str, settings: &Value) -> Option<Self> {
        let text = |field: &str| settings.get(field).and_then(Value::as_str);
        match kind {
            "postgres" | "sqlite" => Some(match text("mode") {
                Some("truncate" | "replace") => Self::AllOrNothing,
                // Repeating these changes nothing.
                Some("upsert" | "delete") => Self::ExactlyOnce,
                _ if settings.get("ledger") == Some(&Value::Bool(false)) => Self::AtLeastOnce,
                _ => Self::ExactlyOnce,
            }),
            "file" => Some(Self::AllOrNothing),
            "program" => Some(Self::AtLeastOnce),
            _ => None,
        }
    }

    /// As the API and the command line say it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::ExactlyOnce => "exactly once",
            Self::AllOrNothing => "all or nothing",
            Self::AtLeastOnce => "at least once",
        }
    }
}
