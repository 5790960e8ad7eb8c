//! Windows.

mod program;
pub(crate) mod service;

use std::io;
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

pub(crate) use program::{become_program, hold_still, is_alive, kill, replace_program, start_apart};
use sallyport_site::config::Environment;

pub(crate) const PLATFORM_SYSTEM: &str = "windows";

/// `CREATE_NEW_PROCESS_GROUP`: Ctrl-C in the console reaches the wrapper only, which then ends the agent in order.
const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;

pub(crate) fn isolate(command: &mut Command) {
    command.creation_flags(CREATE_NEW_PROCESS_GROUP);
}

/// The handle that the caller holds keeps the process's number from being given to another.
pub(crate) fn await_end(_child: &Child) {}

/// Kills the agent and what it started.
pub(crate) fn kill_tree(process_id: u32) {
    // A process that is already gone is what was wanted.
    let _ = Command::new("taskkill")
        .args(["/T", "/F", "/PID", &process_id.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Ctrl-C and Ctrl-Break, which is also what a closed console sends.
pub(crate) fn ending_signals() -> Vec<i32> {
    const SIGBREAK: i32 = 21;
    vec![signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, SIGBREAK]
}

pub(crate) fn exit_signal(_status: ExitStatus) -> Option<i32> {
    None
}

pub(crate) fn make_executable(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Shows an address in the person's browser; who has none reads the address.
pub(crate) fn open_browser(address: &str, _environment: &Environment) {
    // It ends at once.
    let _ = Command::new("rundll32").args(["url.dll,FileProtocolHandler", address]).stdin(Stdio::null()).spawn();
}
