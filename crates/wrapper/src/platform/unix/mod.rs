//! Linux, macOS and their kin.

mod launchd;
mod program;
pub(crate) mod service;
mod systemd;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

pub(crate) use program::{become_program, hold_still, is_alive, kill, replace_program, start_apart};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use sallyport_site::config::Environment;

pub(crate) const PLATFORM_SYSTEM: &str = if cfg!(target_os = "macos") { "macos" } else { "linux" };

/// Puts the agent into a process group of its own: Ctrl-C in the terminal reaches the wrapper only, which then ends the
/// agent in order, and the group can be killed as a whole.
pub(crate) fn isolate(command: &mut Command) {
    command.process_group(0);
}

/// Blocks until the process has ended, without taking its exit status: until then its number belongs to nobody else.
pub(crate) fn await_end(child: &Child) {
    let Some(process) = pid(child.id()) else { return };
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(process), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
    {
    }
}

/// Kills the agent and what it started. It must not have been waited for.
pub(crate) fn kill_tree(process_id: u32) {
    if let Some(group) = pid(process_id) {
        // A group that is already gone is what was wanted.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// The signals that end the wrapper in order. A hangup only where it would end it: not under `nohup`.
pub(crate) fn ending_signals() -> Vec<i32> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = vec![SIGINT, SIGTERM];
    if !ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default(), SIGHUP) {
        signals.push(SIGHUP);
    }
    signals
}

/// Whether the process was started with the signal ignored, as Linux says it.
fn ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}

pub(crate) fn exit_signal(status: ExitStatus) -> Option<i32> {
    status.signal()
}

pub(crate) fn make_executable(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// Shows an address in the person's browser, where there is one; who has none reads the address.
pub(crate) fn open_browser(address: &str, environment: &Environment) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    if cfg!(target_os = "macos") || environment.desktop {
        let mut command = Command::new(program);
        command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // It ends by itself, and this program with it at the latest.
        let _ = command.spawn();
    }
}

fn pid(process_id: u32) -> Option<Pid> {
    i32::try_from(process_id).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hangup_stays_ignored() {
        assert!(ignored("Name:\tx\nSigIgn:\t0000000000001001\n", signal_hook::consts::SIGHUP));
        assert!(!ignored("SigIgn:\t0000000000001000\n", signal_hook::consts::SIGHUP));
        assert!(!ignored("", signal_hook::consts::SIGHUP));
    }
}
