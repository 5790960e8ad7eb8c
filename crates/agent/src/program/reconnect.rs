//! When to dial again: decisions without I/O; the random number and the time are arguments.

use std::time::Duration;

use sallyport_protocol::{Refusal, RefusalCode};
use sallyport_site::backoff::{Backoff, Jitter};

/// A session of this length shows that the way to the server is sound.
const STABLE: Duration = Duration::from_secs(60);

/// Refused logins are tried again this late at first,
const REFUSED_BASE: Duration = Duration::from_secs(30);

/// and at most this late.
const REFUSED_CAP: Duration = Duration::from_secs(300);

/// The delays of one agent.
#[derive(Debug)]
pub(super) struct Reconnect {
    lost: Backoff,
    refused: Backoff,
}

impl Reconnect {
    pub(super) fn new() -> Self {
        Self { lost: Backoff::reconnect(), refused: Backoff::new(REFUSED_BASE, REFUSED_CAP, Jitter::Half) }
    }

    /// After a connection that failed or was lost; `lasted` is how long the session was online.
    pub(super) fn after_loss(&mut self, lasted: Duration, random: f64) -> Duration {
        if lasted >= STABLE {
            self.lost.reset();
        }
        if !lasted.is_zero() {
            self.refused.reset();
        }
        self.lost.next(random)
    }

    /// After a refused login: as late as the server wishes, and later each time where a person must do something.
    pub(super) fn after_refusal(&mut self, refusal: &Refusal, random: f64) -> Duration {
        let slow = self.refused.next(random);
        // A little later than asked, so that many do not come at once.
        let wished =
            refusal.retry_after_seconds.map(|s| Duration::from_secs(u64::from(s)).mul_f64(1.0 + random / 10.0));
        match (wished, refusal.code) {
            // It passes by itself, and the server knows when.
            (Some(wished), RefusalCode::Unavailable | RefusalCode::DuplicateIdentity) => wished,
            (wished, _) => slow.max(wished.unwrap_or_default()),
        }
    }

    /// After the server said that it goes away.
    pub(super) fn after_going_away(&mut self, spread_ms: u64, random: f64) -> Duration {
        self.lost.reset();
        self.refused.reset();
        Duration::from_millis(spread_ms).mul_f64(random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_double_until_a_session_was_stable() {
        let mut reconnect = Reconnect::new();
        let short = Duration::from_secs(3);
        let seconds: Vec<_> = (0..8).map(|_| reconnect.after_loss(short, 1.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(reconnect.after_loss(STABLE, 1.0).as_secs(), 1);
    }

    #[test]
    fn refusals_are_slow_and_heed_the_server() {
        let mut reconnect = Reconnect::new();
        let mut refusal =
            Refusal { code: RefusalCode::WrongCredentials, message: "no".to_owned(), retry_after_seconds: None };
        let seconds: Vec<_> = (0..6).map(|_| reconnect.after_refusal(&refusal, 1.0).as_secs()).collect();
        assert_eq!(seconds, [30, 60, 120, 240, 300, 300]);
        reconnect.after_loss(STABLE, 1.0);
        refusal.retry_after_seconds = Some(100);
        let seconds: Vec<_> = (0..4).map(|_| reconnect.after_refusal(&refusal, 1.0).as_secs()).collect();
        assert_eq!(seconds, [110, 110, 120, 240]);
        refusal.code = RefusalCode::Unavailable;
        refusal.retry_after_seconds = Some(10);
        assert_eq!(reconnect.after_refusal(&refusal, 0.0).as_secs(), 10);
        assert_eq!(reconnect.after_going_away(10_000, 0.5).as_secs(), 5);
    }
}
