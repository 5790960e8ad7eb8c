//! What to start when a time has come, or several have passed.

use std::time::Duration;

use sallyport_protocol::Timestamp;

use super::Schedule;
use crate::task::Missed;

/// A start this late still counts as in time.
pub const ON_TIME: Duration = Duration::from_secs(60);

/// The most runs that `missed: all` starts for one stretch of down time: the newest ones.
pub const ALL_MAX: usize = 100;

/// What to start, and when to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// The times that get a run, the oldest first.
    pub start: Vec<Timestamp>,
    /// Whether times are left out that have passed.
    pub left_out: bool,
    /// The next time.
    pub next: Option<Timestamp>,
}

/// Decides about the times from `due` to `now`. Times before `paused_until` start nothing and count as nothing.
pub fn fire(
    schedule: &Schedule,
    missed: Missed,
    due: Timestamp,
    paused_until: Option<Timestamp>,
    now: Timestamp,
) -> Firing {
    let from = paused_until.map_or(due, |until| until.max(due));
    let most = if missed == Missed::All { ALL_MAX } else { 1 };
    let mut start = Vec::new();
    let mut at = schedule.latest(now).filter(|at| *at >= from);
    while let Some(time) = at.filter(|_| start.len() < most) {
        start.push(time);
        at = schedule.latest(Timestamp(time.0.saturating_sub(1))).filter(|at| *at >= from);
    }
    let mut left_out = at.is_some();
    if missed == Missed::Skip && start.first().is_some_and(|at| now.since(*at) > ON_TIME) {
        start.clear();
        left_out = true;
    }
    start.reverse();
    let look_from = paused_until.map_or(now, |until| now.max(Timestamp(until.0.saturating_sub(1))));
    Firing { start, left_out, next: schedule.after(look_from) }
}
