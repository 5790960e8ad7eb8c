//! Rows between steps: Arrow record batches over bounded edges in the process, and over framed streams between agents.
//!
//! Invariant: knows no connector and no server. A step sees an [`Input`] and an [`Output`]; whether the other end is a
//! thread next door or an agent on another continent is not visible to it.

mod cancel;
mod edge;
mod progress;

pub use cancel::{Cancel, CancelGuard, Cancelled};
pub use edge::{EDGE_BATCHES_MAX, EDGE_BYTES_MAX, EdgeError, Input, Output, Producer, edge};
pub use progress::Progress;
