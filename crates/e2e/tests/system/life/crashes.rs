//! Ends that nobody wanted: found, named, left as a file, told to the platform.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sallyport_e2e::{Installed, Signal, System, until, within};
use serde_json::{Value, json};

use crate::system;

/// Waits for a crash of this cause, as the platform lists it.
fn crash(system: &System, name: &str, cause: &str) -> Result<Value> {
    within(Duration::from_secs(60), &format!("a crash of {name} by {cause}"), || {
        let crashes = system.api().get(&format!("/api/v1/agents/{name}/crashes"))?;
        Ok(crashes["items"].as_array().into_iter().flatten().find(|crash| crash["cause"] == cause).cloned())
    })
}

/// Waits until another process of the agent is online.
fn another(system: &System, agent: &Installed, before: u32) -> Result<()> {
    within(Duration::from_secs(90), "another process to be online", || {
        let shown = system.show_agent(&agent.name)?;
        let process = shown["detail"]["process_id"].as_u64();
        Ok((shown["status"] == "online" && process.is_some_and(|now| now != u64::from(before))).then_some(()))
    })
}

fn status(agent: &Installed) -> Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(agent.folder().join("state/status.json"))?)?)
}

#[test]
fn a_hang_is_found_named_and_ended() -> Result<()> {
    system(|system| {
        let agent = system.agent("stuck")?;
        let before = agent.signal_agent(Signal::STOP)?;
        within(Duration::from_secs(40), "the wrapper to end it", || {
            Ok((agent.agent_process() != Some(before)).then_some(()))
        })?;
        let crash = crash(system, "stuck", "hang")?;
        ensure!(crash["program"] == "agent", "{crash:#}");
        another(system, &agent, before)?;
        let shown = system.show_agent("stuck")?;
        ensure!(shown["last_exit"]["cause"] == "hang", "{:#}", shown["last_exit"]);
        ensure!(shown["liveness"]["cause"].is_null(), "{:#}", shown["liveness"]);
        let cli = system.cli()?.good(&["agents", "show", "stuck"])?;
        ensure!(cli.contains("Last crash") && cli.contains("hang"), "{cli}");
        Ok(())
    })
}

#[test]
fn a_crash_leaves_a_file_that_is_told_while_the_server_is_away_too() -> Result<()> {
    system(|system| {
        let agent = system.agent("broken")?;
        ensure!(status(&agent)?["uncaughtExceptionHappenedOnService"] == json!(false), "{:#}", status(&agent)?);
        system.server.kill()?;
        agent.signal_agent(Signal::ABORT)?;
        let folder = agent.folder().join("logs");
        let file: PathBuf = within(Duration::from_secs(30), "a crash file", || {
            let entries = fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path());
            let is = |path: &PathBuf| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("uncaughtException-"))
            };
            Ok(entries.into_iter().find(is))
        })?;
        let left: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
        ensure!(left["cause"] == "abort" && left["version"].as_str().is_some_and(|text| !text.is_empty()), "{left:#}");
        ensure!(left["last_lines"].as_array().is_some_and(|lines| !lines.is_empty()), "{left:#}");
        until("the wrapper's status to say so", || {
            Ok(status(&agent)?["uncaughtExceptionHappenedOnService"] == json!(true))
        })?;
        system.server.start_again()?;
        let told = crash(system, "broken", "abort")?;
        let name = told["file"].as_str().context("no file")?;
        let whole = system.api().get(&format!("/api/v1/agents/broken/crashes/{name}"))?;
        ensure!(whole["last_lines"] == left["last_lines"], "{whole:#}");
        let shown = system.cli()?.good(&["agents", "crashes", "broken"])?;
        ensure!(shown.contains("abort"), "{shown}");
        system.online("broken")
    })
}

#[test]
fn descriptors_that_are_used_up_are_named() -> Result<()> {
    system(|system| {
        let agent = system.agent("poor")?;
        let wrapper = agent.wrapper.as_ref().context("no wrapper")?.id().to_string();
        let allow = |descriptors: u32| {
            let limit = format!("--nofile={descriptors}:");
            let limited = Command::new("prlimit").args(["--pid", &wrapper, &limit]).status()?;
            ensure!(limited.success(), "prlimit {limit}");
            Ok(())
        };
        let named =
            || -> Result<bool> { Ok(status(&agent)?["agent"]["last_exit"]["cause"] == "descriptors_exhausted") };
        // How many an agent needs depends on the machine, and between enough and too few it goes on without a server: one
        // fewer each time, until it cannot start. What the wrapper has open stays; what it cannot write for want of one it
        // writes when it has them again.
        for descriptors in (4..=12).rev() {
            let before = within(Duration::from_secs(60), "an agent", || Ok(agent.agent_process()))?;
            allow(descriptors)?;
            agent.restart_by_hand()?;
            let judged = || {
                let lives = agent.agent_process().is_some_and(|now| now != before);
                Ok((named()? || lives && system.show_agent("poor")?["status"] == "online").then_some(()))
            };
            let known = within(Duration::from_secs(10), "another agent, or an end", judged);
            allow(1024)?;
            let soon = Duration::from_secs(5);
            if named()? || known.is_err() && within(soon, "the end", || Ok(named()?.then_some(()))).is_ok() {
                return Ok(());
            }
        }
        bail!("an agent starts with four descriptors")
    })
}

/// A control group with little memory; removed when dropped.
struct Group(PathBuf);

impl Group {
    fn of(mebibytes: u64) -> Result<Self> {
        let path = PathBuf::from(format!("/sys/fs/cgroup/memory/sallyport-{}", std::process::id()));
        fs::create_dir_all(&path).context("making a control group needs the superuser")?;
        let group = Self(path);
        fs::write(group.0.join("memory.limit_in_bytes"), (mebibytes << 20).to_string())?;
        Ok(group)
    }

    fn take(&self, process: u32) -> Result<()> {
        Ok(fs::write(self.0.join("cgroup.procs"), process.to_string())?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Whoever is still in it goes up first.
        for process in fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default().lines() {
            let _ = fs::write("/sys/fs/cgroup/memory/cgroup.procs", process);
        }
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_kill_for_lack_of_memory_is_told_from_any_other() -> Result<()> {
    system(|system| {
        let agent = system.agent("hungry")?;
        let before = agent.signal_agent(Signal::KILL)?;
        within(Duration::from_secs(60), "the kill to be named", || {
            Ok((status(&agent)?["agent"]["last_exit"]["cause"] == "killed").then_some(()))
        })?;
        another(system, &agent, before)?;
        // Below what an agent needs to start, above what its wrapper has.
        let group = Group::of(4)?;
        let wrapper = agent.wrapper.as_ref().context("no wrapper")?.id();
        group.take(wrapper)?;
        agent.signal_agent(Signal::KILL)?;
        within(Duration::from_secs(60), "the lack of memory to be named", || {
            Ok((status(&agent)?["agent"]["last_exit"]["cause"] == "out_of_memory").then_some(()))
        })
    })
}

#[test]
fn an_intended_stop_is_no_loss_and_a_loss_is_no_stop() -> Result<()> {
    system(|system| {
        let mut agent = system.agent("told")?;
        let shown = system.show_agent("told")?;
        ensure!(shown["liveness"]["agent"]["state"] == "online" && shown["liveness"]["cause"].is_null(), "{shown:#}");
        agent.stop()?;
        let liveness = |wanted: &str| {
            within(Duration::from_secs(60), &format!("the cause {wanted}"), || {
                let shown = system.show_agent("told")?;
                Ok((shown["liveness"]["cause"] == wanted).then(|| shown["liveness"].clone()))
            })
        };
        let stopped = liveness("stopped")?;
        ensure!(stopped["agent"]["state"] == "stopped" && stopped["wrapper"]["state"] == "stopped", "{stopped:#}");
        ensure!(stopped["wrapper"]["since"].is_string(), "{stopped:#}");
        agent.start()?;
        system.online("told")?;
        agent.wrapper.take().context("no wrapper")?.kill()?;
        let lost = liveness("machine_off")?;
        ensure!(lost["agent"]["state"] == "lost" && lost["wrapper"]["state"] == "lost", "{lost:#}");
        Ok(())
    })
}
