//! A machine that systemd runs: this one's own system once more, in a container, with changes that are forgotten.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

use crate::disk::SmallDisk;
use crate::process::{Process, said};
use crate::wait::until;

/// What may be changed of it.
const CHANGES_MEBIBYTES: u32 = 1024;

/// A booted container; ended and forgotten when dropped. It shares the network of this machine.
pub struct Machine {
    // In the order in which they are ended.
    container: Process,
    _root: Mounted,
    _changes: SmallDisk,
    root: PathBuf,
    init: u32,
}

impl Machine {
    /// Boots one below `folder`.
    pub fn boot(folder: &Path) -> Result<Self> {
        let changes = SmallDisk::mount(&folder.join("changes"), CHANGES_MEBIBYTES)?;
        let root = folder.join("root");
        let (upper, work) = (changes.path().join("upper"), changes.path().join("work"));
        for path in [&root, &upper, &work] {
            std::fs::create_dir_all(path)?;
        }
        let layers = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
        let status = Command::new("mount").args(["-t", "overlay", "overlay", "-o", &layers]).arg(&root).status()?;
        ensure!(status.success(), "mounting {} needs the superuser and overlayfs", root.display());
        let mounted = Mounted(root.clone());
        // Folders of tests have names of their own.
        let own = folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let name: String = own.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        let mut command = Command::new("systemd-nspawn");
        command.args(["--quiet", "--register=no", "--keep-unit", "--console=pipe", "--machine", &name, "--directory"]);
        // The services of this machine are not wanted in it.
        command.arg(&root).args(["--boot", "--", "--unit=basic.target"]);
        let container = Process::start("the container", &mut command, &folder.join("container.log"))?;
        let mut init = None;
        until("systemd to be up in the container", || {
            // The container's own first process comes behind one that prepares it.
            let Some(child) = first_child(container.id()) else { return Ok(false) };
            let state = enter(child, "systemctl", &["is-system-running"])?;
            let up = matches!(String::from_utf8_lossy(&state.stdout).trim(), "running" | "degraded");
            init = up.then_some(child);
            Ok(up)
        })?;
        let init = init.context("the first process")?;
        Ok(Self { container, _root: mounted, _changes: changes, root, init })
    }

    /// A path of the container's, as seen from outside.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside.trim_start_matches('/'))
    }

    /// A program in it, to be started.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        inside(self.init, program, arguments)
    }

    /// Runs a program in it; how that went and what it said.
    pub fn try_run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        enter(self.init, program, arguments)
    }

    /// Runs a program in it that must end well; what it said.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        said(&format!("{program} {arguments:?}"), &self.try_run(program, arguments)?)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Its first process takes all others along.
        let _ = crate::signal_to(self.init, crate::Signal::KILL);
        let _ = self.container.kill();
    }
}

fn inside(pid: u32, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--all", "--target", &pid.to_string(), "--", program]).args(arguments);
    command
}

fn enter(pid: u32, program: &str, arguments: &[&str]) -> Result<Output> {
    let mut command = inside(pid, program, arguments);
    command.stdin(Stdio::null()).output().with_context(|| format!("running {program} in the container"))
}

fn first_child(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
