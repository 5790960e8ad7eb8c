//! The egress ledger: what this machine's agent has moved, for whom, where to; a file that is only appended to.
//!
//! Invariant: each line carries the hash of itself and of the line before, so that a line that was changed, removed or
//! put in shows when the chain is followed ([`verify`]). There is no key: whoever can write the folder can write another
//! chain, and whoever keeps the hash of its head elsewhere can tell.

mod chain;
mod day;
mod entry;
mod folder;
#[cfg(test)]
mod tests;
mod verify;

pub use chain::{Body, Chain, Record, Unfit};
pub use day::Today;
pub use entry::{Cause, Direction, Entry, merge};
pub use folder::{FILE_BYTES_MAX, FILES_MAX, Folder};
pub use verify::{Fault, Verified, records, verify};
