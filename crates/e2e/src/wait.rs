//! Waiting for a state, never for a time.

use std::time::Duration;

use anyhow::{Result, bail};
use sallyport_protocol::Clock;

const PAUSE: Duration = Duration::from_millis(40);

/// Asks until there is an answer; after `limit` it is an error that names `what`.
pub fn within<T>(limit: Duration, what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let clock = Clock::system();
    let began = clock.now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if clock.now().since(began) > limit {
            bail!("waited {} s for {what}", limit.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Asks until it is so; after a minute it is an error that names `what`.
pub fn until(what: &str, mut so: impl FnMut() -> Result<bool>) -> Result<()> {
    within(Duration::from_secs(60), what, || Ok(so()?.then_some(())))
}
