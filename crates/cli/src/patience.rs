//! How long a server that is away is waited for by a command that follows something.

use std::time::Duration;

use sallyport_protocol::{Clock, Timestamp};

use crate::error::Result;
use crate::say;

/// A restart of the server or of the way to it takes less.
const AWAY_MAX: Duration = Duration::from_secs(300);

/// Bears passing errors while the server may come back.
pub(crate) struct Patience {
    clock: Clock,
    seen: Timestamp,
    told: bool,
}

impl Patience {
    /// The server has answered just now.
    pub(crate) fn new(clock: Clock) -> Self {
        let seen = clock.now();
        Self { clock, seen, told: false }
    }

    /// The answer, or nothing where the question is worth repeating. An error that a repetition does not mend, or that
    /// has lasted too long, stays one.
    pub(crate) fn bear<T>(&mut self, answer: Result<T>) -> Result<Option<T>> {
        match answer {
            Ok(answer) => {
                self.seen = self.clock.now();
                self.told = false;
                Ok(Some(answer))
            }
            Err(error) if error.passing && self.clock.now().since(self.seen) < AWAY_MAX => {
                if !self.told {
                    say::note(&format!("{error}; trying again for {} s", AWAY_MAX.as_secs()));
                    self.told = true;
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
