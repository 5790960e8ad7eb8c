//! Acting on what happened to runs: each follower is told everything at least once, in order, also what happened while
//! the server was down. It says when it has acted; until then it is told again, so what it does must bear repetition.
//!
//! A new follower is a name in [`FOLLOWERS`] and a task that runs [`follow`].

use std::fmt::Display;
use std::time::Duration;

use sallyport_store::{Error, RunNews, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Starts tasks that follow others.
pub(crate) const CHAINS: &str = "chains";

/// Tells people.
pub(crate) const NOTICES: &str = "notices";

/// Everyone who follows. Registered before any run can end, so that none is missed.
const FOLLOWERS: [&str; 2] = [CHAINS, NOTICES];

/// Taken at once.
const BATCH: u32 = 64;

/// How long to wait after a failure before it is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Makes every follower known to the store; those that are known keep their places.
pub(crate) async fn register(store: &Store) -> Result<(), Error> {
    for follower in FOLLOWERS {
        store.follow_runs(follower).await?;
    }
    Ok(())
}

/// Tells `act` what happens, from where the follower stood, until the server stops. `news` wakes it.
pub(crate) async fn follow<F, E>(
    (store, follower): (Store, &'static str),
    mut news: watch::Receiver<()>,
    stop: CancellationToken,
    act: impl Fn(RunNews) -> F,
) where
    F: Future<Output = Result<(), E>>,
    E: Display + From<Error>,
{
    while !stop.is_cancelled() {
        // Before the store is read: what comes meanwhile wakes it again.
        news.mark_unchanged();
        let pause = match take(&store, follower, &act).await {
            Ok(true) => continue,
            Ok(false) => Duration::MAX,
            Err(error) => {
                tracing::warn!(follower, %error, "what happened to a run could not be acted on; trying again");
                RETRY
            }
        };
        tokio::select! {
            changed = news.changed(), if pause == Duration::MAX => if changed.is_err() { return },
            () = tokio::time::sleep(pause), if pause != Duration::MAX => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Acts on some; answers whether there may be more.
async fn take<F, E>(store: &Store, follower: &'static str, act: &impl Fn(RunNews) -> F) -> Result<bool, E>
where
    F: Future<Output = Result<(), E>>,
    E: From<Error>,
{
    let batch = store.run_news(follower, BATCH).await?;
    let (mut passed, mut failed) = (None, None);
    for news in batch {
        let seq = news.seq;
        match act(news).await {
            Ok(()) => passed = Some(seq),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    if let Some(seq) = passed {
        store.pass_run_news(follower, seq).await?;
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(passed.is_some()),
    }
}
