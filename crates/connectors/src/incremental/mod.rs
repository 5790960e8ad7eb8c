//! Incremental reads: what sources and sinks share about cursors, their ties, and commits in chunks.
//!
//! Invariant: a mark covers whole groups of rows with the same cursor value, so that reading on behind it neither loses
//! nor repeats a row. The newest group may still grow; its rows are remembered by fingerprint.

mod chunk;
mod cursor;
mod fingerprint;
mod marking;
mod read;
mod settings;

pub(crate) use chunk::{Chunk, CommitEvery};
pub(crate) use cursor::{Lower, resumed, text};
pub(crate) use read::{Bound, Give, Reading, Rows};
pub(crate) use settings::{Cursor, Lag};
