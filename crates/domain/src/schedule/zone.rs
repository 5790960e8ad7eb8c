//! Time zones and times as people write them.

use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use sallyport_protocol::Timestamp;

use crate::task::nearest;

/// The one inside the program: the same on every server, however old its own is.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// There is no such zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone `{name}`{near}")]
pub struct UnknownZone {
    name: String,
    near: String,
}

/// The text is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time: write one such as 2026-12-01T08:00, which is local in the zone, or 2026-12-01T07:00:00Z")]
pub(crate) struct BadTime(String);

/// A time zone by its name, such as `Europe/Prague`.
///
/// # Errors
/// There is none of that name; the error names the nearest.
pub fn zone(name: &str) -> Result<TimeZone, UnknownZone> {
    ZONES.get(name).map_err(|_| {
        let names: Vec<String> = ZONES.available().map(|zone| zone.to_string()).collect();
        UnknownZone { name: name.to_owned(), near: nearest(name, names.iter().map(String::as_str)) }
    })
}

/// A time as a person writes it: with an offset, or local in a zone.
pub(crate) fn moment(text: &str, zone: &TimeZone) -> Result<Timestamp, BadTime> {
    let bad = || BadTime(text.to_owned());
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(moment.as_microsecond()));
    }
    let local: DateTime = text.parse().map_err(|_| bad())?;
    let moment = zone.to_ambiguous_timestamp(local).compatible().map_err(|_| bad())?;
    Ok(Timestamp(moment.as_microsecond()))
}
