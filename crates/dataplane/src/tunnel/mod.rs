//! TCP streams over tunnel lines: WebSockets that carry one stream after the other.
//!
//! Invariant: bytes are copied from a socket into one buffer and from there into the next socket; whoever passes them on
//! does not touch them. A stream holds one buffer a direction, a large one where bulk moves and few others have one, a line
//! at rest almost nothing; a slow reader slows its writer through TCP, and nobody else.

mod carry;
mod frame;
mod line;
mod listen;
mod near;
mod rest;
mod socket;
mod splice;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use carry::{Carried, Moved, carry};
pub use line::{Event, Io, Line, Reader, TLS_BYTES, Writer};
pub use listen::listen;
pub use near::{Cut, Far, Near, pipe};
pub use rest::{Rest, Resting, wait};
pub use socket::{Socket, Split, keep_alive};
pub use splice::{Limits, Spliced, break_off, dismiss, finish, refuse, splice};

/// How often a side that has nothing to say shows that it lives: below the usual 60 s of load balancers.
pub const BEAT_EVERY: Duration = Duration::from_secs(20);

/// A line without a byte for so long is lost.
pub const SILENCE_MAX: Duration = Duration::from_secs(65);

/// How long the ends of a stream that broke off may take to agree on that, before their line is given up.
pub(crate) const SETTLE_MAX: Duration = Duration::from_secs(5);

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides had said all.
    Done,
    /// A side broke it off, or it came to a limit.
    Reset(String),
    /// A line was lost under it.
    Lost(String),
}

impl End {
    /// In words for a log.
    pub fn words(&self) -> &str {
        match self {
            Self::Done => "done",
            Self::Reset(why) | Self::Lost(why) => why,
        }
    }
}
