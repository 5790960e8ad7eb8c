//! Linux, macOS and their kin.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;

use crate::config::Environment;

/// Limits a file that is about to be created to its owner.
pub(crate) fn restrict(options: &mut OpenOptions, owner_only: bool) {
    options.mode(if owner_only { 0o600 } else { 0o644 });
}

pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

/// The kernel's version.
pub(crate) fn os_version() -> Option<String> {
    Some(rustix::system::uname().release().to_string_lossy().into_owned())
}

/// As the system's own tool tells it: a program that is linked otherwise cannot ask the library.
pub(crate) fn glibc_version() -> Option<String> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    String::from_utf8(output.stdout).ok()?.split_whitespace().nth(1).map(str::to_owned)
}

pub(crate) fn host_name(_environment: &Environment) -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The user the process runs as, not the one who logged in: the two differ under sudo.
pub(crate) fn user_name(environment: &Environment) -> String {
    let id = rustix::process::geteuid().as_raw();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    });
    named.or_else(|| environment.user.clone()).unwrap_or_else(|| format!("uid {id}"))
}

pub(crate) fn os_name() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let pretty = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).map(|name| name.trim_matches('"'));
    let system = rustix::system::uname();
    let kernel = format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy());
    pretty.map_or(kernel, str::to_owned)
}

/// Does nothing and succeeds.
pub(crate) fn trivial_program() -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", ":"]);
    command
}
