//! Waits and a rate.

use std::fmt;
use std::time::Duration;

/// What was measured of one system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Runs a second.
    pub(crate) rate: f64,
}

impl Figures {
    /// From the waits of single runs, and from how long many took together.
    pub(crate) fn new(mut waits: Vec<Duration>, runs: usize, took: Duration) -> Self {
        waits.sort_unstable();
        let at = |percent: usize| waits.get(waits.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default();
        Self { p50: at(50), p99: at(99), rate: runs as f64 / took.as_secs_f64() }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |span: Duration| span.as_secs_f64() * 1e3;
        write!(f, "p50 {:.2} ms, p99 {:.2} ms, {:.1} runs/s", millis(self.p50), millis(self.p99), self.rate)
    }
}
