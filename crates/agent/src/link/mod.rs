//! Connections to the server: WebSocket over TLS, dialled by the agent, never the other way.

mod control;
mod data;
mod dial;
#[cfg(test)]
pub(crate) mod tests;
mod upgrade;

use std::time::Duration;

pub use control::carry;
pub use data::Pool;
pub use dial::{DialError, Server};

/// How often a connection is pinged: below the usual 60 s idle limit of load balancers.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(20);

/// A control connection without a byte for so long is lost.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(65);

/// The same for a data connection at work, where a ping may wait behind megabytes on a slow path.
pub(crate) const DATA_SILENCE_MAX: Duration = Duration::from_secs(180);
