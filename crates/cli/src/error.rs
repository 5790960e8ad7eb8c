//! How a command fails: one line, detail for those who ask, and an exit code that scripts can rely on.

use std::fmt;
use std::process::ExitCode;

/// Why a command ended, as its exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Anything that has no code of its own.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// What was named does not exist.
    NotFound = 3,
    /// It was changed or is in use.
    Conflict = 4,
    /// No login, or no right.
    NotAllowed = 5,
    /// The command worked, the run did not.
    RunFailed = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure as people read it.
#[derive(Debug)]
pub(crate) struct Error {
    /// The exit code.
    pub(crate) exit: Exit,
    /// One line.
    pub(crate) message: String,
    /// What belongs to the message and is always shown, such as each wrong field of a document.
    pub(crate) problems: Vec<String>,
    /// What is shown with `-v`.
    pub(crate) detail: Vec<String>,
    /// The same may work a little later: the server was away or busy.
    pub(crate) passing: bool,
}

/// What commands return.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure of this kind.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), problems: Vec::new(), detail: Vec::new(), passing: false }
    }

    /// A failure without a code of its own.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// A wrong command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The same may work a little later.
    #[must_use]
    pub(crate) fn passing(mut self) -> Self {
        self.passing = true;
        self
    }

    /// Adds a line for `-v`.
    #[must_use]
    pub(crate) fn detail(mut self, line: impl Into<String>) -> Self {
        self.detail.push(line.into());
        self
    }

    /// Adds a line that is always shown.
    #[must_use]
    pub(crate) fn problem(mut self, line: impl Into<String>) -> Self {
        self.problems.push(line.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        // The cause belongs to the line: without it nobody knows what to do.
        Self::failed(format!("{error:#}"))
    }
}

/// Says what was being done when an input or output operation failed.
pub(crate) trait Doing<T> {
    /// `doing` is a phrase such as ``reading `task.yaml` ``.
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| {
            let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
            Error::new(exit, format!("{}: {error}", doing()))
        })
    }
}
