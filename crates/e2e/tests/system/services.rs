//! Agents that a machine's own manager keeps: systemd, in a container that it runs.

use std::process::Command;

use anyhow::{Result, ensure};
use sallyport_e2e::{Installed, Machine, System, until};
use serde_json::{Value, json};

use crate::{system, to_csv};

pub(crate) const HOME: &str = "/opt/agent";
pub(crate) const WRAPPER: &str = "/opt/agent/sallyport-wrapper";

/// A booted machine with an agent's download unzipped in it.
pub(crate) fn machine(system: &System) -> Result<(Machine, Installed)> {
    let machine = Machine::boot(&system.folder.join("machine")?)?;
    system.api().post("/api/v1/agents", &json!({"name": "site"}))?;
    let zip = system.api().download("/api/v1/agents/site/download?policy=permissive")?;
    let agent = Installed::unzip("site", &zip, &machine.path(HOME))?;
    Ok((machine, agent))
}

fn status(machine: &Machine) -> Result<Value> {
    let output = machine.try_run(WRAPPER, &["service", "status", "--json"])?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn a_service_comes_runs_under_its_own_user_and_goes_without_a_trace() -> Result<()> {
    system(|system| {
        let (machine, agent) = machine(system)?;
        ensure!(status(&machine)?["state"] == "absent");
        let said = machine.run(WRAPPER, &["service", "install"])?;
        ensure!(said.contains("sallyport-agent runs"), "{said}");
        system.online("site")?;

        let shown = system.show_agent("site")?;
        ensure!(shown["detail"]["executed_by"] == "service", "{shown:#}");
        let of =
            |property: &str| machine.run("systemctl", &["show", "--value", "--property", property, "sallyport-agent"]);
        ensure!(of("User")?.trim() == "sallyport-agent");
        ensure!(of("NoNewPrivileges")?.trim() == "yes");
        ensure!(machine.run("systemctl", &["is-enabled", "sallyport-agent"])?.trim() == "enabled");
        let verified = machine.try_run("systemd-analyze", &["verify", "sallyport-agent.service"])?;
        let words = String::from_utf8_lossy(&verified.stderr).into_owned();
        ensure!(!words.contains("sallyport"), "the unit is not as systemd wants it: {words}");

        let again = machine.try_run(WRAPPER, &["--home", HOME])?;
        let words = String::from_utf8_lossy(&again.stderr).into_owned();
        ensure!(again.status.code() == Some(4) && words.contains("as a service, process"), "{words}");
        let twice = machine.try_run(WRAPPER, &["service", "install"])?;
        let words = String::from_utf8_lossy(&twice.stderr).into_owned();
        ensure!(twice.status.code() == Some(4) && words.contains("service uninstall"), "{words}");

        let said = machine.run(WRAPPER, &["service", "uninstall"])?;
        ensure!(said.contains(HOME), "it does not say what it kept: {said}");
        system.offline("site")?;
        ensure!(agent.folder().join("appsettings.json").is_file(), "the folder is not kept");
        ensure!(status(&machine)?["state"] == "absent");
        for (program, arguments) in
            [("systemctl", ["cat", "sallyport-agent"]), ("id", ["-u", "sallyport-agent"]), ("pgrep", ["-f", HOME])]
        {
            let left = machine.try_run(program, &arguments)?;
            ensure!(!left.status.success(), "{program} {arguments:?} finds something left: {left:?}");
        }
        let left = machine.run("find", &["/etc", "-name", "*sallyport*"])?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })
}

#[test]
fn a_wrapper_that_is_killed_or_hangs_is_started_again_by_systemd() -> Result<()> {
    system(|system| {
        let (machine, _agent) = machine(system)?;
        machine.run(WRAPPER, &["service", "install", "--name", "lab"])?;
        system.online("site")?;
        // As an administrator changes it, so that the test does not take a minute.
        let own = machine.path("/etc/systemd/system/lab.service.d");
        std::fs::create_dir_all(&own)?;
        std::fs::write(own.join("own.conf"), "[Service]\nWatchdogSec=4\nRestartSec=100ms\n")?;
        machine.run("systemctl", &["daemon-reload"])?;
        machine.run("systemctl", &["restart", "lab"])?;
        for signal in ["KILL", "STOP"] {
            system.online("site")?;
            let before = status(&machine)?["process_id"].clone();
            ensure!(before.is_u64(), "{before}");
            machine.run("kill", &["-s", signal, &before.to_string()])?;
            until(&format!("another process after SIG{signal}"), || {
                let now = status(&machine)?;
                Ok(now["state"] == "running" && now["process_id"] != before)
            })?;
        }
        system.online("site")
    })
}

#[test]
fn an_uninstall_in_the_middle_of_a_run_ends_it_in_order() -> Result<()> {
    system(|system| {
        let postgres = sallyport_e2e::Postgres::start(system.folder.path(), &[])?;
        let (machine, _agent) = machine(system)?;
        machine.run(WRAPPER, &["service", "install"])?;
        system.online("site")?;
        system.connection("db", "postgres", "site", &postgres.settings(), &postgres.secrets())?;
        system.task(&to_csv("long", &crate::slow(100_000, 0.5), "site", "out.csv"))?;
        let run = system.start_run("long")?;
        system.run_that(&run, "rows move", crate::moving)?;
        let said = machine.run(WRAPPER, &["service", "uninstall"])?;
        ensure!(said.contains("cancelled"), "{said}");
        system.offline("site")?;
        ensure!(!machine.path(HOME).join("files/out.csv").exists(), "half a file is left");
        let crashes = machine.run("sh", &["-c", "cat /opt/agent/logs/wrapper-*"])?;
        ensure!(!crashes.contains("uncaughtException"), "the agent crashed: {crashes}");
        Ok(())
    })
}

#[test]
fn without_systemd_it_says_what_to_do_instead() -> Result<()> {
    system(|system| {
        let agent = system.install("site")?;
        let output = Command::new(agent.folder().join("sallyport-wrapper")).args(["service", "install"]).output()?;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(1), "{output:?}");
        ensure!(words.contains("systemd") || words.contains("sudo"), "{words}");
        ensure!(!agent.folder().join("state/service.json").exists());
        Ok(())
    })
}
