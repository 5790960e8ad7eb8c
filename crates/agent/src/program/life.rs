//! What ends the process from outside: the life pipe, and signals.

use std::io::BufRead;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// How long an agent whose wrapper died while it stopped may still take: what a stop takes at most.
const STOPPING: Duration = Duration::from_secs(12);

/// How long an agent whose wrapper died may take to stop its programs.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Fires when the process must end.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    /// End gracefully: cancel the work, report, leave.
    pub(super) stop: CancellationToken,
    /// The wrapper died: end at once.
    pub(super) orphaned: CancellationToken,
}

/// Watches standard input on a thread of its own: `stop` ends gracefully, its end at once.
pub(super) fn watch_pipe(life: Life) -> std::io::Result<()> {
    std::thread::Builder::new().name("life-pipe".to_owned()).spawn(move || {
        for line in std::io::stdin().lock().lines() {
            match line {
                Ok(word) if word.trim() == "stop" => life.stop.cancel(),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        let left = if life.stop.is_cancelled() {
            STOPPING
        } else {
            error!("the wrapper is gone; the agent ends");
            life.orphaned.cancel();
            LAST_WORDS
        };
        // Whatever the rest of the process does: it does not outlive its wrapper.
        std::thread::sleep(left);
        std::process::exit(1);
    })?;
    Ok(())
}

/// Fires `stop` at the first signal to end.
pub(super) async fn watch_signals(stop: CancellationToken) {
    match ended().await {
        Ok(signal) => {
            info!(signal, "asked to end");
            stop.cancel();
        }
        Err(failed) => error!(error = %failed, "signals cannot be watched"),
    }
}

#[cfg(unix)]
async fn ended() -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = hangup.recv() => "SIGHUP",
        _ = interrupt.recv() => "Ctrl-C",
    })
}

#[cfg(not(unix))]
async fn ended() -> std::io::Result<&'static str> {
    tokio::signal::ctrl_c().await?;
    Ok("Ctrl-C")
}
