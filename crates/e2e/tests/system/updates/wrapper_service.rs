//! Updates of a wrapper that is a service of systemd: the service goes on in its process, and what is broken is taken back
//! by the version before, which systemd runs when the wrapper has ended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use sallyport_e2e::{Machine, Mischief, Profile, Publisher, System, binary, within};
use serde_json::Value;

use super::{installed, quickly, says};
use crate::services::{self, WRAPPER};
use crate::system;

const LIMIT: Duration = Duration::from_secs(240);
/// Where the real wrapper lies on the machine: its service sees no temporary folders of others.
const REAL: &str = "/opt/real-wrapper";

/// A machine whose service is online, quicker to miss the wrapper than an administrator would have it.
fn stage(system: &System) -> Result<(Machine, Publisher)> {
    let publisher = Publisher::new(system, 1, 1)?;
    quickly(system)?;
    let (machine, _agent) = services::machine(system)?;
    std::fs::copy(binary(Profile::Dev, "sallyport-wrapper")?, machine.path(REAL))?;
    machine.run(WRAPPER, &["service", "install", "--name", "lab"])?;
    let own = machine.path("/etc/systemd/system/lab.service.d");
    std::fs::create_dir_all(&own)?;
    std::fs::write(own.join("own.conf"), "[Service]\nWatchdogSec=5\nTimeoutStartSec=8\nRestartSec=100ms\n")?;
    machine.run("systemctl", &["daemon-reload"])?;
    machine.run("systemctl", &["restart", "lab"])?;
    system.online("site")?;
    Ok((machine, publisher))
}

fn real() -> PathBuf {
    Path::new(REAL).to_owned()
}

fn own(system: &System, words: &[&str]) -> Result<Value> {
    says(system, "site", "wrapper_update", words, LIMIT)
}

fn own_kept(system: &System, version: &str) -> Result<()> {
    installed(system, "site", "wrapper_update", version, LIMIT)
}

fn main_process(machine: &Machine) -> Result<String> {
    machine.run("systemctl", &["show", "--value", "--property", "MainPID", "lab"])
}

#[test]
fn a_service_goes_on_and_versions_that_crash_or_hang_are_taken_back() -> Result<()> {
    system(|system| {
        let (machine, publisher) = stage(system)?;
        let before = main_process(&machine)?;
        publisher.wrapper_release("9.0.1", 1, &Mischief::default(), &real())?;
        own_kept(system, "9.0.1")?;
        ensure!(main_process(&machine)? == before, "systemd has another process");
        publisher.wrapper_release("9.0.2", 2, &Mischief { start: "exit 3", ..Mischief::default() }, &real())?;
        own(system, &["idle", "9.0.2 failed here and is not tried again", "ended by itself 2 times", "exit code 3"])?;
        system.online("site")?;
        let hangs = Mischief { start: "exec sleep 1000", ..Mischief::default() };
        publisher.wrapper_release("9.0.3", 3, &hangs, &real())?;
        own(system, &["idle", "9.0.3 failed here and is not tried again", "\"9.0.1\""])?;
        system.online("site")?;
        publisher.wrapper_release("9.0.4", 4, &Mischief::default(), &real())?;
        own_kept(system, "9.0.4")?;
        machine.run(WRAPPER, &["service", "uninstall"])?;
        system.offline("site")?;
        let left = machine.try_run("pgrep", &["-f", services::HOME])?;
        ensure!(!left.status.success(), "something runs on: {left:?}");
        Ok(())
    })
}

#[test]
fn one_that_runs_and_never_comes_online_is_taken_back() -> Result<()> {
    system(|system| {
        let (machine, publisher) = stage(system)?;
        // Its way to the server ends at a port that nobody listens on; the version before has another way.
        let start = "export HTTPS_PROXY=http://127.0.0.1:1; unset NO_PROXY no_proxy";
        publisher.wrapper_release("9.0.1", 1, &Mischief { start, ..Mischief::default() }, &real())?;
        own(system, &["idle", "9.0.1 failed here and is not tried again", "did not come online within"])?;
        system.online("site")?;
        system.cli()?.good(&["releases", "retry", "site"])?;
        within(LIMIT, "another try", || {
            let text = machine.run("cat", &["/opt/agent/state/status.json"])?;
            let status: Value = serde_json::from_str(&text)?;
            Ok((status["wrapper_update"]["step"] == "confirming").then_some(()))
        })
    })
}
