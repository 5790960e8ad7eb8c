//! What carries a stream: two bounded queues of messages, whatever lies behind them.
//!
//! An agent joins the far end to a WebSocket; the server hands one end to its own agent and splices the other.

use bytes::Bytes;
use tokio::sync::mpsc;

/// Messages waiting on one side: the socket's task and the stream's thread need not take turns.
pub const TRANSPORT_MESSAGES_MAX: usize = 8;

/// A message of at most [`crate::stream::MESSAGE_BYTES_MAX`] bytes, or the reason why the channel broke, then last.
pub type Message = Result<Bytes, String>;

/// One end of an ordered two-way channel.
#[derive(Debug)]
pub struct Transport {
    /// To the peer; dropping it closes the channel after what was sent.
    pub outgoing: mpsc::Sender<Message>,
    /// From the peer; ends when the peer has closed.
    pub incoming: mpsc::Receiver<Message>,
}

impl Transport {
    /// Both ends.
    pub fn pair() -> (Self, Self) {
        let (to_right, from_left) = mpsc::channel(TRANSPORT_MESSAGES_MAX);
        let (to_left, from_right) = mpsc::channel(TRANSPORT_MESSAGES_MAX);
        (Self { outgoing: to_right, incoming: from_right }, Self { outgoing: to_left, incoming: from_left })
    }
}
