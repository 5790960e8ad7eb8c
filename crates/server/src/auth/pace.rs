//! How often one webhook may be called.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sallyport_protocol::{Clock, Timestamp};

/// Calls are counted over this long.
const WINDOW: Duration = Duration::from_secs(60);

/// Calls of one webhook in the window.
const CALLS_MAX: u32 = 60;

/// Webhooks that are counted; beyond it those without a recent call are forgotten.
const KEPT: usize = 10_000;

/// Counts calls in memory: a restart forgets them.
pub(crate) struct Pace {
    clock: Clock,
    calls: Mutex<HashMap<Vec<u8>, (Timestamp, u32)>>,
}

impl Pace {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, calls: Mutex::default() }
    }

    /// Counts a call of a webhook that exists, by its token's hash; one too many learns how long to wait.
    pub(crate) fn count(&self, hook: &[u8]) -> Result<(), Duration> {
        let now = self.clock.now();
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() >= KEPT {
            calls.retain(|_, (since, _)| now.since(*since) < WINDOW);
        }
        let (since, count) = calls.entry(hook.to_owned()).or_insert((now, 0));
        if now.since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        if *count >= CALLS_MAX {
            return Err(WINDOW.saturating_sub(now.since(*since)));
        }
        *count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_webhook_is_slowed_down_and_others_are_not() {
        let clock = Clock::fixed(Timestamp(0));
        let pace = Pace::new(clock.clone());
        for _ in 0..CALLS_MAX {
            assert_eq!(pace.count(b"one"), Ok(()));
        }
        clock.advance(Duration::from_secs(20));
        assert_eq!(pace.count(b"one"), Err(Duration::from_secs(40)));
        assert_eq!(pace.count(b"two"), Ok(()));
        clock.advance(Duration::from_secs(40));
        assert_eq!(pace.count(b"one"), Ok(()));
    }
}
