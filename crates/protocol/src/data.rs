//! The opening of a data connection. After [`DataReply::Ready`] it carries one stream of frames and nothing else.

use serde::{Deserialize, Serialize};

use crate::{Refusal, Secret};

/// The right to one end of one stream; made by the server, good for one agent while the attempt is at work.
pub type Ticket = Secret;

/// Carries the ticket of a tunnel line.
pub const TICKET_HEADER: &str = "sallyport-ticket";

/// Which end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Sends batches.
    Producer,
    /// Takes batches.
    Consumer,
}

/// What the agent says on a data connection, as one text message. Until then the connection waits, ready for use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DataRequest {
    /// Attach this connection to a stream.
    Attach {
        /// The right to do so.
        ticket: Ticket,
    },
}

/// What the server answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DataReply {
    /// Both ends are attached: frames follow.
    Ready,
    /// The ticket is unknown, of an attempt that is over, or another agent's; or (`unavailable`) the other end is not
    /// there: try again.
    Refused {
        /// Why.
        refusal: Refusal,
    },
    /// An answer this build does not know; the stream does not come about.
    #[serde(other)]
    Unknown,
}
