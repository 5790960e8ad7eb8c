//! Runs: waiting for agents, being cancelled, being refused.

use std::time::Duration;

use anyhow::{Result, ensure};
use sallyport_e2e::{Postgres, python, root, within};
use sallyport_protocol::Clock;
use serde_json::json;

use crate::{moving, slow, step, system, to_csv, to_table};

#[test]
fn a_step_waits_for_its_offline_agent_and_then_runs() -> Result<()> {
    system(|system| {
        let _reader = system.agent("reader")?;
        let mut writer = system.install("writer")?;
        let database = system.folder.join("in.sqlite")?;
        sallyport_e2e::tpch::sqlite(&database, 0.001)?;
        system.connection("db", "sqlite", "reader", &json!({"path": database}), &json!({}))?;
        system.task(&to_csv("copy", "select * from orders", "writer", "orders.csv"))?;
        let id = system.start_run("copy")?;
        system.run_that(&id, "to wait for the agent", |run| run["state"] == "waiting_for_agent")?;
        writer.start()?;
        let run = system.ended(&id)?;
        system.must_be(&run, "succeeded")?;
        ensure!(step(&run, "write")["rows_out"] == 1500, "{run:#}");
        Ok(())
    })
}

#[test]
fn a_deadline_ends_the_waiting() -> Result<()> {
    system(|system| {
        system.install("nobody")?;
        system.task(&json!({"task": "copy", "steps": [
            {"name": "read", "connector": "file", "agent": "nobody", "with": {"path": "a.csv"}, "deadline": "1s"},
            {"name": "write", "connector": "file", "agent": "nobody", "input": "read", "with": {"path": "b.csv"}, "deadline": "1s"},
        ]}))?;
        let run = system.run("copy")?;
        system.must_be(&run, "timed_out")?;
        ensure!(run.to_string().contains("nobody"), "the agent is not named: {run:#}");
        Ok(())
    })
}

#[test]
fn a_cancelled_run_stops_on_both_agents_within_five_seconds_and_leaves_no_file() -> Result<()> {
    system(|system| {
        let _reader = system.agent("reader")?;
        let writer = system.agent("writer")?;
        let postgres = Postgres::start(system.folder.path(), &[])?;
        system.connection("db", "postgres", "reader", &postgres.settings(), &postgres.secrets())?;
        system.task(&to_csv("long", &slow(2_000_000, 0.05), "writer", "sub/long.csv"))?;
        let id = system.start_run("long")?;
        system.run_that(&id, "to be moving", moving)?;
        let clock = Clock::system();
        let began = clock.now();
        system.api().post(&format!("/api/v1/runs/{id}/cancel"), &json!({}))?;
        let run = system.ended(&id)?;
        let took = clock.now().since(began);
        system.must_be(&run, "cancelled")?;
        ensure!(took < Duration::from_secs(5), "it took {took:?}");
        within(Duration::from_secs(5), "the database to be left alone", || {
            let busy = postgres.sql(
                "select count(*) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()",
            )?;
            Ok((busy == "0").then_some(()))
        })?;
        let left: Vec<_> = std::fs::read_dir(writer.file("sub")).into_iter().flatten().filter_map(Result::ok).collect();
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    })
}

#[test]
fn third_party_connectors_and_networks_are_not_for_the_background_agent() -> Result<()> {
    system(|system| {
        let program = json!({"task": "foreign", "steps": [
            {"name": "read", "connector": "program", "agent": "background", "with": {"program": "numbers"}},
            {"name": "write", "connector": "file", "agent": "background", "input": "read", "with": {"path": "a.csv"}},
        ]});
        let refused = system.api().send("POST", "/api/v1/tasks", Some(&program), &[])?;
        ensure!((400..500).contains(&refused.status), "{refused:?}");
        let text = refused.body.to_string();
        for word in ["read", "program", "background"] {
            ensure!(text.contains(word), "`{word}` is not named: {text}");
        }
        Ok(())
    })
}

#[test]
fn a_program_in_python_is_a_source_and_a_sink() -> Result<()> {
    system(|system| {
        let mut agent = system.install("site")?;
        let examples = root().join("examples/connectors");
        let programs = json!({"programs": {
            "rows": {"command": python()?, "arguments": [examples.join("rows_source.py")]},
            "lines": {"command": python()?, "arguments": [examples.join("jsonl_sink.py")]},
        }});
        std::fs::write(agent.folder().join("programs.json"), programs.to_string())?;
        agent.start()?;
        system.online("site")?;
        let path = agent.folder().join("even.jsonl");
        system.task(&json!({"task": "foreign", "steps": [
            {"name": "made", "connector": "program", "agent": "site",
             "with": {"program": "rows", "settings": {"rows": 25_000}}},
            {"name": "even", "transform": "select number, name from made where number % 2 = 0", "input": "made"},
            {"name": "write", "connector": "program", "agent": "site", "input": "even",
             "with": {"program": "lines", "settings": {"path": path}}},
        ]}))?;
        let run = system.run_well("foreign")?;
        ensure!(step(&run, "write")["rows_in"] == 12_500, "{run:#}");
        let text = std::fs::read_to_string(&path)?;
        ensure!(text.lines().count() == 12_500, "the sink wrote {} lines", text.lines().count());
        ensure!(text.lines().last() == Some(r#"{"number": 24998, "name": "row 24998"}"#), "{:?}", text.lines().last());
        Ok(())
    })
}

#[test]
fn runs_of_a_task_keep_to_its_limit_and_a_key_starts_one_run_only() -> Result<()> {
    system(|system| {
        let _agent = system.agent("client")?;
        let postgres = Postgres::start(system.folder.path(), &[])?;
        postgres.sql("create table target (id int, code text, odd boolean)")?;
        system.connection("db", "postgres", "client", &postgres.settings(), &postgres.secrets())?;
        system.connection("db2", "postgres", "client", &postgres.settings(), &postgres.secrets())?;
        system.task(&to_table("copy", &slow(5000, 0.2), "target"))?;
        let first = system.start_run("copy")?;
        let second = system.start_run("copy")?;
        system.run_that(&first, "to run", |run| run["state"] == "running")?;
        ensure!(system.show_run(&second)?["state"] == "scheduled", "two runs go on at once");
        let path = "/api/v1/tasks/copy/runs";
        let key = [("idempotency-key", "nightly")];
        let one = system.api().send("POST", path, Some(&json!({})), &key)?;
        let same = system.api().send("POST", path, Some(&json!({})), &key)?;
        ensure!(one.body["id"].is_string() && one.body["id"] == same.body["id"], "{one:?} {same:?}");
        for id in [&first, &second, &one.body["id"].as_str().unwrap_or_default().to_owned()] {
            let run = system.ended(id)?;
            system.must_be(&run, "succeeded")?;
        }
        ensure!(postgres.sql("select count(*), count(distinct id) from target")? == "15000|5000");
        Ok(())
    })
}
