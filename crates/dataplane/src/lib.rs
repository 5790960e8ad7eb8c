//! Rows between steps: Arrow record batches over bounded edges in the process, and over framed streams between agents.
//! Beside them, TCP streams over tunnel lines.
//!
//! Invariant: knows no connector and no server. A step sees an [`Input`] and an [`Output`]; whether the other end is a
//! thread next door or an agent on another continent is not visible to it.

mod ahead;
mod bulk;
mod cancel;
mod cause;
mod edge;
mod frame;
pub mod line;
mod mapping;
mod progress;
pub mod stream;
mod transport;
pub mod tunnel;

pub use ahead::Ahead;
pub use cancel::{Cancel, CancelGuard, Cancelled};
pub use cause::Cause;
pub use edge::{
    EDGE_BATCHES_MAX, EDGE_BYTES_MAX, EdgeError, Given, Input, Marked, Output, Producer, edge, payload_bytes,
};
pub use mapping::{Mapping, TYPE_KEY, Unmapped};
pub use progress::Progress;
pub use transport::{Message, TRANSPORT_MESSAGES_MAX, Transport};
