//! Steps that reach their connection through another agent than their own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Installed, Postgres, Signal, System, until};
use serde_json::{Value, json};

use crate::tunnels::good;
use crate::{moving, slow, step, system};

/// Whether a query of the whole database gives `wanted`.
fn counts(postgres: &Postgres, query: &str, wanted: &str) -> Result<bool> {
    Ok(postgres.sql(query)?.trim() == wanted)
}

/// A database that `north` reaches, and `south`, whose site allows it to dial nothing.
fn two_sites(system: &System) -> Result<(Postgres, Installed, Installed)> {
    let postgres = Postgres::start(system.folder.path(), &[])?;
    let (north, south) = (system.agent("north")?, system.agent("south")?);
    let deny = format!("127.0.0.1:{}", postgres.port());
    good(Command::new(south.folder().join("sallyport-wrapper")).args(["policy", "deny", &deny]))?;
    system.connection("db", "postgres", "north", &postgres.settings(), &postgres.secrets())?;
    Ok((postgres, north, south))
}

/// Reads a query of `db` on `agent` and writes a CSV file there.
fn export(name: &str, query: &str, agent: &str) -> Value {
    json!({"task": name, "steps": [
        {"name": "read", "connection": "db", "agent": agent, "with": {"query": query},
         "retry": {"attempts": 5, "backoff": "500ms"}},
        {"name": "write", "connector": "file", "agent": agent, "input": "read", "with": {"path": "out.csv"},
         "retry": {"attempts": 5, "backoff": "500ms"}},
    ]})
}

fn lines(path: &Path) -> Result<usize> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(text.lines().count())
}

#[test]
fn another_agent_and_the_servers_own_use_a_database_that_only_one_reaches() -> Result<()> {
    system(|system| {
        let (postgres, north, south) = two_sites(system)?;
        let query = "select g as id, md5(g::text) as code from generate_series(1, 200000) g";
        system.task(&export("to-south", query, "south"))?;
        let run = system.run_well("to-south")?;
        ensure!(step(&run, "read")["agent"] == "south", "{run:#}");
        ensure!(lines(&south.file("out.csv"))? == 200_001);
        system.task(&export("to-server", query, "background"))?;
        system.run_well("to-server")?;
        ensure!(lines(&system.server.background_files()?.join("out.csv"))? == 200_001);

        // Back into the database, by several connections, with the ledger of what was committed.
        postgres.sql("create table copies (id int, code text)")?;
        for agent in ["south", "background"] {
            system.task(&json!({"task": format!("from-{agent}"), "steps": [
                {"name": "read", "connector": "file", "agent": agent, "with": {"path": "out.csv",
                 "columns": [{"name": "id", "type": "int"}, {"name": "code", "type": "text"}]}},
                {"name": "write", "connection": "db", "agent": agent, "input": "read",
                 "with": {"table": "copies", "mode": "append"}},
            ]}))?;
            system.run_well(&format!("from-{agent}"))?;
        }
        let sums = "select count(*), sum(id), count(distinct code) from copies";
        ensure!(counts(&postgres, sums, "400000|40000200000|200000")?, "{}", postgres.sql(sums)?);
        system.task(&json!({"task": "wide", "steps": [
            {"name": "read", "connection": "db", "agent": "south", "with": {"table": "copies", "parallel": 3}},
            {"name": "write", "connector": "file", "agent": "south", "input": "read", "with": {"path": "wide.csv"}},
        ]}))?;
        system.run_well("wide")?;
        ensure!(lines(&south.file("wide.csv"))? == 400_001);

        // The site that was reached knows for whom.
        let shown = good(Command::new(north.folder().join("sallyport-wrapper")).args(["ledger", "show", "--json"]))?;
        let told = format!("step `read` of {}", run["id"].as_str().unwrap_or_default());
        ensure!(shown.contains(&told) && shown.contains("\"connection\":\"db\""), "{shown}");
        let shown = good(Command::new(south.folder().join("sallyport-wrapper")).args(["ledger", "show", "--json"]))?;
        ensure!(shown.contains(&format!("127.0.0.1:{} through agent north", postgres.port())), "{shown}");

        // What the step would read is looked at where it is.
        let document = serde_json::to_string(&export("look", "select 42 as answer", "south"))?;
        let look = system.api().post("/api/v1/tasks/preview", &json!({"document": document, "step": "read"}))?;
        ensure!(look["agent"] == "north" && look["rows"] == json!([["42"]]), "{look:#}");
        Ok(())
    })
}

#[test]
fn what_the_reached_site_says_is_the_steps_failure() -> Result<()> {
    system(|system| {
        let (postgres, mut north, _south) = two_sites(system)?;
        let mut task = export("to-south", "select 1 as id", "south");
        task["steps"][0]["retry"] = json!({"attempts": 1});
        system.task(&task)?;
        system.run_well("to-south")?;
        let wrapper = north.folder().join("sallyport-wrapper");
        let rule = format!("127.0.0.1:{}", postgres.port());
        good(Command::new(&wrapper).args(["policy", "deny", &rule]))?;
        until("the rule to hold", || {
            let run = system.run("to-south")?;
            let failure = &step(&run, "read")["failure"];
            let names = failure["message"].to_string().contains(&format!("deny {rule}"));
            Ok(run["state"] == "failed" && failure["code"] == "not_allowed_by_site" && names)
        })?;
        good(Command::new(&wrapper).args(["policy", "allow", &rule]))?;
        until("the site to allow it again", || Ok(system.run("to-south")?["state"] == "succeeded"))?;

        // A site that wants what passes between agents sealed does not open its database to another one's step.
        let policy = north.folder().join("policy.toml");
        let text = std::fs::read_to_string(&policy)?;
        std::fs::write(&policy, format!("{text}\nsealed = true\n"))?;
        until("the rule to hold", || {
            let run = system.run("to-south")?;
            Ok(step(&run, "read")["failure"].to_string().contains("sealed = true"))
        })?;
        std::fs::write(&policy, text)?;

        // Without the agent that reaches the database the run waits.
        north.stop()?;
        system.offline("north")?;
        let id = system.start_run("to-south")?;
        let waits = |run: &Value| step(run, "read")["reason"].to_string().contains("waiting for agent `north`");
        system.run_that(&id, "the step to wait for north", waits)?;
        let refused = system.api().send("POST", "/api/v1/agents/north/deactivate", None, &[])?;
        ensure!(refused.status == 409 && refused.body.to_string().contains("to-south"), "{refused:?}");
        north.start()?;
        system.must_be(&system.ended(&id)?, "succeeded")
    })
}

#[test]
fn a_way_that_breaks_is_tried_again_and_a_stop_reaches_the_database() -> Result<()> {
    system(|system| {
        let (postgres, north, south) = two_sites(system)?;
        system.task(&export("to-south", &slow(40_000, 0.2), "south"))?;
        let id = system.start_run("to-south")?;
        system.run_that(&id, "rows to flow", moving)?;
        north.signal_agent(Signal::KILL)?;
        let run = system.ended(&id)?;
        system.must_be(&run, "succeeded")?;
        ensure!(step(&run, "read")["attempt"].as_u64() > Some(1), "{run:#}");
        ensure!(lines(&south.file("out.csv"))? == 40_001);

        system.online("north")?;
        system.task(&export("sleeps", "select pg_sleep(3600) is null as slept", "south"))?;
        let id = system.start_run("sleeps")?;
        let sleeping = "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_sleep(3600)%' \
                        and pid <> pg_backend_pid()";
        until("the query to run", || counts(&postgres, sleeping, "1"))?;
        system.api().post(&format!("/api/v1/runs/{id}/cancel"), &json!({}))?;
        system.must_be(&system.ended(&id)?, "cancelled")?;
        until("the database to have stopped it", || counts(&postgres, sleeping, "0"))?;
        until("no stream to be left", || {
            let figures = system.api().send("GET", "/metrics", None, &[])?.body.to_string();
            Ok(figures.contains("sallyport_tunnel_streams_open 0"))
        })
    })
}
