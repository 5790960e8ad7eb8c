//! Slows down guessing: failures are counted by who is asked for and by where the question comes from.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sallyport_protocol::{Clock, Timestamp};

/// Failures count for this long.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Failures against one account in the window before it is closed to the asking address.
const PER_ACCOUNT: u32 = 10;

/// Failures from one address in the window, whatever the account.
const PER_ADDRESS: u32 = 50;

/// Counters kept; beyond it the oldest go.
const KEPT: usize = 10_000;

#[derive(Clone, Copy)]
struct Count {
    failures: u32,
    since: Timestamp,
}

/// Counts failures in memory: a restart forgets them.
pub(crate) struct Throttle {
    clock: Clock,
    counts: Mutex<HashMap<String, Count>>,
}

impl Throttle {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, counts: Mutex::default() }
    }

    /// Whether a try may be made now; otherwise how long to wait.
    pub(crate) fn check(&self, account: &str, from: IpAddr) -> Result<(), Duration> {
        let now = self.clock.now();
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, max) in keys(account, from) {
            if let Some(count) = counts.get(&key)
                && now.since(count.since) < WINDOW
                && count.failures >= max
            {
                return Err(WINDOW.saturating_sub(now.since(count.since)));
            }
        }
        Ok(())
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, account: &str, from: IpAddr) {
        let now = self.clock.now();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= KEPT {
            counts.retain(|_, count| now.since(count.since) < WINDOW);
            if counts.len() >= KEPT {
                counts.clear();
            }
        }
        for (key, _) in keys(account, from) {
            let count = counts.entry(key).or_insert(Count { failures: 0, since: now });
            if now.since(count.since) >= WINDOW {
                *count = Count { failures: 0, since: now };
            }
            count.failures += 1;
        }
    }

    /// Forgets the failures against an account from an address: somebody knew the password.
    pub(crate) fn succeeded(&self, account: &str, from: IpAddr) {
        let [(account, _), _] = keys(account, from);
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).remove(&account);
    }
}

/// An account is closed to the address that guesses, not to its owner elsewhere.
fn keys(account: &str, from: IpAddr) -> [(String, u32); 2] {
    [(format!("{} {from}", account.to_lowercase()), PER_ACCOUNT), (from.to_string(), PER_ADDRESS)]
}

#[cfg(test)]
mod tests;
