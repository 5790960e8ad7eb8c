//! What was moved today: counted while it moves, kept by the ledger across restarts.

use sallyport_protocol::Timestamp;

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// Bytes of the running day, in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Today {
    day: i64,
    bytes: u64,
}

impl Today {
    /// Adds what has moved by `at`; a new day begins with nothing. What belongs to an earlier day is not counted.
    pub fn add(&mut self, at: Timestamp, bytes: u64) {
        let day = day(at);
        if day > self.day {
            *self = Self { day, bytes: 0 };
        }
        if day == self.day {
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }

    /// Whether `at` is on the day that is counted.
    pub fn holds(&self, at: Timestamp) -> bool {
        day(at) == self.day
    }

    /// Bytes so far on the day of `now`.
    pub fn bytes(&self, now: Timestamp) -> u64 {
        if self.holds(now) { self.bytes } else { 0 }
    }
}

fn day(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY_MICROS)
}
