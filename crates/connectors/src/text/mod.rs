//! Values as text: one way of writing each Arrow type and of reading it back, shared by all connectors that speak text.
//!
//! Promise: what [`format`] writes, [`parse`] reads to the same value.

pub(crate) mod calendar;
pub(crate) mod cell;
pub(crate) mod column;
pub(crate) mod format;
pub(crate) mod parse;
pub(crate) mod types;

#[cfg(test)]
mod tests;
