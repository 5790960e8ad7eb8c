//! `stop`, `status`, `restart` and `retry-update`: files between two runs of this program, because nothing else works the same on every
//! system.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use sallyport_protocol::Clock;
use sallyport_site::durable::{self, Readers};
use sallyport_site::{Layout, keys, lock};

use crate::status::{self, AgentState};
use crate::{app, console};

/// How long `stop` and `restart` wait: the agent has 15 s to end by itself.
const WAIT_MAX: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(100);

/// A word in the command file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Stop,
    Restart,
    RetryUpdate,
}

impl Word {
    const fn text(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::RetryUpdate => "retry-update",
        }
    }
}

/// Takes the command that waits for the running wrapper, if any.
pub(crate) fn take(path: &Path) -> Option<Word> {
    let text = fs::read_to_string(path).ok()?;
    // A file that cannot be removed is obeyed once and found again: that it stays is in the way of nothing else.
    let _ = fs::remove_file(path);
    match text.trim() {
        "stop" => Some(Word::Stop),
        "restart" => Some(Word::Restart),
        "retry-update" => Some(Word::RetryUpdate),
        other => {
            tracing::warn!(command = other.get(..40).unwrap_or(other), "the command file holds no known command");
            None
        }
    }
}

/// Prints what runs. Exit code 3 when nothing does.
pub(crate) fn status(layout: &Layout, json: bool) -> u8 {
    let running = lock::holder(&layout.wrapper_lock()).is_some();
    let status = status::read(&layout.status());
    if json {
        let status = status.filter(|_| running);
        let key = keys::shown(&layout.key());
        let text = serde_json::json!({ "running": running, "status": status, "key": key });
        console::say(&format!("{text:#}"));
    } else {
        match status {
            Some(status) if running => console::say(&status.for_people(Clock::system().now())),
            _ if running => console::say("The wrapper runs, but its status cannot be read."),
            _ => console::say(&nothing_runs(layout)),
        }
        if let Some(key) = keys::shown(&layout.key()) {
            console::say(&format!("Key      {key}"));
        }
    }
    if running { app::EXIT_OK } else { app::EXIT_NOT_FOUND }
}

/// Ends the running wrapper and waits until it is gone. Nothing to end is fine.
pub(crate) fn stop(layout: &Layout) -> u8 {
    if lock::holder(&layout.wrapper_lock()).is_none() {
        console::say(&nothing_runs(layout));
        return app::EXIT_OK;
    }
    finish(layout, Word::Stop, "Stopped.", || lock::holder(&layout.wrapper_lock()).is_none())
}

/// Has the running wrapper restart its agent and waits until another process runs.
pub(crate) fn restart(layout: &Layout) -> u8 {
    if lock::holder(&layout.wrapper_lock()).is_none() {
        console::say(&nothing_runs(layout));
        return app::EXIT_NOT_FOUND;
    }
    let process = || match status::read(&layout.status())?.agent.state {
        AgentState::Running { process_id, .. } => Some(process_id),
        _ => None,
    };
    let before = process();
    finish(layout, Word::Restart, "Restarted.", || process().is_some_and(|now| Some(now) != before))
}

/// Asks for a restart without waiting for it.
pub(crate) fn ask_restart(layout: &Layout) -> Result<(), String> {
    if lock::holder(&layout.wrapper_lock()).is_none() {
        return Err(nothing_runs(layout));
    }
    durable::replace(&layout.command(), Word::Restart.text().as_bytes(), Readers::Owner)
        .map_err(|error| error.to_string())
}

/// Has the running wrapper try a failed version again; how that goes is in its status.
pub(crate) fn retry_update(layout: &Layout) -> u8 {
    if lock::holder(&layout.wrapper_lock()).is_none() {
        console::say(&nothing_runs(layout));
        return app::EXIT_NOT_FOUND;
    }
    let done = "Asked for; `sallyport-wrapper status` says how it goes.";
    finish(layout, Word::RetryUpdate, done, || !layout.command().exists())
}

fn finish(layout: &Layout, word: Word, done: &str, is_done: impl Fn() -> bool) -> u8 {
    if let Err(error) = durable::replace(&layout.command(), word.text().as_bytes(), Readers::Owner) {
        console::complain(&error.to_string());
        return app::EXIT_FAILED;
    }
    let mut waited = Duration::ZERO;
    while waited < WAIT_MAX {
        if is_done() {
            console::say(done);
            return app::EXIT_OK;
        }
        thread::sleep(STEP);
        waited += STEP;
    }
    let seconds = WAIT_MAX.as_secs();
    console::complain(&format!(
        "`{}` was not done within {seconds} s; `sallyport-wrapper status` says what runs.",
        word.text()
    ));
    app::EXIT_FAILED
}

fn nothing_runs(layout: &Layout) -> String {
    format!("Nothing runs from {}.", layout.home().display())
}
