//! The wrapper's own program: put in its place, watched while it is on trial, taken back where it does not work.
//!
//! A broken wrapper cannot take itself back. Who does is the one before, `sallyport-wrapper.former`: as a [`guard`]
//! beside the new one until that is kept, and as what the service manager runs whenever the wrapper has ended
//! ([`ended`]). Both count on the record of versions alone, so that a power cut between any two steps changes nothing.

pub(super) mod place;

mod guard;
mod rehearsal;
mod watch;

use std::io;

use sallyport_protocol::{Clock, ExecutedBy};
use sallyport_site::Layout;

use super::product::Product;
use super::record::{Book, CRASHES_MAX};
use crate::status::{self, AgentState};
use crate::{app, console, platform};

pub(crate) use guard::run as guard;
pub(crate) use rehearsal::run as rehearse;

/// What a start finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// This is the program that is to run.
    Right,
    /// It is another one, and that is in its place now.
    Other,
}

/// Brings what a power cut has interrupted to its end. The wrapper's lock is held.
pub(crate) fn settle(layout: &Layout, clock: &Clock) -> io::Result<Found> {
    let (mut book, mut record) = Book::open(Product::Wrapper.records(layout));
    let Some(active) = record.active.clone() else { return Ok(Found::Right) };
    let program = Product::Wrapper.program(layout, &active.folder);
    let in_place = place::is_same(&layout.wrapper_program(), &program).unwrap_or(false);
    match &record.trial {
        Some(trial) if trial.crashes >= CRASHES_MAX => {
            take_back(layout, clock, "it ended by itself again and again")?;
            Ok(Found::Other)
        }
        Some(_) if in_place => Ok(Found::Right),
        Some(trial) => {
            let from = trial.from.clone();
            match place::put(layout, &program) {
                Ok(()) => Ok(Found::Other),
                Err(error) => {
                    // It is offered again, and tried again.
                    console::complain(&format!("another version of the wrapper is not put in its place: {error}"));
                    (record.active, record.trial) = (from, None);
                    book.save(&record).map(|()| Found::Right)
                }
            }
        }
        None if in_place => Ok(Found::Right),
        None => {
            // Somebody has put another program there, as with a new download: that is the one that was chosen.
            (record.active, record.previous) = (None, None);
            book.save(&record).map(|()| Found::Right)
        }
    }
}

/// Has a version on trial watched; without one nothing is done.
pub(crate) fn watch_trial(layout: &Layout, executed_by: ExecutedBy) {
    let (_, record) = Book::open(Product::Wrapper.records(layout));
    if record.trial.is_some() && layout.former_wrapper().is_file() {
        guard::start(layout, executed_by);
    }
}

/// Starts the program that lies in the wrapper's place instead of this one; comes back only where another process takes
/// over, or none can.
pub(crate) fn hand_over(layout: &Layout, executed_by: ExecutedBy) -> u8 {
    watch_trial(layout, executed_by);
    let failed = match platform::become_program(&layout.wrapper_program(), &arguments(layout, executed_by), executed_by)
    {
        Ok(code) => return code,
        Err(error) => format!("it cannot be started: {error}"),
    };
    console::complain(&failed);
    let back = take_back(layout, &Clock::system(), &failed).and_then(|_| {
        platform::become_program(&layout.wrapper_program(), &arguments(layout, executed_by), executed_by)
    });
    back.unwrap_or_else(|error| {
        console::complain(&format!("the version before cannot be started: {error}"));
        app::EXIT_FAILED
    })
}

/// The words that a wrapper of this folder is started with.
fn arguments(layout: &Layout, executed_by: ExecutedBy) -> Vec<std::ffi::OsString> {
    let mut words = vec!["--home".into(), layout.home().as_os_str().to_owned()];
    match executed_by {
        ExecutedBy::Service => words.push("--service".into()),
        ExecutedBy::Background => words.push("--background".into()),
        _ => {}
    }
    words
}

/// What the service manager says of the wrapper's end; run by the version before. On trial it is taken back when it has
/// ended by itself too often.
pub(crate) fn ended(layout: &Layout, result: &str, detail: &str) -> u8 {
    let how = match result {
        "success" => return app::EXIT_OK,
        // Managers from before 2016 say nothing: an end in order has left its word.
        "" if stopped(layout) => return app::EXIT_OK,
        "" => "it ended and gave no reason".to_owned(),
        "exit-code" => format!("exit code {detail}"),
        "signal" | "core-dump" => format!("signal {detail}"),
        "watchdog" => "it hung: it gave the service manager no sign of life".to_owned(),
        "timeout" => "it did not say in time that it had started".to_owned(),
        other => other.to_owned(),
    };
    match count(layout, &Clock::system(), &how) {
        Ok(_) => app::EXIT_OK,
        Err(error) => {
            console::complain(&format!("the version of the wrapper before is not brought back: {error}"));
            app::EXIT_FAILED
        }
    }
}

/// Whether the wrapper has ended in order.
fn stopped(layout: &Layout) -> bool {
    status::read(&layout.status()).is_some_and(|status| status.agent.state == AgentState::Stopped)
}

/// Counts an end of a wrapper on trial; whether it was taken back.
fn count(layout: &Layout, clock: &Clock, how: &str) -> io::Result<bool> {
    let (mut book, mut record) = Book::open(Product::Wrapper.records(layout));
    let Some(trial) = record.trial.as_mut() else { return Ok(false) };
    trial.crashes += 1;
    let crashes = trial.crashes;
    // First of all: a power cut must not give it another try.
    book.save(&record)?;
    if crashes < CRASHES_MAX {
        return Ok(false);
    }
    take_back(layout, clock, &format!("it ended by itself {crashes} times, last: {how}"))
}

/// Brings the version before back and remembers why; false without a trial. The program first: until the record is
/// written too, this is done again.
fn take_back(layout: &Layout, clock: &Clock, reason: &str) -> io::Result<bool> {
    let (mut book, mut record) = Book::open(Product::Wrapper.records(layout));
    if record.trial.is_none() {
        return Ok(false);
    }
    place::bring_back(layout)?;
    if let Some(failed) = record.take_back(reason, clock.now()) {
        console::complain(&format!("version {failed} of the wrapper was taken back: {reason}"));
    }
    book.save(&record).map(|()| true)
}

#[cfg(test)]
mod tests;
