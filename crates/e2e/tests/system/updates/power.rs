//! A power cut at every rename and every flush of an update: the wrapper is killed there, started again, and brings the
//! update to its end.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sallyport_e2e::{Installed, Mischief, Publisher, System, within};
use serde_json::Value;

use super::{LONG, kept, stage};
use crate::system;

const CALLS: &str = "rename,renameat,renameat2,fsync,fdatasync";
/// More than a thread of the wrapper does in an update.
const CUTS_MAX: u32 = 40;

/// Kills the wrapper at its `cut`th call of one kind in one thread. What it starts is left alone.
fn cut(agent: &Installed, cut: u32) -> Result<std::process::Child> {
    let pid = agent.wrapper.as_ref().context("no wrapper")?.id().to_string();
    let child = Command::new("strace")
        .args(["-f", "-b", "execve", "-qq", "-o", "/dev/null", "-e", &format!("trace={CALLS}")])
        .args(["-e", &format!("inject={CALLS}:signal=KILL:when={cut}"), "-p", &pid])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting strace")?;
    within(LONG, "strace to hold the wrapper", || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        Ok(status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")).then_some(()))
    })?;
    Ok(child)
}

/// Whether an update went through without its cut: then there is no such call any more.
fn survived(agent: &mut Installed, version: &str) -> Result<bool> {
    let status = agent.folder().join("state/status.json");
    let wrapper = agent.wrapper.as_mut().context("no wrapper")?;
    within(Duration::from_secs(60), "the wrapper to be killed, or the update to be done", || {
        if !wrapper.is_running() {
            return Ok(Some(false));
        }
        let shown: Value =
            std::fs::read(&status).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let done = shown["update"]["step"] == "idle" && shown["update"]["version"] == version;
        Ok(done.then_some(true))
    })
}

/// Cuts the power at the call `first` and at every other one behind it, until an update has no such call.
fn at_every_other_call(system: &System, publisher: &Publisher, agent: &mut Installed, first: u32) -> Result<()> {
    for at in (first..CUTS_MAX).step_by(2) {
        let sequence = u64::from(at) + 1;
        let version = format!("9.1.{sequence}");
        let mut tracer = cut(agent, at)?;
        publisher.release(&version, sequence, &Mischief::default())?;
        let through = survived(agent, &version).with_context(|| format!("at call {at}"))?;
        // It ends with what it traced.
        let _ = tracer.kill();
        tracer.wait()?;
        if !through {
            ensure!(!agent.wrapper.as_mut().context("no wrapper")?.is_running(), "the wrapper runs");
            agent.start()?;
        }
        kept_or_active(system, &version).with_context(|| format!("after a cut at call {at}"))?;
        if through {
            ensure!(at > 5, "an update has more than {at} calls");
            return Ok(());
        }
    }
    bail!("an update has more than {CUTS_MAX} calls");
}

/// After a restart the wrapper no longer knows that it was it that installed the version.
fn kept_or_active(system: &System, version: &str) -> Result<()> {
    within(LONG, &format!("{version} to be kept"), || {
        let shown = system.show_agent("client")?;
        let update = &shown["update"];
        let done = update["step"] == "idle" && update["active_version"] == version && shown["status"] == "online";
        Ok(done.then_some(()))
    })
}

fn power_cuts(first: u32) -> Result<()> {
    system(|system| {
        let (publisher, mut agent) = stage(system)?;
        system.cli()?.good(&["releases", "rollout", "--confirm-seconds", "1"])?;
        publisher.release("9.1.1", 1, &Mischief::default())?;
        kept(system, "client", "9.1.1")?;
        at_every_other_call(system, &publisher, &mut agent, first)
    })
}

#[test]
fn a_power_cut_at_every_other_rename_and_flush_is_survived() -> Result<()> {
    power_cuts(1)
}

#[test]
fn a_power_cut_at_those_between_is_survived_too() -> Result<()> {
    power_cuts(2)
}
