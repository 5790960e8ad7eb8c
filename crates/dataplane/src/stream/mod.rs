//! Batch streams between agents: schema, batches, end, over any ordered transport, with credit flowing back.
//!
//! [`Sender`] and [`Receiver`] are values without I/O: bytes in, events and bytes out. [`send`] and [`receive`] are the
//! thin loops that join them to an edge and a [`Transport`](crate::Transport).

mod batch;
pub mod foreign;
mod pump;
mod receiver;
mod schema;
mod sender;
#[cfg(test)]
mod tests;

use crate::EdgeError;

pub use pump::{Ending, receive, send};
pub use receiver::{Event, Receiver};
pub use sender::{Answer, Sender, slices};

/// Bytes that a producer may send before the consumer has taken any: 160 MB/s on a path of 50 ms.
pub const WINDOW_BYTES: u64 = 8 * 1024 * 1024;

/// The largest encoded batch: what a single row may take.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Larger batches of several rows are sent in parts, each of which waits for room: half a window, so that one part is
/// on its way while another is taken.
pub const SLICE_BYTES: usize = 4 * 1024 * 1024;

/// The largest message given to a transport.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// What a batch costs at least, so that a window cannot hold endless tiny ones.
const BATCH_COST_MIN: u64 = 4 * 1024;

/// The longest reason of an abort.
const REASON_BYTES_MAX: usize = 4 * 1024;

/// Why a stream ended before its time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The transport broke or was closed.
    #[error("the connection that carried the rows was lost: {0}")]
    Lost(String),
    /// What came in is not a stream, or not in order.
    #[error("the stream of rows is garbled: {0}")]
    Garbled(String),
    /// The other side ended and said why.
    #[error("{0}")]
    Aborted(String),
    /// One row does not fit.
    #[error("batch_too_large: a row of {bytes} bytes cannot be sent to another agent, the limit is {BATCH_BYTES_MAX}")]
    BatchTooLarge {
        /// Its encoded size.
        bytes: usize,
    },
    /// A column's type cannot cross.
    #[error("column `{column}` has type {data_type}, which cannot be sent to another agent; cast it in a transform")]
    Unsupported {
        /// The column.
        column: String,
        /// Its Arrow type.
        data_type: String,
    },
    /// Arrow could not encode a batch.
    #[error("encoding rows: {0}")]
    Encode(String),
    /// The local step at the edge ended first.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// This side was told to stop.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// The stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Lost(_) => "stream_lost",
            Self::Garbled(_) => "stream_garbled",
            Self::Aborted(_) => "stream_aborted",
            Self::BatchTooLarge { .. } => "batch_too_large",
            Self::Unsupported { .. } => "type_unsupported",
            Self::Encode(_) => "encode_failed",
            Self::Edge(_) => "edge_broken",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What passed through a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows.
    pub rows: u64,
    /// Batches, after slicing.
    pub batches: u64,
    /// Bytes of their frames.
    pub bytes: u64,
}

/// Cuts a reason at a character's edge.
fn shortened(why: &str) -> &str {
    &why[..why.floor_char_boundary(REASON_BYTES_MAX)]
}
