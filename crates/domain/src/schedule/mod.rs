//! When a trigger is due: the next time, the latest one, and what to start once a time has come.
//!
//! Local times are mapped to moments by one rule: each local time that matches fires once. Where clocks go forward, the
//! local times that are left out fire together, at the first moment after them; where clocks go back, local times that
//! come twice fire the first time. Zones come from a database inside the program, so that every server agrees.

mod cron;
mod field;
mod firing;
mod local;
#[cfg(test)]
mod tests;
mod zone;

use std::time::Duration;

use jiff::tz::TimeZone;
use sallyport_protocol::Timestamp;

pub use cron::{Cron, CronError};
pub use firing::{ALL_MAX, Firing, ON_TIME, fire};
pub(crate) use zone::moment;
pub use zone::{UnknownZone, zone};

/// The shortest distance of `every`.
pub const EVERY_MIN: Duration = Duration::from_secs(1);

/// The times of a trigger.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Local times that match.
    Cron {
        /// Which.
        cron: Cron,
        /// Where.
        zone: TimeZone,
    },
    /// A fixed distance.
    Every {
        /// The distance, at least [`EVERY_MIN`].
        every: Duration,
        /// One of the times.
        from: Timestamp,
    },
    /// One time.
    At(Timestamp),
}

impl Schedule {
    /// The first time after a moment.
    pub fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron { cron, zone } => local::after(cron, zone, moment),
            Self::Every { every, from } => grid(*every, *from, moment, 1),
            Self::At(at) => Some(*at).filter(|at| *at > moment),
        }
    }

    /// The last time that is not after a moment.
    pub fn latest(&self, moment: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron { cron, zone } => local::latest(cron, zone, moment),
            Self::Every { every, from } => grid(*every, *from, moment, 0),
            Self::At(at) => Some(*at).filter(|at| *at <= moment),
        }
    }

    /// The times after a moment, the nearest first.
    pub fn upcoming(&self, moment: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        std::iter::successors(self.after(moment), |at| self.after(*at))
    }
}

/// The grid's last time that is not after `moment`, or a later one; none lies before `from`.
fn grid(every: Duration, from: Timestamp, moment: Timestamp, later: i64) -> Option<Timestamp> {
    let every = i64::try_from(every.max(EVERY_MIN).as_micros()).ok()?;
    let passed = moment.0.checked_sub(from.0)?.div_euclid(every);
    let number = passed.checked_add(later)?.max(0);
    let at = Timestamp(from.0.checked_add(number.checked_mul(every)?)?);
    // Before the first time there is no latest one.
    (later > 0 || at <= moment).then_some(at)
}
