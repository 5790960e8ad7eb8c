//! How long to wait before the next try: doubling from a base to a cap, with jitter so that many machines that lost
//! the same server do not return at the same moment. The random number is an argument.

use std::time::Duration;

/// What part of the delay is left to chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// All of it: from zero to the whole delay. For reconnects, where many come at once.
    Full,
    /// The upper half: from half to the whole delay. For restarts, where an immediate one would help nobody.
    Half,
}

/// Delays for one series of failures.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    jitter: Jitter,
    failures: u32,
}

impl Backoff {
    /// Delays that double from `base` to `cap`.
    pub const fn new(base: Duration, cap: Duration, jitter: Jitter) -> Self {
        Self { base, cap, jitter, failures: 0 }
    }

    /// For reconnecting to the server: full jitter from 1 s doubling to 60 s.
    pub const fn reconnect() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(60), Jitter::Full)
    }

    /// The delay after one more failure; `random` is from 0 up to 1, see [`crate::random::unit`].
    pub fn next(&mut self, random: f64) -> Duration {
        let doubled = 2u32.checked_pow(self.failures).and_then(|factor| self.base.checked_mul(factor));
        let whole = doubled.unwrap_or(self.cap).min(self.cap);
        self.failures = self.failures.saturating_add(1);
        let share = random.clamp(0.0, 1.0);
        match self.jitter {
            Jitter::Full => whole.mul_f64(share),
            Jitter::Half => whole.mul_f64(0.5 + share / 2.0),
        }
    }

    /// Failures since the last reset.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Begins anew; call it once what failed has been stable for a while.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(backoff: &mut Backoff, random: f64, count: usize) -> Vec<f64> {
        (0..count).map(|_| backoff.next(random).as_secs_f64()).collect()
    }

    #[test]
    fn doubles_up_to_the_cap_and_begins_anew_after_a_reset() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10), Jitter::Full);
        assert_eq!(seconds(&mut backoff, 1.0, 6), [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]);
        backoff.reset();
        assert_eq!(backoff.failures(), 0);
        assert_eq!(seconds(&mut backoff, 1.0, 1), [1.0]);
    }

    #[test]
    fn full_jitter_reaches_zero_and_half_jitter_does_not() {
        let mut full = Backoff::new(Duration::from_secs(4), Duration::from_secs(60), Jitter::Full);
        let mut half = Backoff::new(Duration::from_secs(4), Duration::from_secs(60), Jitter::Half);
        assert_eq!(seconds(&mut full, 0.0, 1), [0.0]);
        assert_eq!(seconds(&mut half, 0.0, 1), [2.0]);
        assert_eq!(seconds(&mut half, 0.5, 1), [6.0]);
    }

    #[test]
    fn never_overflows_and_ignores_numbers_out_of_range() {
        let mut backoff = Backoff::reconnect();
        for _ in 0..200 {
            assert!(backoff.next(7.0) <= Duration::from_secs(60));
        }
        assert_eq!(backoff.failures(), 200);
    }

    #[test]
    fn random_numbers_stay_in_range() {
        assert!((0..100).all(|_| (0.0..1.0).contains(&crate::random::unit())));
    }
}
