//! What belongs to the site: the ledger of what was moved, its measure for a day, and the keys of agents.

use std::io::{Read, Write};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Installed, Signal, System, Target, until};
use serde_json::{Value, json};

use crate::tunnels::{connect_to, good, open};
use crate::{step, system};

fn wrapper(agent: &Installed, words: &[&str]) -> Command {
    let mut command = Command::new(agent.folder().join("sallyport-wrapper"));
    command.args(words);
    command
}

/// The uses that the ledger has.
fn uses(agent: &Installed) -> Result<Vec<Value>> {
    let shown = good(&mut wrapper(agent, &["ledger", "show", "--json"]))?;
    let mut entries = Vec::new();
    for line in shown.lines() {
        let mut record: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        if record["body"]["record"] == "used" {
            entries.push(record["body"]["entry"].take());
        }
    }
    Ok(entries)
}

/// Rows of a file on `north` into a file on `south`.
fn across(system: &System, north: &Installed) -> Result<()> {
    std::fs::create_dir_all(north.file(""))?;
    let rows: String = (0..5000).map(|id| format!("{id},name {id}\n")).collect();
    std::fs::write(north.file("in.csv"), format!("id,name\n{rows}"))?;
    system.task(&json!({"task": "across", "steps": [
        {"name": "read", "connector": "file", "agent": "north", "with": {"path": "in.csv"}},
        {"name": "write", "connector": "file", "agent": "south", "input": "read", "with": {"path": "out.csv"}},
    ]}))
}

#[test]
fn the_ledger_has_every_use_and_outlives_a_kill() -> Result<()> {
    system(|system| {
        let target = Target::echo()?;
        let (north, south) = (system.agent("north")?, system.agent("south")?);
        across(system, &north)?;
        let run = system.run_well("across")?;
        connect_to_north(system, target.port())?;
        let tunnel = open(system, "echo", &[])?;
        for _ in 0..20 {
            let mut stream = tunnel.connect()?;
            stream.write_all(b"twelve bytes")?;
            stream.read_exact(&mut [0; 12])?;
        }
        let read = |agent: &Installed, wanted: &dyn Fn(&Value) -> bool| -> Result<Value> {
            until("the use to be in the ledger", || Ok(uses(agent)?.iter().any(wanted)))?;
            uses(agent)?.into_iter().find(|entry| wanted(entry)).context("it was there")
        };
        let entry = read(&north, &|entry| entry["cause"]["step"] == "read")?;
        let (who, rows) = (system.api().get("/api/v1/me")?["user"]["email"].clone(), json!(5000));
        ensure!((&entry["who"], &entry["rows"], &entry["cause"]["run"]) == (&who, &rows, &run["id"]), "{entry:#}");
        ensure!(entry["bytes_from"].as_u64() > Some(50_000) && entry["direction"] == "from", "{entry:#}");
        let entry = read(&south, &|entry| entry["cause"]["step"] == "write")?;
        ensure!(entry["rows"] == 5000 && entry["direction"] == "to" && entry["target"] == "out.csv", "{entry:#}");
        let of_streams = || -> Result<u64> {
            let all = uses(&north)?;
            let of_tunnel = all.iter().filter(|entry| entry["cause"]["type"] == "streams");
            Ok(of_tunnel.filter_map(|entry| entry["bytes_to"].as_u64()).sum())
        };
        until("the streams to be in the ledger", || Ok(of_streams()? == 20 * 12))?;
        ensure!(good(&mut wrapper(&north, &["ledger", "verify"]))?.contains("The chain holds"));

        let before = uses(&north)?.len();
        north.signal_agent(Signal::KILL)?;
        system.online("north")?;
        system.run_well("across")?;
        until("the ledger to go on", || Ok(uses(&north)?.len() > before))?;
        good(&mut wrapper(&north, &["ledger", "verify"]))?;
        let folder = north.folder().join("state/ledger");
        let file = std::fs::read_dir(&folder)?.next().context("a file of the ledger")??.path();
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(&file, text.replacen("\"rows\":5000", "\"rows\":4999", 1))?;
        let verified = wrapper(&north, &["ledger", "verify"]).output()?;
        ensure!(verified.status.code() == Some(1), "{verified:?}");
        ensure!(String::from_utf8_lossy(&verified.stderr).contains(".log:1: it was changed"), "{verified:?}");
        Ok(())
    })
}

fn connect_to_north(system: &System, port: u16) -> Result<()> {
    system.connection("echo", "tcp", "north", &json!({"host": "127.0.0.1", "port": port}), &json!({}))
}

#[test]
fn a_full_measure_stops_streams_and_steps_and_names_its_rule() -> Result<()> {
    system(|system| {
        let target = Target::flood()?;
        let agent = system.agent("site")?;
        connect_to(system, "flood", target.port())?;
        let policy = agent.folder().join("policy.toml");
        let text = std::fs::read_to_string(&policy)?;
        std::fs::write(&policy, format!("{text}\ndata_per_day = \"50 MB\"\n"))?;
        let tunnel = open(system, "flood", &[])?;
        let rule = "data_per_day = \"50 MB\"";
        until("the rule to hold", || {
            let mut stream = tunnel.connect()?;
            let mut buffer = vec![0; 1 << 20];
            // Ends when the measure is full: the stream under way first, then each new one.
            while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
            Ok(tunnel.process.output().contains(rule))
        })?;
        std::fs::write(agent.file("in.csv"), "id\n1\n")?;
        system.task(&json!({"task": "read", "steps": [
            {"name": "read", "connector": "file", "agent": "site", "with": {"path": "in.csv"}},
            {"name": "write", "connector": "file", "agent": "site", "input": "read", "with": {"path": "out.csv"}},
        ]}))?;
        let run = system.run("read")?;
        let failed = run.to_string();
        ensure!(failed.contains("not_allowed_by_site") && failed.contains("data_per_day"), "{run:#}");
        // The count outlives the agent's process.
        agent.signal_agent(Signal::KILL)?;
        system.online("site")?;
        let run = system.run("read")?;
        ensure!(run.to_string().contains("not_allowed_by_site"), "{run:#}");
        std::fs::write(&policy, text)?;
        until("the work to go on without a limit", || Ok(system.run("read")?["state"] == "succeeded"))
    })
}

#[test]
fn agents_know_each_others_keys_and_stop_at_a_changed_one() -> Result<()> {
    system(|system| {
        let (mut north, south) = (system.agent("north")?, system.agent("south")?);
        across(system, &north)?;
        system.run_well("across")?;
        let own = |agent: &Installed| -> Result<String> {
            let status: Value = serde_json::from_str(&good(&mut wrapper(agent, &["status", "--json"]))?)?;
            Ok(status["key"].as_str().unwrap_or_default().to_owned())
        };
        let (northern, southern) = (own(&north)?, own(&south)?);
        ensure!(northern.starts_with("SHA256:") && northern != southern);
        ensure!(good(&mut wrapper(&south, &["keys", "list"]))?.contains(&northern), "south does not know north's key");
        ensure!(good(&mut wrapper(&north, &["keys", "list"]))?.contains(&southern), "north does not know south's key");
        ensure!(system.show_agent("north")?["detail"]["key"] == northern.as_str());

        north.stop()?;
        std::fs::remove_file(north.folder().join("state/key.p8"))?;
        north.start()?;
        system.online("north")?;
        let run = system.run("across")?;
        let codes = ["read", "write"].map(|name| step(&run, name)["failure"]["code"].clone());
        ensure!(codes.contains(&json!("peer_key_changed")), "{run:#}");
        ensure!(run.to_string().contains("keys forget"), "nobody is told what to do: {run:#}");
        ensure!(good(&mut wrapper(&south, &["keys", "forget", "north"]))?.contains("forgotten"));
        system.run_well("across")?;
        ensure!(good(&mut wrapper(&south, &["keys", "list"]))?.contains(&own(&north)?));
        Ok(())
    })
}
