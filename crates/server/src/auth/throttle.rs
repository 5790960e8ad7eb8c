//! Slows down guessing: failed tries are counted by who is asked for and by where the question comes from.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sallyport_protocol::{Clock, Timestamp};

/// Tries count for this long.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Failed tries against one account in the window before it is closed to the asking address.
const PER_ACCOUNT: u32 = 10;

/// Failed tries from one address in the window, whatever the account.
const PER_ADDRESS: u32 = 50;

/// Counters kept; beyond it the oldest quarter goes.
const KEPT: usize = 10_000;

#[derive(Clone, Copy)]
struct Count {
    tries: u32,
    since: Timestamp,
}

/// Counts tries in memory: a restart forgets them.
pub(crate) struct Throttle {
    clock: Clock,
    counts: Mutex<HashMap<String, Count>>,
}

impl Throttle {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, counts: Mutex::default() }
    }

    /// Counts a try as failed before it is made, so that many at one time are not more than one after the other; if
    /// there were too many, says how long to wait.
    pub(crate) fn reserve(&self, account: &str, from: IpAddr) -> Result<(), Duration> {
        let now = self.clock.now();
        let mut counts = self.counts();
        for (key, max) in keys(account, from) {
            if let Some(count) = counts.get(&key)
                && now.since(count.since) < WINDOW
                && count.tries >= max
            {
                return Err(WINDOW.saturating_sub(now.since(count.since)));
            }
        }
        make_room(&mut counts, now);
        for (key, _) in keys(account, from) {
            let count = counts.entry(key).or_insert(Count { tries: 0, since: now });
            if now.since(count.since) >= WINDOW {
                *count = Count { tries: 0, since: now };
            }
            count.tries += 1;
        }
        Ok(())
    }

    /// Takes a try back that came to no answer.
    pub(crate) fn give_back(&self, account: &str, from: IpAddr) {
        let mut counts = self.counts();
        for (key, _) in keys(account, from) {
            if let Some(count) = counts.get_mut(&key) {
                count.tries = count.tries.saturating_sub(1);
            }
        }
    }

    /// Takes the try back and forgets those against the account from the address: somebody knew the password.
    pub(crate) fn succeeded(&self, account: &str, from: IpAddr) {
        self.give_back(account, from);
        let [(account, _), _] = keys(account, from);
        self.counts().remove(&account);
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<String, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(counts: &mut HashMap<String, Count>, now: Timestamp) {
    if counts.len() < KEPT {
        return;
    }
    counts.retain(|_, count| now.since(count.since) < WINDOW);
    if counts.len() < KEPT {
        return;
    }
    let mut ages: Vec<Timestamp> = counts.values().map(|count| count.since).collect();
    let (_, oldest, _) = ages.select_nth_unstable(KEPT / 4);
    let mut left = KEPT / 4;
    counts.retain(|_, count| {
        let goes = count.since <= *oldest && left > 0;
        left -= usize::from(goes);
        !goes
    });
}

/// An account is closed to the address that guesses, not to its owner elsewhere.
fn keys(account: &str, from: IpAddr) -> [(String, u32); 2] {
    let from = network(from);
    [(format!("{} {from}", account.to_lowercase()), PER_ACCOUNT), (from, PER_ADDRESS)]
}

/// What one customer of a provider gets: an address of version 4, a /64 of version 6.
fn network(from: IpAddr) -> String {
    match from.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests;
