//! The server as a process: starts, stops, restarts.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Postgres, Signal, within};
use serde_json::{Value, json};

use crate::{moving, slow, system, to_csv};

/// Names and contents of the files that a second start must not touch.
fn keys(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut all = BTreeMap::new();
    for file in ["secret.key", "tls/ca.pem", "tls/ca.key", "tls/server.pem", "tls/server.key"] {
        all.insert(file.to_owned(), std::fs::read(folder.join(file)).with_context(|| file.to_owned())?);
    }
    Ok(all)
}

/// What an agent is, without what it does right now.
fn identities(list: &Value) -> Vec<(Value, Value, Value)> {
    let agents = list["items"].as_array().into_iter().flatten();
    agents.map(|agent| (agent["id"].clone(), agent["name"].clone(), agent["created_at"].clone())).collect()
}

#[test]
fn a_second_start_changes_nothing_and_asks_for_nothing() -> Result<()> {
    system(|system| {
        let before = keys(system.server.data())?;
        let me = system.api().get("/api/v1/me")?;
        let agents = identities(&system.api().get("/api/v1/agents")?);
        let mut process = system.server.process.take().context("the server does not run")?;
        let status = process.stop()?;
        ensure!(status.success(), "a polite stop ended with {status}");
        let said = system.server.output().len();
        system.server.start_again()?;
        let second = system.server.output()[said..].to_owned();
        ensure!(!second.contains("/setup"), "a second start offers to set the password again:\n{second}");
        ensure!(keys(system.server.data())? == before, "a key or certificate was made anew");
        ensure!(system.api().get("/api/v1/me")? == me, "the login is another");
        ensure!(identities(&system.api().get("/api/v1/agents")?) == agents, "the agents are others");
        Ok(())
    })
}

#[test]
fn a_stop_takes_less_than_ten_seconds_with_agents_online_and_a_run_going_on() -> Result<()> {
    system(|system| {
        let agent = system.agent("client")?;
        let postgres = Postgres::start(system.folder.path(), &[])?;
        system.connection("db", "postgres", "client", &postgres.settings(), &postgres.secrets())?;
        system.task(&to_csv("long", &slow(2_000_000, 0.05), "client", "long.csv"))?;
        let run = system.start_run("long")?;
        system.run_that(&run, "to be moving", moving)?;
        let mut process = system.server.process.take().context("the server does not run")?;
        process.signal(Signal::TERM)?;
        let status = process.wait(Duration::from_secs(10))?;
        ensure!(status.success(), "it ended with {status}");
        within(Duration::from_secs(20), "the agent to note that the server went away", || {
            let log = agent.agent_log().to_lowercase();
            Ok((log.contains("server stops") || log.contains("goaway") || log.contains("going away")).then_some(()))
        })?;
        system.server.start_again()?;
        system.online("client")
    })
}

#[test]
fn a_data_folder_is_held_by_one_server() -> Result<()> {
    system(|system| {
        let program = sallyport_e2e::binary(sallyport_e2e::Profile::Dev, "sallyport")?;
        let second = std::process::Command::new(program)
            .args(["server", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(system.server.data())
            .output()?;
        let text = String::from_utf8_lossy(&second.stderr).into_owned();
        ensure!(!second.status.success(), "two servers use one folder");
        ensure!(text.contains("another server uses the data folder"), "{text}");
        Ok(())
    })
}

#[test]
fn the_platform_restarts_an_agent_and_changes_its_log_levels() -> Result<()> {
    system(|system| {
        let agent = system.agent("client")?;
        let before = agent.agent_process();
        system.api().post("/api/v1/agents/client/restart", &json!({}))?;
        within(Duration::from_secs(30), "another process to be online", || {
            let now = agent.agent_process().filter(|pid| Some(*pid) != before);
            let shown = system.show_agent("client")?;
            let online = shown["status"] == "online";
            Ok((online && now.is_some() && shown["detail"]["process_id"].as_u64() == now.map(u64::from)).then_some(()))
        })?;

        ensure!(
            !agent.agent_log().contains("DEBUG") && !agent.agent_log().contains("Debug "),
            "it logs details already"
        );
        let levels = json!({"levels": {"file": "Trace", "console": "Error"}});
        system.api().edit("PATCH", "/api/v1/agents/client", &levels)?;
        within(Duration::from_secs(30), "details in the agent's log", || {
            let log = agent.agent_log();
            Ok(log.lines().any(|line| line.contains("Trace") || line.contains("Debug")).then_some(()))
        })
    })
}
