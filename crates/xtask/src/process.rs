//! Running other programs.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Runs to the end, output to the terminal.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("starting {}: {error}", name(command)))?;
    ended(command, status)
}

/// Runs to the end with what other programs leave of the processor's time, where the system can do that.
pub(crate) fn run_modestly(command: &mut Command) -> Result<(), String> {
    let mut child = command.spawn().map_err(|error| format!("starting {}: {error}", name(command)))?;
    // What it starts from now on has its priority.
    let _ = output(Command::new("renice").args(["-n", "19", "-p", &child.id().to_string()]));
    let status = child.wait().map_err(|error| format!("waiting for {}: {error}", name(command)))?;
    ended(command, status)
}

/// Runs to the end; output is shown only when it fails.
pub(crate) fn run_quietly(command: &mut Command) -> Result<(), String> {
    output(command).map(|_| ())
}

/// Runs to the end and gives what it wrote to its standard output; all it wrote is in the error when it fails.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("starting {}: {error}", name(command)))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{} ended with {}\n{text}{}", name(command), output.status, String::from_utf8_lossy(&output.stderr)))
}

/// Whether a program can be found and started.
pub(crate) fn exists(program: impl AsRef<OsStr>, version: &str) -> bool {
    Command::new(program)
        .arg(version)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn ended(command: &Command, status: ExitStatus) -> Result<(), String> {
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", name(command))) }
}

fn name(command: &Command) -> String {
    let mut text = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    for argument in command.get_args().take(4) {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    format!("`{text}`")
}
