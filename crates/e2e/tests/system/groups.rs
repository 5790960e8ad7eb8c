//! Several agents for one connection: who serves, and what becomes of it when one of them dies.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Installed, Service, Signal, System, Target, Tunnel, signal_to, until};
use serde_json::json;

use crate::system;
use crate::tunnels::{good, open};

fn group(system: &System, name: &str, kind: &str, settings: &serde_json::Value) -> Result<()> {
    let body = json!({"name": name, "kind": kind, "agents": ["north", "south"], "settings": settings});
    system.api().post("/api/v1/connections", &body).map(|_| ())
}

/// A stream that has carried a byte.
fn stream(tunnel: &Tunnel) -> Result<TcpStream> {
    let mut stream = tunnel.connect()?;
    stream.write_all(b"x")?;
    stream.read_exact(&mut [0])?;
    Ok(stream)
}

/// How many streams an agent's ledger has.
fn streams(agent: &Installed) -> Result<u64> {
    let shown = good(Command::new(agent.folder().join("sallyport-wrapper")).args(["ledger", "show", "--json"]))?;
    let mut count = 0;
    for line in shown.lines() {
        let record: serde_json::Value = serde_json::from_str(line)?;
        count += record["body"]["entry"]["cause"]["streams"].as_u64().unwrap_or(0);
    }
    Ok(count)
}

#[test]
fn streams_go_to_the_least_busy_agent() -> Result<()> {
    system(|system| {
        let target = Target::echo()?;
        let (north, south) = (system.agent("north")?, system.agent("south")?);
        group(system, "echo", "tcp", &json!({"host": "127.0.0.1", "port": target.port()}))?;
        let tunnel = open(system, "echo", &[])?;
        let standing = (0..40).map(|_| stream(&tunnel)).collect::<Result<Vec<_>>>()?;
        drop(standing);
        until("all streams to be in the ledgers", || Ok(streams(&north)? + streams(&south)? == 40))?;
        let share = streams(&north)?;
        ensure!((18..=22).contains(&share), "north had {share} of 40");
        Ok(())
    })
}

#[test]
fn a_dead_agent_is_passed_over_and_comes_back() -> Result<()> {
    system(|system| {
        let target = Target::echo()?;
        let (mut north, south) = (system.agent("north")?, system.agent("south")?);
        group(system, "echo", "tcp", &json!({"host": "127.0.0.1", "port": target.port()}))?;
        let tunnel = open(system, "echo", &[])?;
        // Both have lines at rest.
        let both = [stream(&tunnel)?, stream(&tunnel)?];
        drop(both);
        until("both to have had one", || Ok(streams(&north)? == 1 && streams(&south)? == 1))?;

        // One that hangs: its lines stand, and nothing comes from them.
        let hung = north.agent_process().context("north's process")?;
        signal_to(hung, Signal::STOP)?;
        let through = (0..6).map(|_| stream(&tunnel)).collect::<Result<Vec<_>>>();
        signal_to(hung, Signal::CONT)?;
        drop(through.context("a hung agent was not passed over")?);
        until("south to have served all", || Ok(streams(&south)? == 7))?;

        // One that is killed.
        north.signal_agent(Signal::KILL)?;
        for _ in 0..6 {
            stream(&tunnel)?;
        }
        // One that is stopped in order.
        north.stop()?;
        system.offline("north")?;
        for _ in 0..6 {
            stream(&tunnel)?;
        }
        until("south to have served all again", || Ok(streams(&south)? >= 18))?;
        north.start()?;
        system.online("north")?;
        let before = streams(&north)?;
        until("north to serve again", || {
            let _held = [stream(&tunnel)?, stream(&tunnel)?];
            Ok(streams(&north)? > before)
        })
    })
}

#[test]
fn requests_and_steps_use_whoever_is_there() -> Result<()> {
    system(|system| {
        let service = Service::start(system.folder.path())?;
        let (mut north, south) = (system.agent("north")?, system.agent("south")?);
        group(system, "web", "http", &json!({"url": format!("http://127.0.0.1:{}", service.port())}))?;
        group(system, "files", "file", &json!({"root": system.folder.path()}))?;
        let shown = system.api().get("/api/v1/connections/web")?;
        ensure!(shown["agents"] == json!(["north", "south"]) && shown["agent"] == "north", "{shown:#}");
        ensure!(system.cli()?.good(&["connections", "list"])?.contains("north, south"));
        let said = |word: &str| system.api().get(&format!("/via/web/{word}"));
        ensure!(said("")? == "the base");
        std::fs::write(system.folder.path().join("in.csv"), "id\n1\n2\n")?;
        system.task(&json!({"task": "copy", "steps": [
            {"name": "read", "connection": "files", "with": {"path": "in.csv"}},
            {"name": "write", "connection": "files", "input": "read", "with": {"path": "out.csv"}},
        ]}))?;
        let agents = |run: &serde_json::Value| {
            run["steps"].as_array().map(|steps| steps.iter().map(|step| step["agent"].clone()).collect::<Vec<_>>())
        };
        ensure!(agents(&system.run_well("copy")?) == Some(vec![json!("north"); 2]));
        north.stop()?;
        system.offline("north")?;
        ensure!(said("")? == "the base");
        ensure!(agents(&system.run_well("copy")?) == Some(vec![json!("south"); 2]));
        ensure!(system.api().post("/api/v1/connections/web/test", &json!({}))?["passed"] == true);
        drop(south);
        let wrong = system.api().send(
            "POST",
            "/api/v1/connections",
            Some(&json!({"name": "x", "kind": "tcp", "agents": ["north", "north", "west"],
            "settings": {"host": "a", "port": 1}})),
            &[],
        )?;
        let problems = wrong.body["problems"].to_string();
        ensure!(wrong.status == 422 && problems.contains("twice") && problems.contains("/agents/2"), "{wrong:?}");
        Ok(())
    })
}
