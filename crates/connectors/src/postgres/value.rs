//! Why a value does not fit, in words.

use crate::VALUE_BYTES_MAX;

/// Days from 1970-01-01 to 2000-01-01, where the server's calendar starts.
pub(crate) const EPOCH_DAYS: i32 = 10_957;

/// The same in microseconds.
pub(crate) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// What is wrong with one value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("the server sent it in a form this connector does not know")]
    Malformed,
    #[error("{0} has no place in a decimal column; read it as text with a cast in `query`")]
    NotFinite(&'static str),
    #[error("{0} has no place in an Arrow date or timestamp; read it as text with a cast in `query`")]
    Endless(&'static str),
    #[error("it has too many digits")]
    TooManyDigits,
    #[error("it is out of the range of the target's type")]
    OutOfRange,
    #[error("it does not fit numeric({precision},{scale}) without rounding")]
    Numeric { precision: i32, scale: i32 },
    #[error("it has more digits of a second, or other parts, than the column keeps")]
    Finer,
    #[error("it is no number")]
    NoNumber,
    #[error("it is no {0}")]
    No(&'static str),
    #[error("it has more than {0} characters")]
    TooLong(u32),
    #[error("it holds a zero byte, which PostgreSQL's texts cannot")]
    ZeroByte,
    #[error("it is NULL and the column is NOT NULL")]
    Null,
    #[error("a value of {0} bytes is longer than the limit of {VALUE_BYTES_MAX}")]
    TooLarge(u64),
    #[error("an array of {0} dimensions has no place in a list; read it as text with a cast in `query`")]
    Dimensions(i32),
    #[error("it does not convert to {0} without loss")]
    Lossy(&'static str),
}
