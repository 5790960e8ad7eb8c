//! Times as the API shows them.

use sallyport_protocol::Timestamp;

use crate::http::problem::{Problem, Result};

/// RFC 3339 with microseconds, UTC.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |at| format!("{at:.6}"))
}

/// RFC 3339, where there is a time.
pub(crate) fn maybe_rfc3339(at: Option<Timestamp>) -> Option<String> {
    at.map(rfc3339)
}

/// Reads RFC 3339 from a parameter.
pub(crate) fn parse(name: &str, text: &str) -> Result<Timestamp> {
    text.parse::<jiff::Timestamp>().map(|at| Timestamp(at.as_microsecond())).map_err(|_| {
        Problem::field(
            &format!("/{name}"),
            "time",
            format!("`{name}` is `{text}`: expected a time such as 2026-01-31T12:00:00Z"),
        )
    })
}
