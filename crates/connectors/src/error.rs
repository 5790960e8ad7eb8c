//! How a connector fails.

use sallyport_dataplane::{Cancelled, EdgeError};
use sallyport_protocol::{Failure, FailureKind};
use sallyport_site::policy::Refused;

/// Why a step's connector ended early.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It was told to stop.
    #[error("cancelled")]
    Cancelled,
    /// The step at the other end of an edge ended first; that step says why.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// It failed by itself.
    #[error("{}", .0.message)]
    Failed(Box<Failure>),
}

impl From<Cancelled> for Error {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl Error {
    /// A failure that trying again will not mend; `code` is a stable word, `message` names the thing that is wrong.
    pub fn permanent(kind: FailureKind, code: &str, message: impl Into<String>) -> Self {
        Self::failed(kind, code, message.into(), false)
    }

    /// A failure that may pass, such as a connection that was lost.
    pub fn transient(kind: FailureKind, code: &str, message: impl Into<String>) -> Self {
        Self::failed(kind, code, message.into(), true)
    }

    /// Adds what the reader should do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        if let Self::Failed(failure) = &mut self {
            failure.advice = Some(advice.into());
        }
        self
    }

    /// A step or connection names a connector that this build does not have.
    pub fn unknown_connector(kind: &str) -> Self {
        Self::permanent(FailureKind::Connector, "unknown_connector", format!("this agent has no connector `{kind}`"))
            .advise("update the agent, or correct the connector's name")
    }

    /// The site's administrator does not allow it.
    pub fn not_allowed(refused: &Refused) -> Self {
        Self::permanent(FailureKind::Connector, "not_allowed_by_site", refused.to_string())
            .advise(refused.advice.clone())
    }

    /// The system has no thread to spare.
    pub(crate) fn no_thread(why: &std::io::Error) -> Self {
        Self::transient(FailureKind::Runtime, "no_thread", format!("starting a thread: {why}"))
            .advise("raise the limit of threads of the agent's user")
    }

    fn failed(kind: FailureKind, code: &str, message: String, transient: bool) -> Self {
        Self::Failed(Box::new(Failure { kind, code: code.to_owned(), message, advice: None, transient }))
    }
}
