//! Windows.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::process::Command;

use crate::config::Environment;
use crate::machine::Process;

/// The folder's rights apply to its files: nothing to do.
pub(crate) fn restrict(_options: &mut OpenOptions, _owner_only: bool) {}

pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Windows writes names of files through by itself.
pub(crate) fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Not told: a full disk shows itself when it is written to.
pub(crate) fn free_bytes(_folder: &Path) -> Option<u64> {
    None
}

/// `10.0.20348.2113` of what the command interpreter says.
pub(crate) fn os_version() -> Option<String> {
    let text = os_name();
    let from = text.find(|c: char| c.is_ascii_digit())?;
    text.get(from..).map(|rest| rest.trim_end_matches(']').to_owned())
}

pub(crate) fn glibc_version() -> Option<String> {
    None
}

pub(crate) fn host_name(environment: &Environment) -> String {
    environment.computer.clone().unwrap_or_default()
}

pub(crate) fn user_name(environment: &Environment) -> String {
    environment.user.clone().unwrap_or_default()
}

/// `Microsoft Windows [Version 10.0.20348.2113]`, as the command interpreter says it.
pub(crate) fn os_name() -> String {
    let output = Command::new("cmd").args(["/c", "ver"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.is_empty() { "Windows".to_owned() } else { text }
}

/// Does nothing and succeeds.
pub(crate) fn trivial_program() -> Command {
    let mut command = Command::new("cmd");
    command.args(["/c", "exit 0"]);
    command
}

/// Not told.
pub(crate) fn process(_id: u32) -> Option<Process> {
    None
}

/// Not told.
pub(crate) fn memory() -> Option<(u64, u64)> {
    None
}

/// Windows kills nobody for lack of memory.
pub(crate) fn out_of_memory_kills() -> Option<u64> {
    None
}
