//! Programs: put in place, started apart, watched, ended.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, kill_process, test_kill_process};
use sallyport_protocol::ExecutedBy;

use super::pid;

/// Another process that was being started while the program was written may hold it for a moment.
const BUSY_TRIES: u32 = 20;
const BUSY_STEP: Duration = Duration::from_millis(50);

/// Puts a program in the place of one that may run: who runs it keeps what it has.
pub(crate) fn replace_program(new: &Path, place: &Path) -> io::Result<()> {
    fs::rename(new, place)
}

/// Becomes another program, in this process: whoever waits for this one, a shell or a service manager, goes on to.
pub(crate) fn become_program(program: &Path, words: &[OsString], _executed_by: ExecutedBy) -> io::Result<u8> {
    let mut tries = 0;
    loop {
        let error = Command::new(program).args(words).exec();
        tries += 1;
        if error.kind() != io::ErrorKind::ExecutableFileBusy || tries > BUSY_TRIES {
            return Err(error);
        }
        thread::sleep(BUSY_STEP);
    }
}

/// Starts a program that is nobody's child, so that nobody has to wait for it.
pub(crate) fn start_apart(program: &Path, words: &[OsString]) -> io::Result<()> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "\"$0\" \"$@\" &"]).arg(program).args(words).stdin(Stdio::null());
    let status = shell.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("the shell ended with {status}"))) }
}

/// Whether a process lives; one that has ended and is not yet waited for does not.
pub(crate) fn is_alive(process_id: u32) -> bool {
    match fs::read_to_string(format!("/proc/{process_id}/stat")) {
        // Behind the name, which may hold anything.
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])),
        Err(_) if cfg!(target_os = "linux") => false,
        Err(_) => pid(process_id).is_some_and(|process| test_kill_process(process).is_ok()),
    }
}

/// Has a process do nothing until it is killed.
pub(crate) fn hold_still(process_id: u32) {
    signal(process_id, Signal::STOP);
}

/// Kills a process. What it started finds its pipes closed.
pub(crate) fn kill(process_id: u32) {
    signal(process_id, Signal::KILL);
}

fn signal(process_id: u32, signal: Signal) {
    if let Some(process) = pid(process_id) {
        // One that is gone already is what was wanted.
        let _ = kill_process(process, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_lives_until_it_has_ended() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(is_alive(child.id()) && is_alive(std::process::id()));
        hold_still(child.id());
        assert!(is_alive(child.id()));
        kill(child.id());
        // Not waited for: it is no more than an entry.
        super::super::await_end(&child);
        assert!(!is_alive(child.id()));
        child.wait().unwrap();
    }
}
