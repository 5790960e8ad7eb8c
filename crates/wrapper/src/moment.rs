//! Time by two clocks: the machine's, which people read and anybody may set, and one that only goes on, for waits.

use std::time::{Duration, Instant};

use sallyport_protocol::{Clock, Timestamp};

/// A point in time by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// For people and the server.
    pub(crate) at: Timestamp,
    /// Since the program started; for waits.
    pub(crate) up: Duration,
}

impl Moment {
    /// The moment `after` this one.
    pub(crate) fn plus(self, after: Duration) -> Self {
        Self { at: self.at.plus(after), up: self.up.saturating_add(after) }
    }

    /// How long after `earlier` this is, whatever was done to the machine's clock between them.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.up.saturating_sub(earlier.up)
    }

    /// Whether this moment has come by `now`.
    pub(crate) fn has_come(self, now: Self) -> bool {
        self.up <= now.up
    }
}

/// Tells the moment.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    clock: Clock,
    born: Instant,
}

impl Watch {
    /// Starts to count.
    #[expect(clippy::disallowed_methods, reason = "the one place of the wrapper that reads the clock for waits")]
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, born: Instant::now() }
    }

    /// Now.
    pub(crate) fn now(&self) -> Moment {
        Moment { at: self.clock.now(), up: self.born.elapsed() }
    }
}
