//! How long things take.

use std::time::{Duration, Instant};

/// Runs since it was made.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Asks `ready` every `pause` until it says so; `false` when `limit` has passed.
pub(crate) fn wait_until(limit: Duration, pause: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let watch = Stopwatch::start();
    loop {
        if ready() {
            return true;
        }
        if watch.elapsed() > limit {
            return false;
        }
        std::thread::sleep(pause);
    }
}
