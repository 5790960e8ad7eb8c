//! A power cut at every rename and every flush of an update: the wrapper is killed there, started again, and brings the
//! update to its end.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sallyport_e2e::{Installed, Mischief, Profile, Publisher, System, binary, within};
use serde_json::Value;

use super::{LONG, stage};
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

/// What is updated: as the server's answers and the wrapper's status call it.
#[derive(Clone, Copy)]
enum What {
    Agent,
    Wrapper,
}

impl What {
    fn key(self) -> &'static str {
        match self {
            Self::Agent => "update",
            Self::Wrapper => "wrapper_update",
        }
    }

    fn release(self, publisher: &Publisher, version: &str, sequence: u64) -> Result<()> {
        let honest = Mischief::default();
        match self {
            Self::Agent => publisher.release(version, sequence, &honest).map(|_| ()),
            Self::Wrapper => {
                publisher.wrapper_release(version, sequence, &honest, &binary(Profile::Dev, "sallyport-wrapper")?)
            }
        }
    }
}

/// Whether an update went through without its cut: then there is no such call any more.
fn survived(agent: &mut Installed, what: What, version: &str) -> Result<bool> {
    let status = agent.folder().join("state/status.json");
    let wrapper = agent.wrapper.as_mut().context("no wrapper")?;
    within(Duration::from_secs(60), "the wrapper to be killed, or the update to be done", || {
        if !wrapper.is_running() {
            return Ok(Some(false));
        }
        let shown: Value =
            std::fs::read(&status).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let update = &shown[what.key()];
        let done = update["step"] == "idle" && update["version"] == version;
        Ok(done.then_some(true))
    })
}

/// Cuts the power at the call `first` and at every other one behind it, until an update has no such call.
fn at_every_other_call(
    system: &System,
    publisher: &Publisher,
    agent: &mut Installed,
    what: What,
    first: u32,
) -> Result<()> {
    for at in (first..CUTS_MAX).step_by(2) {
        let sequence = u64::from(at) + 1;
        let version = format!("9.1.{sequence}");
        let mut tracer = cut(agent, at)?;
        what.release(publisher, &version, sequence)?;
        let through = survived(agent, what, &version).with_context(|| format!("at call {at}"))?;
        // It ends with what it traced.
        let _ = tracer.kill();
        tracer.wait()?;
        if !through {
            ensure!(!agent.wrapper.as_mut().context("no wrapper")?.is_running(), "the wrapper runs");
            agent.start()?;
        }
        kept_or_active(system, what, &version).with_context(|| format!("after a cut at call {at}"))?;
        if through {
            ensure!(at > 5, "an update has more than {at} calls");
            return Ok(());
        }
    }
    bail!("an update has more than {CUTS_MAX} calls");
}

/// After a restart the wrapper no longer knows that it was it that installed the version.
fn kept_or_active(system: &System, what: What, version: &str) -> Result<()> {
    within(LONG, &format!("{version} to be kept"), || {
        let shown = system.show_agent("client")?;
        let update = &shown[what.key()];
        let done = update["step"] == "idle" && update["active_version"] == version && shown["status"] == "online";
        Ok(done.then_some(()))
    })
}

fn power_cuts(what: What, first: u32) -> Result<()> {
    system(|system| {
        let (publisher, mut agent) = stage(system)?;
        system.cli()?.good(&["releases", "rollout", "--confirm-seconds", "1"])?;
        what.release(&publisher, "9.1.1", 1)?;
        kept_or_active(system, what, "9.1.1")?;
        at_every_other_call(system, &publisher, &mut agent, what, first)
    })
}

#[test]
fn a_power_cut_at_every_other_rename_and_flush_is_survived() -> Result<()> {
    power_cuts(What::Agent, 1)
}

#[test]
fn a_power_cut_at_those_between_is_survived_too() -> Result<()> {
    power_cuts(What::Agent, 2)
}

#[test]
fn a_power_cut_in_every_other_step_of_the_wrapper_s_own_update_is_survived() -> Result<()> {
    power_cuts(What::Wrapper, 1)
}

#[test]
fn a_power_cut_in_the_steps_between_is_survived_too() -> Result<()> {
    power_cuts(What::Wrapper, 2)
}
