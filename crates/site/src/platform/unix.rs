//! Linux, macOS and their kin.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;

use crate::config::Environment;
use crate::machine::Process;

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

/// As `/proc` tells it; other systems than Linux have none.
pub(crate) fn process(id: u32) -> Option<Process> {
    let of = |name: &str| format!("/proc/{id}/{name}");
    let status = fs::read_to_string(of("status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let limits = fs::read_to_string(of("limits")).unwrap_or_default();
    let most = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    Some(Process {
        stopped: field("State:").is_some_and(|state| state.starts_with(['T', 't'])),
        open_files: fs::read_dir(of("fd")).ok().map(|entries| entries.count() as u64),
        open_files_max: most.and_then(|rest| rest.split_whitespace().next()?.parse().ok()),
        memory_bytes: field("VmRSS:").and_then(kibibytes),
    })
}

pub(crate) fn memory() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).and_then(kibibytes);
    Some((field("MemAvailable:")?, field("MemTotal:")?))
}

/// `1234 kB`.
fn kibibytes(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The whole machine's kills; where that is not told, those in this process's control group.
pub(crate) fn out_of_memory_kills() -> Option<u64> {
    let kills = |path: &str| {
        let text = fs::read_to_string(path).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse::<u64>().ok()
    };
    let in_group = || {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        // `0::/path` in the unified hierarchy.
        let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        kills(&format!("/sys/fs/cgroup{path}/memory.events"))
    };
    kills("/proc/vmstat").or_else(in_group)
}
