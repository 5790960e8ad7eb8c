//! Agents on Windows, which Wine is here: from the download that a server on Linux makes to the service.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Installed, Options, Process, Publisher, System, Wine, dist, windows_binary, wine, within};
use serde_json::{Value, json};

use crate::updates::says;

const PLATFORM: &str = "windows-x86_64";
/// With its folder, as when it is double-clicked: Wine takes the bare name for its own `start`.
const LAUNCHER: &str = ".\\start.bat";
const WRAPPER: &str = "sallyport-wrapper.exe";

/// Wine is slower than Windows.
const LONG: Duration = Duration::from_secs(120);

/// A version that rehearses well and then does not run.
const CRASHES: &str = r#"
#include <stdio.h>
#include <string.h>
int main(int count, char **words) {
    for (int at = 1; at < count; at++) if (!strcmp(words[at], "--rehearse")) return 0;
    fprintf(stderr, "out of luck\n");
    return 3;
}
"#;

/// A server that has the programs for Windows, put into its release folder by `give`, and a machine with Windows.
fn windows(
    give: impl FnOnce(&System, &Path) -> Result<()>,
    work: impl FnOnce(&mut System, &Wine) -> Result<()>,
) -> Result<()> {
    System::with(Options { own_release: true, ..Options::default() }, |system| {
        give(system, &windows_binary("sallyport-agent")?.with_file_name(""))?;
        let wine = Wine::boot(system.folder.path())?;
        work(system, &wine)
    })
}

/// As the archives that are shipped.
fn packed(system: &System, programs: &Path) -> Result<()> {
    let out = system.folder.path().join("dist");
    dist("windows", programs, &out)?;
    for archive in std::fs::read_dir(out)?.filter_map(Result::ok) {
        std::fs::rename(archive.path(), system.server.release().join(archive.file_name()))?;
    }
    Ok(())
}

/// In a folder of the platform's name.
fn plain(system: &System, programs: &Path) -> Result<()> {
    let folder = system.server.release().join(PLATFORM);
    std::fs::create_dir_all(&folder)?;
    for program in ["sallyport-agent.exe", "sallyport-wrapper.exe"] {
        std::fs::copy(programs.join(program), folder.join(program))?;
    }
    Ok(())
}

/// Makes an agent, downloads it for Windows and unzips it.
fn install(system: &System) -> Result<Installed> {
    system.api().post("/api/v1/agents", &json!({"name": "client"}))?;
    let address = format!("/api/v1/agents/client/download?policy=permissive&platform={PLATFORM}");
    Installed::unzip("client", &system.api().download(&address)?, &system.folder.path().join("client"))
}

/// Runs the launcher, as its user does.
fn start(system: &System, wine: &Wine, agent: &Installed) -> Result<Process> {
    let log = system.folder.path().join("client.console.log");
    let launcher = wine.start("the launcher", agent.folder(), &["cmd", "/c", LAUNCHER], &log)?;
    online(system, "client", None)?;
    Ok(launcher)
}

/// Waits until the agent is online with another process than `before`; gives the process.
fn online(system: &System, agent: &str, before: Option<u64>) -> Result<u64> {
    within(LONG, &format!("{agent} to be online"), || {
        let shown = system.show_agent(agent)?;
        let process = shown["detail"]["process_id"].as_u64().filter(|_| shown["status"] == "online");
        Ok(process.filter(|process| Some(*process) != before))
    })
}

/// Has the agent copy a file of its own.
fn copies(system: &System, agent: &Installed, rows: u32) -> Result<()> {
    let text: String =
        std::iter::once("id,name\n".to_owned()).chain((1..=rows).map(|n| format!("{n},row {n}\n"))).collect();
    let _ = std::fs::remove_file(agent.file("out.csv"));
    std::fs::write(agent.file("in.csv"), &text)?;
    system.run_well("copy")?;
    ensure!(std::fs::read_to_string(agent.file("out.csv"))? == text, "the copy of {rows} rows differs");
    Ok(())
}

/// An archive for Windows with this program, signed and published.
fn publish(publisher: &Publisher, version: &str, sequence: u64, program: &Path) -> Result<()> {
    let archive = publisher.zip("sallyport-agent.exe", version, &std::fs::read(program)?, 0)?;
    publisher.issue(&archive, PLATFORM, version, sequence, &[])
}

fn update(system: &System, words: &[&str]) -> Result<Value> {
    says(system, "client", "update", words, LONG)
}

#[test]
fn an_agent_starts_works_restarts_and_updates_on_windows() -> Result<()> {
    windows(packed, |system, wine| {
        let publisher = Publisher::new(system, 1, 1)?;
        system.cli()?.good(&["releases", "rollout", "--confirm-seconds", "2"])?;
        let agent = install(system)?;
        let mut launcher = start(system, wine, &agent)?;
        let shown = system.show_agent("client")?;
        ensure!(shown["detail"].to_string().contains("Windows"), "{shown:#}");
        system.task(&json!({"task": "copy", "steps": [
            {"name": "read", "connector": "file", "agent": "client", "with": {"path": "in.csv"}},
            {"name": "write", "connector": "file", "agent": "client", "input": "read", "with": {"path": "out.csv"}},
        ]}))?;
        copies(system, &agent, 5_000)?;

        let before = online(system, "client", None)?;
        system.api().post("/api/v1/agents/client/restart", &json!({}))?;
        let before = online(system, "client", Some(before))?;
        copies(system, &agent, 10)?;

        publish(&publisher, "9.0.1", 1, &windows_binary("sallyport-agent")?)?;
        update(system, &["9.0.1 was installed"])?;
        let before = online(system, "client", Some(before))?;
        copies(system, &agent, 20)?;

        let crashes: PathBuf = system.folder.join("archives/crashes.exe")?;
        wine::compile(CRASHES, &crashes, &[])?;
        publish(&publisher, "9.0.2", 2, &crashes)?;
        update(system, &["9.0.2 failed here and is not tried again", "exit code 3", "out of luck"])?;
        online(system, "client", Some(before))?;
        update(system, &["\"9.0.1\""])?;
        copies(system, &agent, 30)?;

        let said = wine.good(agent.folder(), &["cmd", "/c", LAUNCHER, "stop"])?;
        ensure!(said.contains("Stopped."), "{said}");
        ensure!(launcher.wait(LONG)?.success(), "{}", launcher.output());
        system.offline("client")
    })
}

#[test]
fn a_service_comes_runs_and_goes_on_windows() -> Result<()> {
    windows(plain, |system, wine| {
        let agent = install(system)?;
        let state = || -> Result<Value> {
            let output = wine.run(agent.folder(), &[WRAPPER, "service", "status", "--json"])?;
            serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))
        };
        ensure!(state()?["state"] == "absent");
        let said = wine.good(agent.folder(), &[WRAPPER, "service", "install"])?;
        ensure!(said.contains("sallyport-agent runs"), "{said}");
        let before = online(system, "client", None)?;
        let shown = system.show_agent("client")?;
        ensure!(shown["detail"]["executed_by"] == "service", "{shown:#}");
        ensure!(state()?["state"] == "running");
        let twice = wine.run(agent.folder(), &[WRAPPER])?;
        ensure!(twice.status.code() == Some(4), "a second wrapper runs: {twice:?}");

        wine.good(agent.folder(), &[WRAPPER, "service", "stop"])?;
        system.offline("client")?;
        ensure!(state()?["state"] == "stopped");
        wine.good(agent.folder(), &[WRAPPER, "service", "start"])?;
        online(system, "client", Some(before))?;

        let said = wine.good(agent.folder(), &[WRAPPER, "service", "uninstall"])?;
        ensure!(said.contains("Kept"), "{said}");
        system.offline("client")?;
        ensure!(state()?["state"] == "absent");
        ensure!(agent.folder().join("appsettings.json").is_file(), "the folder is not kept");
        ensure!(!agent.folder().join("state/service.json").exists());
        let listed = wine.run(agent.folder(), &["sc", "query", "sallyport-agent"])?;
        ensure!(!listed.status.success(), "the service is still there: {listed:?}");
        Ok(())
    })
}
