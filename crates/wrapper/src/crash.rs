//! Why an agent ended, and the crash files on their way to the server.

use std::collections::BTreeSet;
use std::fs;

use sallyport_protocol::{AgentExit, Clock, Crash, ExitCause, WrapperMessage};
use sallyport_site::crash::{self, Author};
use sallyport_site::durable::{self, Readers};
use sallyport_site::log::Program;
use sallyport_site::{Layout, Settings, machine};
use tracing::warn;

use crate::agent;
use crate::reports::Reports;

/// Exit code of a Rust program that met a bug.
const EXIT_PANIC: i32 = 101;

/// Why the agent ended, from how it did. `out_of_memory` says that the system has killed somebody for lack of memory
/// while it ran.
pub(crate) fn cause(exit: &AgentExit, out_of_memory: bool) -> Option<ExitCause> {
    if exit.cause.is_some() || exit.expected {
        return exit.cause;
    }
    let said = |words: &str| exit.stderr.iter().any(|line| line.contains(words));
    let words = [
        ("memory allocation of", ExitCause::OutOfMemory),
        ("has overflowed its stack", ExitCause::StackOverflow),
        ("(os error 24)", ExitCause::DescriptorsExhausted),
        ("(os error 23)", ExitCause::DescriptorsExhausted),
    ];
    let named = words.into_iter().find(|(words, _)| said(words)).map(|(_, cause)| cause);
    match (exit.signal, exit.code) {
        (Some(9), _) if out_of_memory => Some(ExitCause::OutOfMemory),
        (Some(9 | 15 | 1 | 2), _) => Some(ExitCause::Killed),
        (Some(6), _) => Some(named.unwrap_or(ExitCause::Abort)),
        (Some(4 | 5 | 7 | 8 | 11), _) => Some(named.unwrap_or(ExitCause::BadMemory)),
        (Some(_), _) => Some(ExitCause::Other),
        (None, Some(EXIT_PANIC)) => Some(named.unwrap_or(ExitCause::Panic)),
        (None, Some(code)) => named.filter(|_| code != 0).or(of_windows(code)),
        (None, None) => named,
    }
}

/// Windows gives the exception as exit code.
fn of_windows(code: i32) -> Option<ExitCause> {
    match code.cast_unsigned() {
        0xc000_0005 => Some(ExitCause::BadMemory),
        0xc000_00fd => Some(ExitCause::StackOverflow),
        0xc000_0409 => Some(ExitCause::Abort),
        0xc000_0017 | 0xc000_012d => Some(ExitCause::OutOfMemory),
        _ => None,
    }
}

/// The crash files of one installation.
pub(crate) struct Files {
    layout: Layout,
    wrapper: Author,
    told: BTreeSet<String>,
    /// The system's kills for lack of memory when the agent was started.
    kills: Option<u64>,
}

impl Files {
    /// Takes up what an earlier wrapper has told.
    pub(crate) fn open(layout: &Layout, settings: &Settings, clock: &Clock) -> Self {
        let told = fs::read_to_string(layout.crashes_told()).unwrap_or_default();
        let wrapper = Author {
            program: Program::Wrapper,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            logs: layout.logs(),
            secrets: settings.logins().map(|(_, password)| password.clone()).collect(),
            clock: clock.clone(),
        };
        Self { layout: layout.clone(), wrapper, told: told.lines().map(str::to_owned).collect(), kills: None }
    }

    /// Has a bug in the wrapper leave a file.
    pub(crate) fn watch_this_process(&self) {
        crash::on_panic(self.wrapper.clone());
    }

    /// The agent was started.
    pub(crate) fn agent_started(&mut self) {
        self.kills = machine::out_of_memory_kills();
    }

    /// The agent has ended: finds out why, and leaves a file where the agent could not.
    pub(crate) fn agent_ended(&self, exit: &mut AgentExit, program: &std::path::Path) {
        let kills = machine::out_of_memory_kills();
        exit.cause = cause(exit, kills > self.kills);
        let Some(cause) = exit.cause else { return };
        // A panic has left its own.
        if matches!(cause, ExitCause::Panic | ExitCause::Killed) {
            return;
        }
        let version = agent::version_of(program).unwrap_or_default();
        let author = Author { program: Program::Agent, version, ..self.wrapper.clone() };
        let message = format!("the agent {}: {}", cause.words(), crate::status::ended_by(exit));
        let mut crash = author.crash(cause, message, exit.at);
        crash.last_lines.extend(exit.stderr.iter().map(|line| format!("stderr: {line}")));
        if let Err(error) = author.leave(crash) {
            warn!(%error, "the crash file could not be written");
        }
    }

    /// Hands the files that are new to the reports, and gives the newest of them.
    pub(crate) fn tell(&mut self, reports: &Reports) -> Option<Crash> {
        let files = crash::files(&self.layout.logs());
        let mut newest = None;
        for file in files.iter().filter(|file| !self.told.contains(*file)) {
            // One that cannot be read will not be readable later: it is replaced by a rename.
            if let Some(crash) = crash::read(&self.layout.logs(), file) {
                reports.push(WrapperMessage::Crashed { crash: crash.clone().bounded() });
                newest = Some(crash);
            }
        }
        let now: BTreeSet<String> = files.into_iter().collect();
        if now != self.told {
            self.told = now;
            let text = self.told.iter().fold(String::new(), |text, file| text + file + "\n");
            if let Err(error) = durable::replace(&self.layout.crashes_told(), text.as_bytes(), Readers::Anyone) {
                warn!(%error, "crash files may be told to the server again");
            }
        }
        newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: Option<i32>, signal: Option<i32>, stderr: &str, out_of_memory: bool, expected: Option<ExitCause>) {
        let stderr = vec![stderr.to_owned()];
        let exit = AgentExit { code, signal, stderr, ..AgentExit::default() };
        assert_eq!(cause(&exit, out_of_memory), expected, "{code:?} {signal:?} {exit:?}");
    }

    #[test]
    fn ends_are_recognised() {
        use ExitCause::{Abort, BadMemory, DescriptorsExhausted, Killed, OutOfMemory, Panic, StackOverflow};
        check(Some(0), None, "", false, None);
        check(Some(1), None, "no such file (os error 2)", false, None);
        check(Some(1), None, "accept: Too many open files (os error 24)", false, Some(DescriptorsExhausted));
        check(Some(101), None, "", false, Some(Panic));
        check(Some(101), None, "Too many open files (os error 24)", false, Some(DescriptorsExhausted));
        check(None, Some(9), "", false, Some(Killed));
        check(None, Some(9), "", true, Some(OutOfMemory));
        check(None, Some(6), "", true, Some(Abort));
        check(None, Some(6), "memory allocation of 8 bytes failed", false, Some(OutOfMemory));
        check(None, Some(6), "thread 'x' has overflowed its stack", false, Some(StackOverflow));
        check(None, Some(11), "", false, Some(BadMemory));
        check(Some(0xc000_0005_u32.cast_signed()), None, "", false, Some(BadMemory));
        check(None, None, "no such file (os error 2)", false, None);
        check(None, None, "starting it failed: Too many open files (os error 24)", false, Some(DescriptorsExhausted));
    }

    #[test]
    fn what_was_asked_for_or_is_known_already_is_not_judged_again() {
        let asked = AgentExit { signal: Some(9), expected: true, ..AgentExit::default() };
        assert_eq!(cause(&asked, true), None);
        let hung = AgentExit { signal: Some(9), cause: Some(ExitCause::Hang), ..AgentExit::default() };
        assert_eq!(cause(&hung, true), Some(ExitCause::Hang));
    }
}
