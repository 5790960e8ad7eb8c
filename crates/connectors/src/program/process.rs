//! One program at work: started, listened to, ended whatever happens.

use std::io::Write;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sallyport_dataplane::CancelGuard;
use sallyport_protocol::{Failure, FailureKind};

use super::config;
use super::listen::Heard;
use super::message::{Hello, Message, PROTOCOL, Role};
use super::platform::{self, Group};
use crate::{Context, Error, Program};

/// How long a program may take to say that it is ready.
const READY_MAX: Duration = Duration::from_secs(60);

/// How long a program that was asked to end, or that has said its last word, may take.
const GRACE: Duration = Duration::from_secs(3);

/// How often an ending program is looked at.
const POLL: Duration = Duration::from_millis(10);

/// A running program; dropped, it and all that it started are ended.
pub(super) struct Process {
    name: String,
    role: Role,
    child: Child,
    group: Group,
    heard: Arc<Heard>,
    listener: Option<JoinHandle<()>>,
    /// Set once the program is gone, so that no signal reaches a stranger with its number.
    gone: Arc<AtomicBool>,
    _guard: CancelGuard,
}

impl Process {
    /// Starts a registered program and takes its pipes.
    pub(super) fn start(
        name: &str,
        program: &Program,
        role: Role,
        cx: &Context,
    ) -> Result<(Self, ChildStdin, Option<ChildStdout>), Error> {
        let mut command = Command::new(&program.command);
        command.args(&program.arguments).current_dir(&cx.scratch).env_clear().envs(config::environment(&cx.scratch));
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        command.stdout(if role == Role::Source { Stdio::piped() } else { Stdio::null() });
        platform::prepare(&mut command);
        let not_started = |error: &std::io::Error| {
            let why = format!("starting program `{name}` ({}): {error}", program.command.display());
            Error::permanent(FailureKind::Connector, "program_not_started", why).advise(
                "check the command in `programs.json` in the agent's folder, and that the agent's user may run it",
            )
        };
        let mut child = command.spawn().map_err(|error| not_started(&error))?;
        let group = Group::of(&child);
        let pipes = (child.stdin.take(), child.stderr.take(), child.stdout.take());
        let heard = Arc::new(Heard::default());
        let gone = Arc::new(AtomicBool::new(false));
        let guard = end_on_cancel(cx, group, &gone);
        let mut process =
            Self { name: name.to_owned(), role, child, group, heard, listener: None, gone, _guard: guard };
        let (Some(stdin), Some(stderr), stdout) = pipes else {
            return Err(not_started(&std::io::Error::other("no pipes")));
        };
        let (heard, log, progress) = (Arc::clone(&process.heard), Arc::clone(&cx.log), Arc::clone(&cx.progress));
        let thread = std::thread::Builder::new().name("program-listener".to_owned());
        let listener = thread.spawn(move || {
            // A source's rows are counted where they are given on.
            let advance = |rows, bytes| {
                progress.add_rows_out(if role == Role::Sink { rows } else { 0 });
                progress.add_bytes(bytes);
            };
            heard.listen(stderr, &log, &advance);
        });
        process.listener = Some(listener.map_err(|error| not_started(&error))?);
        Ok((process, stdin, stdout))
    }

    /// Says hello and waits until the program is ready.
    pub(super) fn greet(&mut self, stdin: &mut ChildStdin, hello: &Hello<'_>, cx: &Context) -> Result<(), Error> {
        match self.say(stdin, hello) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => return Err(self.silent("read its `hello`")),
            Err(_) => return Err(self.died(cx)),
        }
        let ready =
            self.heard.wait(READY_MAX, |state| state.ready.is_some() || state.closed || state.last_word.is_some());
        cx.cancel.check()?;
        let version = self.heard.state().ready;
        match version {
            Some(PROTOCOL) => Ok(()),
            Some(version) => {
                let why = format!(
                    "program `{}` speaks version {version} of the protocol, this agent version {PROTOCOL}",
                    self.name
                );
                Err(Error::permanent(FailureKind::Connector, "program_protocol", why)
                    .advise("install a version of the program for this agent"))
            }
            None if ready => Err(self.died(cx)),
            None => Err(self.silent("say `ready`")),
        }
    }

    fn silent(&self, owed: &str) -> Error {
        let why = format!("program `{}` did not {owed} within {} s", self.name, READY_MAX.as_secs());
        Error::permanent(FailureKind::Connector, "program_protocol", why)
            .advise("the program must speak the protocol of Sallyport's programs; see docs/connectors/program.md")
    }

    /// Writes the hello; a program that does not read it is ended, for a full pipe would hold this thread for ever.
    fn say(&self, stdin: &mut ChildStdin, hello: &Hello<'_>) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(hello)?;
        line.push(b'\n');
        let (done, said) = std::sync::mpsc::sync_channel(1);
        std::thread::scope(|scope| {
            scope.spawn(move || done.send(stdin.write_all(&line).and_then(|()| stdin.flush())));
            said.recv_timeout(READY_MAX).unwrap_or_else(|_| {
                self.group.kill();
                Err(std::io::ErrorKind::TimedOut.into())
            })
        })
    }

    /// The failure of a program that closed a pipe or ended before its time: its own word, else how it ended.
    pub(super) fn died(&mut self, cx: &Context) -> Error {
        let status = self.end();
        if cx.cancel.is_cancelled() {
            return Error::Cancelled;
        }
        let own = matches!(self.heard.state().last_word, Some(Message::Error { .. }));
        if own {
            return self.own_error();
        }
        let ending = status.map_or_else(|| "was ended because it did not end by itself".to_owned(), platform::ending);
        let why = format!("program `{}` {ending} before its work was done{}", self.name, self.tail());
        Error::permanent(FailureKind::Connector, "program_died", why).advise(
            "look at the program's last lines, here and in the step's log; run it by hand on the agent's machine",
        )
    }

    /// Waits for the program's last word and its end; gives the word if both are good.
    pub(super) fn finish(mut self, cx: &Context) -> Result<Message, Error> {
        // It may work long on its last rows; the step's timeout and the stop signal end that.
        while !self.heard.wait(Duration::from_secs(1), |state| state.last_word.is_some() || state.closed) {
            if self.exited() {
                break;
            }
        }
        // What it said last may still be on its way when it has ended; `end` waits for it.
        let status = self.end();
        let word = self.heard.state().last_word.clone();
        if cx.cancel.is_cancelled() && word.is_none() {
            return Err(Error::Cancelled);
        }
        match (word, status) {
            (Some(Message::Error { .. }), _) => Err(self.own_error()),
            (Some(word), Some(status)) if status.success() => Ok(word),
            // The rows are where they belong; how the program ends after that does not matter.
            (Some(word @ Message::Committed { .. }), _) => Ok(word),
            (_, Some(status)) if status.success() => {
                let owed = if self.role == Role::Sink { "committed" } else { "result" };
                let why = format!("program `{}` ended without saying `{owed}`{}", self.name, self.tail());
                Err(Error::permanent(FailureKind::Connector, "program_protocol", why)
                    .advise("the program must end with its last word; see docs/connectors/program.md"))
            }
            _ => Err(self.died(cx)),
        }
    }

    /// Ends all processes at once, before any pipe is closed: a sink must not take a broken input for a whole one.
    pub(super) fn kill(&mut self) {
        if !self.gone.load(Ordering::SeqCst) {
            self.group.kill();
        }
    }

    /// Waits a little for the program to end by itself, then ends it; the status if it did so by itself.
    fn end(&mut self) -> Option<ExitStatus> {
        let mut left = GRACE;
        while !self.exited() && !left.is_zero() {
            std::thread::sleep(POLL);
            left = left.saturating_sub(POLL);
        }
        let by_itself = self.exited();
        // Also what it has started and left behind.
        self.group.kill();
        let status = self.child.wait().ok();
        self.gone.store(true, Ordering::SeqCst);
        if let Some(listener) = self.listener.take() {
            // What it said last counts; a grandchild that escaped its group may hold the pipe open for ever.
            if self.heard.wait(GRACE, |state| state.closed) {
                let _ = listener.join();
            }
        }
        status.filter(|_| by_itself)
    }

    fn exited(&mut self) -> bool {
        self.gone.load(Ordering::SeqCst) || matches!(self.child.try_wait(), Ok(Some(_)))
    }

    fn own_error(&self) -> Error {
        let word = self.heard.state().last_word.clone();
        let Some(Message::Error { code, message, advice, transient }) = word else {
            return Error::permanent(FailureKind::Connector, "program_died", format!("program `{}` failed", self.name));
        };
        Error::Failed(Box::new(Failure {
            kind: FailureKind::Connector,
            code: code.unwrap_or_else(|| "program_failed".to_owned()),
            message: format!("program `{}`: {message}", self.name),
            advice,
            transient,
        }))
    }

    fn tail(&self) -> String {
        let state = self.heard.state();
        if state.tail.is_empty() {
            return "; it said nothing more".to_owned();
        }
        let lines: Vec<&str> = state.tail.iter().map(String::as_str).collect();
        format!("; its last lines: {}", lines.join(" | "))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.gone.load(Ordering::SeqCst) {
            self.group.kill();
            // Killed processes end.
            let _ = self.child.wait();
            self.gone.store(true, Ordering::SeqCst);
        }
    }
}

/// At the stop signal the program is asked to end, and ended when it has not after the grace period.
fn end_on_cancel(cx: &Context, group: Group, gone: &Arc<AtomicBool>) -> CancelGuard {
    let gone = Arc::clone(gone);
    cx.cancel.on_cancel(move || {
        if gone.load(Ordering::SeqCst) {
            return;
        }
        group.terminate();
        // The caller must not wait; if no thread can be had, there is no grace.
        let watchdog = std::thread::Builder::new().name("program-grace".to_owned());
        let watched = Arc::clone(&gone);
        let started = watchdog.spawn(move || {
            std::thread::sleep(GRACE);
            if !watched.load(Ordering::SeqCst) {
                group.kill();
            }
        });
        if started.is_err() {
            group.kill();
        }
    })
}
