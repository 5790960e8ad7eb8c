//! Programs: put in place, started apart, watched, ended.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::windows::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sallyport_protocol::ExecutedBy;

use super::CREATE_NEW_PROCESS_GROUP;
use crate::app;

/// What service managers take for a failure, so that they start the service again.
const EXIT_START_AGAIN: u8 = 75;

/// Puts a program in the place of one that may run: Windows lets nobody overwrite that one, but anybody rename it.
pub(crate) fn replace_program(new: &Path, place: &Path) -> io::Result<()> {
    if !place.exists() {
        return fs::rename(new, place);
    }
    let away = away(place);
    fs::rename(place, &away)?;
    if let Err(error) = fs::rename(new, place) {
        fs::rename(&away, place)?;
        return Err(error);
    }
    // One that still runs is removed the next time.
    let _ = fs::remove_file(&away);
    Ok(())
}

/// A free name beside the program, after those that are left from before are removed.
fn away(place: &Path) -> PathBuf {
    let stem = place.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let named = |number: u32| place.with_file_name(format!("{stem}.old-{number}.exe"));
    let free = (0..100).map(named).find(|path| !path.exists() || fs::remove_file(path).is_ok());
    free.unwrap_or_else(|| named(std::process::id()))
}

/// Has another program take over: the service manager starts it when this process ends, or this process does.
pub(crate) fn become_program(program: &Path, words: &[OsString], executed_by: ExecutedBy) -> io::Result<u8> {
    if executed_by == ExecutedBy::Service {
        return Ok(EXIT_START_AGAIN);
    }
    Command::new(program).args(words).spawn().map(|_| app::EXIT_OK)
}

/// Starts a program that outlives this one.
pub(crate) fn start_apart(program: &Path, words: &[OsString]) -> io::Result<()> {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).creation_flags(CREATE_NEW_PROCESS_GROUP);
    command.spawn().map(drop)
}

/// Whether a process lives.
pub(crate) fn is_alive(process_id: u32) -> bool {
    let mut list = Command::new("tasklist");
    list.args(["/NH", "/FO", "CSV", "/FI", &format!("PID eq {process_id}")]).stdin(Stdio::null());
    list.output().is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(&format!("\"{process_id}\"")))
}

/// Windows holds no process still: it is killed.
pub(crate) fn hold_still(process_id: u32) {
    kill(process_id);
}

/// Kills a process. What it started finds its pipes closed.
pub(crate) fn kill(process_id: u32) {
    // One that is gone already is what was wanted.
    let _ = Command::new("taskkill")
        .args(["/F", "/PID", &process_id.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}
