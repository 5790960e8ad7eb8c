//! Crash files: `logs/uncaughtException-<time>.json`, left by a program that meets a bug, or by the wrapper for an agent
//! that could not leave its own.

use std::backtrace::Backtrace;
use std::fs;
use std::io;
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};

use sallyport_protocol::{Clock, Crash, ExitCause, Secret, Timestamp};

use crate::durable::{self, Readers};
use crate::log::{self, Program};

/// How many files are kept; the oldest go first.
pub const FILES_MAX: usize = 20;
/// Lines of the log that a file repeats.
pub const LINES_MAX: usize = 40;
/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
const PREFIX: &str = "uncaughtException-";
/// Panics of one process that leave a file: a step that fails in a loop must not write without end.
const FILES_PER_PROCESS_MAX: u32 = 10;

/// What is the same for all crash files of a process.
#[derive(Clone, Debug)]
pub struct Author {
    /// Whose log is repeated.
    pub program: Program,
    /// The program's version.
    pub version: String,
    /// Where its files lie.
    pub logs: PathBuf,
    /// Never written: replaced by `***`.
    pub secrets: Vec<Secret>,
    /// For the time.
    pub clock: Clock,
}

/// Writes a file for every panic from now on, and then does what was done before.
pub fn on_panic(author: Author) {
    let before = std::panic::take_hook();
    let written = std::sync::atomic::AtomicU32::new(0);
    std::panic::set_hook(Box::new(move |panic| {
        if written.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < FILES_PER_PROCESS_MAX {
            // There is nobody to tell; the log line and the console's say the most important.
            let _ = author.leave(of_panic(&author, panic));
        }
        before(panic);
    }));
}

fn of_panic(author: &Author, panic: &PanicHookInfo<'_>) -> Crash {
    let payload = panic.payload();
    let words = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let message = words.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".to_owned());
    let thread = std::thread::current();
    Crash {
        thread: Some(thread.name().unwrap_or("unnamed").to_owned()),
        place: panic.location().map(ToString::to_string),
        stack: Backtrace::force_capture().to_string(),
        ..author.crash(ExitCause::Panic, message, author.clock.now())
    }
}

impl Author {
    /// A crash without stack, with the last lines of the program's log.
    pub fn crash(&self, cause: ExitCause, message: String, at: Timestamp) -> Crash {
        Crash {
            at,
            program: match self.program {
                Program::Agent => "agent",
                Program::Wrapper => "wrapper",
            }
            .to_owned(),
            version: self.version.clone(),
            os: crate::platform::os_name(),
            cause,
            message,
            thread: None,
            place: None,
            stack: String::new(),
            last_lines: log::recent(&self.logs, self.program, LINES_MAX),
            file: name(at),
        }
    }

    /// Writes the file, without secrets, and lets the oldest go; gives what was written.
    pub fn leave(&self, mut crash: Crash) -> io::Result<Crash> {
        for text in [&mut crash.message, &mut crash.stack].into_iter().chain(&mut crash.last_lines) {
            *text = crate::redact::without(text, &self.secrets);
        }
        // Two of one millisecond: the later one's name says so.
        let mut number = 1;
        while self.logs.join(&crash.file).exists() {
            number += 1;
            crash.file = name(crash.at).replace(".json", &format!("-{number}.json"));
        }
        let text = serde_json::to_vec_pretty(&crash)?;
        durable::replace(&self.logs.join(&crash.file), &text, Readers::Owner)?;
        let files = files(&self.logs);
        for old in files.iter().take(files.len().saturating_sub(FILES_MAX)) {
            // It is tried again with the next one.
            let _ = fs::remove_file(self.logs.join(old));
        }
        Ok(crash)
    }
}

/// `uncaughtException-2026-11-28T13-10-50.123Z.json`: no colons, which Windows does not take.
fn name(at: Timestamp) -> String {
    let time = jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |time| format!("{time:.3}"));
    format!("{PREFIX}{}.json", time.replace(':', "-"))
}

/// The names of the crash files in `logs/`, the oldest first.
pub fn files(logs: &Path) -> Vec<String> {
    let entries = fs::read_dir(logs).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(PREFIX) && name.ends_with(".json"))
        .collect();
    names.sort();
    names
}

/// Reads a crash file; `None` if it is none.
pub fn read(logs: &Path, file: &str) -> Option<Crash> {
    let path = logs.join(file);
    if fs::metadata(&path).ok()?.len() > FILE_BYTES_MAX {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author(logs: &Path) -> Author {
        Author {
            program: Program::Agent,
            version: "1.2.3".to_owned(),
            logs: logs.to_owned(),
            secrets: vec![Secret::new("hunter2")],
            clock: Clock::system(),
        }
    }

    #[test]
    fn a_file_tells_the_end_without_secrets_and_reads_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("server-2026-01-01.log"), "one\nlogging in with hunter2\n").unwrap();
        let author = author(folder.path());
        let crash = author.crash(ExitCause::Abort, "bad hunter2".to_owned(), Timestamp(1_000_000));
        let left = author.leave(crash).unwrap();
        assert_eq!(
            (left.message.as_str(), left.last_lines.last().unwrap().as_str()),
            ("bad ***", "logging in with ***")
        );
        assert_eq!(left.file, "uncaughtException-1970-01-01T00-00-01.000Z.json");
        assert_eq!(files(folder.path()), std::slice::from_ref(&left.file));
        assert_eq!(read(folder.path(), &left.file), Some(left));
        assert!(!fs::read_to_string(folder.path().join(&files(folder.path())[0])).unwrap().contains("hunter2"));
    }

    #[test]
    fn the_newest_files_are_kept_and_none_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let author = author(folder.path());
        for second in 0..30 {
            author.leave(author.crash(ExitCause::Panic, second.to_string(), Timestamp(second * 1_000_000))).unwrap();
        }
        let again = author.leave(author.crash(ExitCause::Panic, "again".to_owned(), Timestamp(29_000_000))).unwrap();
        let kept = files(folder.path());
        assert_eq!(
            (kept.len(), kept.last()),
            (FILES_MAX, Some(&"uncaughtException-1970-01-01T00-00-29.000Z.json".to_owned()))
        );
        assert_eq!(read(folder.path(), &again.file).unwrap().message, "again");
    }
}
