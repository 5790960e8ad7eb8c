//! From the command line to what is done.

mod opening;
mod prepare;
mod running;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sallyport_site::Layout;

use crate::args::{Arguments, Command, USAGE};
use crate::supervise::{EXIT_BAD_CONFIGURATION, EXIT_HAND_OVER};
use crate::update::own;
use crate::{bundle, command, console, doctor, keys, ledger, page, policy, service};
use running::{Running, Started};

/// Exit codes of the wrapper; the same meanings as in the rest of Sallyport.
pub(crate) const EXIT_OK: u8 = 0;
pub(crate) const EXIT_FAILED: u8 = 1;
pub(crate) const EXIT_USAGE: u8 = 2;
pub(crate) const EXIT_NOT_FOUND: u8 = 3;
pub(crate) const EXIT_CONFLICT: u8 = 4;
pub(crate) const EXIT_NOT_ALLOWED: u8 = 5;

/// Why something is not done, for a person, and the exit code that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Refusal {
    fn configuration(error: &(dyn std::error::Error + 'static)) -> Self {
        Self { code: EXIT_BAD_CONFIGURATION, message: console::chain(error) }
    }

    fn failed(error: &(dyn std::error::Error + 'static)) -> Self {
        Self { code: EXIT_FAILED, message: console::chain(error) }
    }
}

/// Does what the command line says; gives the exit code. `stop` is what a service manager sets to end it.
pub(crate) fn run(arguments: &Arguments, stop: &Arc<AtomicBool>) -> u8 {
    let layout = match home(arguments.home.as_deref()) {
        Ok(home) => Layout::new(home),
        Err(error) => {
            console::complain(&format!("the folder of the agent cannot be found: {error}"));
            return EXIT_FAILED;
        }
    };
    match &arguments.command {
        Command::Version => {
            console::say(&format!("sallyport-wrapper {}", env!("CARGO_PKG_VERSION")));
            EXIT_OK
        }
        Command::Help => {
            console::say(USAGE);
            EXIT_OK
        }
        Command::Status { json } => command::status(&layout, *json),
        Command::Stop => command::stop(&layout),
        Command::Restart => command::restart(&layout),
        Command::RetryUpdate => command::retry_update(&layout),
        Command::Policy(word) => policy::run(&layout, word),
        Command::Keys(word) => keys::run(&layout, word),
        Command::Ledger { word, json } => ledger::run(&layout, *word, *json),
        Command::Service(asked) => service::run(&layout, asked),
        Command::Doctor { json } => doctor::run(&layout, *json),
        Command::Bundle { out } => bundle::run(&layout, out.as_deref()),
        Command::Open => page::open(&layout),
        Command::Rehearse => own::rehearse(&layout),
        Command::Guard { process } => own::guard(&layout, *process, arguments.executed_by),
        Command::Restore { result, detail } => own::ended(&layout, result, detail),
        Command::Run => match Running::start(layout.clone(), arguments.executed_by, stop) {
            Ok(Started::Runs(running)) => match running.drive() {
                EXIT_HAND_OVER => own::hand_over(&layout, arguments.executed_by),
                code => code,
            },
            Ok(Started::HandsOver) => own::hand_over(&layout, arguments.executed_by),
            Err(refusal) => {
                console::complain(&refusal.message);
                refusal.code
            }
        },
    }
}

fn home(given: Option<&Path>) -> std::io::Result<PathBuf> {
    match given {
        Some(folder) => std::path::absolute(folder),
        None => {
            let program = std::env::current_exe()?;
            program.parent().map(Path::to_owned).ok_or_else(|| std::io::ErrorKind::NotFound.into())
        }
    }
}
