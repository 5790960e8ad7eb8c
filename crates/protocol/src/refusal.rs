//! Why the server does not let an agent or wrapper in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The reason as a stable word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// No agent has this user name.
    UnknownAgent,
    /// The password was never this agent's.
    WrongCredentials,
    /// The password was this agent's until it was rotated or revoked.
    RevokedCredentials,
    /// The password's time is over.
    ExpiredCredentials,
    /// The password belongs to an agent of another environment.
    OtherEnvironment,
    /// The agent is deactivated.
    Deactivated,
    /// The licence's maximum of agents is online.
    LicenceFull,
    /// The same identity is online from another process.
    DuplicateIdentity,
    /// No protocol version in common.
    VersionTooOld,
    /// The server stops or is overloaded; try again.
    Unavailable,
    /// The other side of the stream has taken every row and has ended.
    Delivered,
    /// A reason this build does not know.
    #[serde(other)]
    Other,
}

/// A refused login. Over HTTP it is the body of a 401, 403 or 503; after the handshake it is a control message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason.
    pub code: RefusalCode,
    /// The reason in words for the agent's log, with what to do.
    pub message: String,
    /// When to try again, in seconds.
    #[serde(default)]
    pub retry_after_seconds: Option<u32>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
