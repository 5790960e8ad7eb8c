//! A child process whose output goes to a file, and what processes cost.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{until, within};

/// How long a process may take to end when it is asked to, before it is killed.
const STOP_MAX: Duration = Duration::from_secs(12);

/// The unit of times in process tables, the same on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// A child process; asked to end, then killed, when dropped.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts it in a group of its own, so that a Ctrl-C meant for this program does not reach it.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_path_buf(), ended: None })
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended.is_none()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        signal_to(self.child.id(), signal).with_context(|| format!("signalling {}", self.name))
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        within(limit, &format!("{} to end", self.name), || {
            self.is_running();
            Ok(self.ended)
        })
    }

    /// Waits until a line of its output satisfies `wanted`; an early end is an error that shows what it wrote.
    pub fn line(&mut self, what: &str, limit: Duration, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let name = self.name.clone();
        within(limit, &format!("{name}: {what}"), || {
            let running = self.is_running();
            let output = self.output();
            if let Some(line) = output.lines().find(|line| wanted(line)) {
                return Ok(Some(line.to_owned()));
            }
            if !running {
                bail!("{name} ended early ({:?}):\n{output}", self.ended);
            }
            Ok(None)
        })
    }

    /// Kills it at once.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.wait(STOP_MAX).map(|_| ())
    }

    /// Asks it to end and waits; says how it ended.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        if self.is_running() {
            self.signal(Signal::TERM)?;
        }
        self.wait(STOP_MAX)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.stop().is_err() {
            // It may have ended in between; either way nothing of it may stay.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Sends a signal to a process that need not be a child. One that stops it has done so when this returns.
pub fn signal_to(pid: u32, signal: Signal) -> Result<()> {
    let to = i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process id")?;
    kill_process(to, signal)?;
    if signal == Signal::STOP {
        // On a busy machine its other threads go on for a moment.
        until("the process to stand still", || Ok(stands_still(pid)))?;
    }
    Ok(())
}

/// Whether none of its threads runs; those that are gone by now do not.
fn stands_still(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok()).all(|stat| {
        let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
        matches!(state, Some('T' | 'Z' | 'X'))
    })
}

/// The processes whose program or working folder is in a folder; not this one.
pub fn processes_below(folder: &Path) -> Vec<u32> {
    let own = std::process::id();
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| {
            ["exe", "cwd"].into_iter().any(|link| {
                std::fs::read_link(format!("/proc/{pid}/{link}")).is_ok_and(|target| target.starts_with(folder))
            })
        })
        .collect()
}

/// How many descriptors a process that runs has open.
pub fn descriptors_of(pid: u32) -> Result<usize> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).with_context(|| format!("process {pid}"))?;
    Ok(open.count())
}

/// A port of the loopback that nobody listens on right now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// What a process has cost since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time, user and system, its ended children included.
    pub cpu: Duration,
    /// The most memory it held at once, in bytes.
    pub peak: u64,
    /// The memory it holds now, in bytes.
    pub resident: u64,
}

/// Reads the cost of a process that runs.
pub fn usage_of(pid: u32) -> Result<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    // The name may hold blanks; the fields after its closing bracket do not. utime..cstime are fields 14 to 17.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields.get(11..15).into_iter().flatten().filter_map(|field| field.parse::<u64>().ok()).sum();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = |key: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(key));
        line.and_then(|line| line.split_whitespace().nth(1)).and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    Ok(Usage {
        cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND),
        peak: kib("VmHWM:") * 1024,
        resident: kib("VmRSS:") * 1024,
    })
}

/// What a program said that had to end well; an error has all of it, with `what` it was.
pub fn said(what: &str, output: &Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    bail!("{what}: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr))
}
