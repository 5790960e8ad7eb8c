//! Filters for points in time and dates, as text in ISO 8601.

use jiff::civil::Date;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind};

use crate::task::Span;

/// A point in time or a day.
enum Moment {
    Time(Timestamp),
    Day(Date),
}

impl Moment {
    fn read(text: &str) -> Result<Self, Error> {
        if let Ok(time) = text.parse() {
            return Ok(Self::Time(time));
        }
        text.parse().map(Self::Day).map_err(|_| {
            refused(format!("`{text}` is neither a date such as 2026-01-31 nor a time such as 2026-01-31T08:00:00Z"))
        })
    }
}

/// `value | date('%Y-%m-%d', tz='Europe/Prague')`: as strftime writes it; UTC unless a time zone is named.
pub(super) fn date(text: &str, format: &str, options: Kwargs) -> Result<String, Error> {
    let zone: Option<&str> = options.get("tz")?;
    options.assert_all_used()?;
    let formatted = match Moment::read(text)? {
        Moment::Day(day) => strtime::format(format, day),
        Moment::Time(time) => {
            let zone = match zone {
                None => TimeZone::UTC,
                Some(name) => TimeZone::get(name).map_err(|_| refused(format!("there is no time zone `{name}`")))?,
            };
            strtime::format(format, &time.to_zoned(zone))
        }
    };
    formatted.map_err(|error| refused(error.to_string()))
}

/// `value | shift('-1d')`: that much later or, with a minus, earlier. A day stays a day.
pub(super) fn shift(text: &str, by: &str) -> Result<String, Error> {
    let (back, span) = match by.strip_prefix('-') {
        Some(span) => (true, span),
        None => (false, by.strip_prefix('+').unwrap_or(by)),
    };
    let span: Span = span.parse().map_err(|error| refused(format!("{error}")))?;
    let span = SignedDuration::try_from(span.0).map_err(|error| refused(error.to_string()))?;
    let span = if back { -span } else { span };
    let shifted = match Moment::read(text)? {
        Moment::Day(day) => day.checked_add(span).map(|day| day.to_string()),
        Moment::Time(time) => time.checked_add(span).map(|time| time.to_string()),
    };
    shifted.map_err(|error| refused(error.to_string()))
}

fn refused(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, text.into())
}
