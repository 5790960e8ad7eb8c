//! What ends the process from outside: the life pipe, and signals.

use std::convert::Infallible;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use sallyport_site::pulse;
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};
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
    /// The wrapper wants a sign of progress.
    asked: Arc<Notify>,
}

impl Life {
    /// Answers the wrapper's questions for progress: only where this is polled, a worker of the runtime is free, and
    /// blocking work is done, does an answer get out.
    pub(super) async fn prove(&self) -> Infallible {
        let mut workers = JoinSet::new();
        loop {
            self.asked.notified().await;
            workers.spawn(async {
                // Standard error may be full; that it cannot be written to shows as silence.
                let _ = spawn_blocking(|| std::io::stderr().write_all(pulse::BEAT)).await;
            });
            workers.join_next().await;
        }
    }
}

/// Watches standard input on a thread of its own: `stop` ends gracefully, its end at once.
pub(super) fn watch_pipe(life: Life) -> std::io::Result<()> {
    // From its first moment on the wrapper knows that this agent can be asked, and that silence means something.
    let _ = std::io::stderr().write_all(pulse::BEAT);
    std::thread::Builder::new().name("life-pipe".to_owned()).spawn(move || {
        for line in std::io::stdin().lock().lines() {
            match line {
                Ok(word) if word.trim() == "stop" => life.stop.cancel(),
                Ok(word) if word.trim() == pulse::PING => life.asked.notify_one(),
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
