//! Log levels, as people set them for file and console.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How much is written; each level includes those after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LogLevel {
    /// Every step of the work, for developers.
    Trace,
    /// Technical details, for developers and administrators.
    Debug,
    /// What the agent does, for everyone.
    #[default]
    #[serde(alias = "Information")]
    Info,
    /// Something is off and was mended or can be.
    #[serde(alias = "Warn")]
    Warning,
    /// A task or a process failed.
    Error,
    /// The program cannot go on.
    #[serde(alias = "Critical")]
    Fatal,
}

impl LogLevel {
    /// All levels, the most talkative first.
    pub const ALL: [Self; 6] = [Self::Trace, Self::Debug, Self::Info, Self::Warning, Self::Error, Self::Fatal];

    /// The name as it is written in settings and shown to people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trace => "Trace",
            Self::Debug => "Debug",
            Self::Info => "Info",
            Self::Warning => "Warning",
            Self::Error => "Error",
            Self::Fatal => "Fatal",
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no log level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseLevelError;

impl fmt::Display for ParseLevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected one of Trace, Debug, Info, Warning, Error, Fatal")
    }
}

impl std::error::Error for ParseLevelError {}

impl FromStr for LogLevel {
    type Err = ParseLevelError;

    /// Case does not matter; `Information`, `Warn` and `Critical` are understood too.
    fn from_str(text: &str) -> Result<Self, ParseLevelError> {
        match text.to_ascii_lowercase().as_str() {
            "trace" => Ok(Self::Trace),
            "debug" => Ok(Self::Debug),
            "info" | "information" => Ok(Self::Info),
            "warning" | "warn" => Ok(Self::Warning),
            "error" => Ok(Self::Error),
            "fatal" | "critical" => Ok(Self::Fatal),
            _ => Err(ParseLevelError),
        }
    }
}
