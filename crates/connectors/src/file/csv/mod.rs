//! Text with delimiters.

mod decode;
mod encode;

pub(super) use decode::{Flaw, Records};
pub(super) use encode::Encoder;

/// The characters of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Between values.
    pub(super) delimiter: u8,
    /// Around values that need it.
    pub(super) quote: Option<u8>,
    /// Before a quote inside a quoted value; the quote itself where the file doubles it.
    pub(super) escape: Option<u8>,
    /// Whether the first record names the columns.
    pub(super) header: bool,
    /// Stands, unquoted, for "no value".
    pub(super) null: String,
}
