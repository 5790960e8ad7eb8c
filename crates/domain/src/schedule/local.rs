//! From local times to moments, over changes of the clock.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp as Moment};
use sallyport_protocol::Timestamp;

use super::cron::Cron;

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// The first moment after `moment` at which a local time fires. Later local times never fire before earlier ones, so
/// the first that fires after `moment` is the one.
pub(super) fn after(cron: &Cron, zone: &TimeZone, moment: Timestamp) -> Option<Timestamp> {
    let moment = Moment::from_microsecond(moment.0).ok()?;
    let mut local = cron.first_from(zone.to_datetime(moment))?;
    loop {
        let fires = fires(zone, local)?;
        if fires > moment {
            return Some(Timestamp(fires.as_microsecond()));
        }
        local = cron.first_from(local.checked_add(SECOND).ok()?)?;
    }
}

/// The last moment, not after `moment`, at which a local time fires.
pub(super) fn latest(cron: &Cron, zone: &TimeZone, moment: Timestamp) -> Option<Timestamp> {
    let moment = Moment::from_microsecond(moment.0).ok()?;
    let mut local = cron.last_to(furthest(zone, moment))?;
    loop {
        let fires = fires(zone, local)?;
        if fires <= moment {
            return Some(Timestamp(fires.as_microsecond()));
        }
        local = cron.last_to(local.checked_sub(SECOND).ok()?)?;
    }
}

/// When a local time fires: left out by the clock, at the first moment after the gap; shown twice, the first time.
fn fires(zone: &TimeZone, local: DateTime) -> Option<Moment> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let offset = ambiguous.offset();
    let earlier = ambiguous.earlier().ok()?;
    match offset {
        AmbiguousOffset::Gap { after, .. } => zone
            .following(earlier)
            .find(|transition| transition.offset() == after)
            .map(|transition| transition.timestamp()),
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => Some(earlier),
    }
}

/// The furthest that the clock has shown by a moment: in a repeated hour, more than it shows now.
fn furthest(zone: &TimeZone, moment: Moment) -> DateTime {
    let local = zone.to_datetime(moment);
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Fold { before, .. } => before.to_datetime(moment),
        _ => local,
    }
}
