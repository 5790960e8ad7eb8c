//! The `Date` of an HTTP answer.

use sallyport_protocol::Timestamp;

/// `Sat, 28 Nov 2026 13:10:50 GMT`.
pub fn parse(text: &str) -> Option<Timestamp> {
    let zoned = jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(text).ok()?;
    Some(Timestamp(zoned.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_servers_are_read() {
        assert_eq!(parse("Thu, 01 Jan 1970 00:00:05 GMT"), Some(Timestamp(5_000_000)));
        assert_eq!(parse("yesterday"), None);
    }
}
