//! How often a channel is used, and how long one notice is tried.

use std::time::Duration;

use sallyport_protocol::Timestamp;

/// How long to wait after each failed try: close together at first, for a server that restarts; hours apart at the
/// end, so that one that is mended in the morning still gets what happened at night.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(3 * 3600),
    Duration::from_secs(6 * 3600),
];

/// The most tries of one notice, over about eleven hours.
pub const ATTEMPTS_MAX: u32 = 10;

/// When a notice whose try number `attempts` has failed is tried again; never, when these were enough.
pub fn next_try(attempts: u32, now: Timestamp) -> Option<Timestamp> {
    let failed = usize::try_from(attempts).ok()?.checked_sub(1)?;
    PAUSES.get(failed).map(|pause| now.plus(*pause))
}

/// Whether a channel that has sent so many notices in the last hour may send one more.
pub const fn may_send(sent: u32, hourly: u32) -> bool {
    sent < hourly
}
