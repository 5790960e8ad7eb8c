//! The agent's process: started with the life pipe, its standard error kept, its end reported.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use sallyport_protocol::ExecutedBy;
use sallyport_site::Layout;
use sallyport_site::pulse::{self, Strainer};

use crate::supervise::{Event, Exit};
use crate::tail::Tail;
use crate::{console, platform};

/// How long the last output of an ended agent is waited for; a program of its own that still holds the pipe is no
/// reason to wait longer.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The running process, as far as others need it.
#[derive(Default)]
pub(crate) struct Agent {
    /// `None` once it has ended: the number may then belong to another process.
    alive: Mutex<Option<Alive>>,
}

struct Alive {
    process_id: u32,
    /// While it is open, the wrapper lives.
    life_pipe: ChildStdin,
}

impl Agent {
    /// Asks the agent to end; one that no longer listens is killed when its time is over.
    pub(crate) fn ask_to_end(&self) {
        if let Some(alive) = self.alive.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            let _ = alive.life_pipe.write_all(b"stop\n").and_then(|()| alive.life_pipe.flush());
        }
    }

    /// Asks the agent for a sign of progress; one that no longer listens says so by its silence.
    pub(crate) fn ask_for_beat(&self) {
        if let Some(alive) = self.alive.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            let _ = writeln!(alive.life_pipe, "{}", pulse::PING).and_then(|()| alive.life_pipe.flush());
        }
    }

    /// Kills the agent and what it started.
    pub(crate) fn kill(&self) {
        if let Some(alive) = self.alive.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            platform::kill_tree(alive.process_id);
        }
    }

    /// Starts the agent and stays with it until it has ended; both are told through `events`.
    pub(crate) fn live(&self, program: &Path, layout: &Layout, executed_by: ExecutedBy, events: &SyncSender<Event>) {
        let mut child = match spawn(program, layout, executed_by) {
            Ok(child) => child,
            Err(error) => {
                let reason = format!("starting {} failed: {error}", program.display());
                let _ = events.send(Event::StartFailed { reason });
                return;
            }
        };
        let process_id = child.id();
        let output = child.stderr.take().map(|stderr| Output::follow(stderr, events.clone()));
        if let Some(life_pipe) = child.stdin.take() {
            *self.alive.lock().unwrap_or_else(PoisonError::into_inner) = Some(Alive { process_id, life_pipe });
        }
        // Nobody listens only when the wrapper itself is about to end.
        let _ = events.send(Event::Started { process_id });
        platform::await_end(&child);
        let exit = self.bury(&mut child, output);
        let _ = events.send(Event::Ended(exit));
    }

    fn bury(&self, child: &mut Child, output: Option<Output>) -> Exit {
        if cfg!(unix) {
            // What the agent started must not outlive it; its number is still its own here.
            platform::kill_tree(child.id());
        }
        let status = {
            let waited = if cfg!(unix) { None } else { Some(child.wait()) };
            // On Unix the status is taken under the lock, so that nobody kills a number that was given away.
            let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
            *alive = None;
            waited.unwrap_or_else(|| child.wait())
        };
        let stderr = output.map(Output::last_lines).unwrap_or_default();
        match status {
            Ok(status) => Exit { code: status.code(), signal: platform::exit_signal(status), stderr },
            Err(_) => Exit { code: None, signal: None, stderr },
        }
    }
}

fn spawn(program: &Path, layout: &Layout, executed_by: ExecutedBy) -> std::io::Result<Child> {
    let executed_by = match executed_by {
        ExecutedBy::Background => "background",
        ExecutedBy::Service => "service",
        _ => "foreground",
    };
    let mut command = Command::new(program);
    command
        .arg("--home")
        .arg(layout.home())
        .args(["--life-pipe", "--wrapper-version", env!("CARGO_PKG_VERSION"), "--executed-by", executed_by])
        .current_dir(layout.home())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped());
    platform::isolate(&mut command);
    command.spawn()
}

/// The agent's standard error: shown on the console, its end kept.
struct Output {
    tail: Arc<Mutex<Tail>>,
    reader: thread::JoinHandle<()>,
}

impl Output {
    fn follow(mut stderr: ChildStderr, events: SyncSender<Event>) -> Self {
        let tail = Arc::new(Mutex::new(Tail::default()));
        let shared = Arc::clone(&tail);
        let reader = thread::spawn(move || {
            let mut chunk = [0u8; 4096];
            let mut strainer = Strainer::default();
            while let Ok(count @ 1..) = stderr.read(&mut chunk) {
                let (bytes, beats) = strainer.strain(chunk.get(..count).unwrap_or_default());
                if beats > 0 {
                    // Where there is no room the loop is late, and asks again.
                    let _ = events.try_send(Event::Beat);
                }
                if !bytes.is_empty() {
                    shared.lock().unwrap_or_else(PoisonError::into_inner).feed(&bytes);
                    console::pass_on(&bytes);
                }
            }
        });
        Self { tail, reader }
    }

    fn last_lines(self) -> Vec<String> {
        const STEP: Duration = Duration::from_millis(10);
        let mut waited = Duration::ZERO;
        while !self.reader.is_finished() && waited < LAST_WORDS {
            thread::sleep(STEP);
            waited += STEP;
        }
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).lines()
    }
}

/// The version that an agent program says it has; `None` if it does not say so within a few seconds.
pub(crate) fn version_of(program: &Path) -> Option<String> {
    const STEP: Duration = Duration::from_millis(20);
    const STEPS: u32 = 250;
    let mut child = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    for _ in 0..STEPS {
        if matches!(child.try_wait(), Ok(Some(_))) {
            let mut text = String::new();
            child.stdout.take()?.take(1024).read_to_string(&mut text).ok()?;
            let version = text.split_whitespace().last()?;
            return version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned());
        }
        thread::sleep(STEP);
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}
