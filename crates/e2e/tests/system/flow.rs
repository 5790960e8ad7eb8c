//! Order, conditions, limits, reruns and tasks that start others, as an operator sees them.

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Postgres, System};
use serde_json::{Value, json};

use crate::{moving, slow, step, system, to_table};

/// A step that copies a file of the background agent, as two steps.
fn copy(name: &str, from: &str, to: &str, more: &Value) -> Vec<Value> {
    let mut read = json!({"name": format!("{name}-read"), "connector": "file", "agent": "background",
                          "with": {"path": from}, "retry": {"attempts": 1}});
    if let (Some(read), Some(more)) = (read.as_object_mut(), more.as_object()) {
        read.extend(more.clone());
    }
    let write = json!({"name": name, "connector": "file", "agent": "background", "input": format!("{name}-read"),
                       "with": {"path": to}, "retry": {"attempts": 1}});
    vec![read, write]
}

fn task(name: &str, steps: Vec<Vec<Value>>) -> Value {
    json!({"task": name, "steps": steps.concat()})
}

/// The runs of a task, the oldest first.
fn runs(system: &System, task: &str) -> Result<Vec<Value>> {
    let page = system.api().get(&format!("/api/v1/runs?task={task}&sort=queued_at&limit=500"))?;
    page["items"].as_array().cloned().context("no list of runs")
}

fn id(run: &Value) -> Result<&str> {
    run["id"].as_str().context("the run has no id")
}

#[test]
fn steps_keep_their_order_and_conditions_decide() -> Result<()> {
    system(|system| {
        let files = system.server.background_files()?;
        std::fs::write(files.join("in.csv"), "a\n1\n2\n")?;
        let steps = vec![
            // Written first, though it comes last: it reads what the others have written.
            copy("last", "middle.csv", "last.csv", &json!({"after": "middle"})),
            copy("middle", "first.csv", "middle.csv", &json!({"after": "first", "when": "steps.first.rows_in == 2"})),
            copy("first", "in.csv", "first.csv", &json!({})),
            copy("never", "in.csv", "never.csv", &json!({"when": "steps.first.rows_in > 2"})),
            copy("cleanup", "gone.csv", "x.csv", &json!({"after": "last", "on_error": "continue"})),
        ];
        system.task(&task("ordered", steps))?;
        let run = system.run("ordered")?;
        system.must_be(&run, "finished_with_errors")?;
        ensure!(
            std::fs::read_to_string(files.join("last.csv"))? == "a\n1\n2\n",
            "the last file is not the first's copy"
        );
        ensure!(!files.join("never.csv").exists() && step(&run, "never")["state"] == "skipped", "{run:#}");
        let (first, last) = (&step(&run, "first")["finished_at"], &step(&run, "last-read")["started_at"]);
        ensure!(first.as_str() <= last.as_str(), "{first} is after {last}");
        let shown = system.cli()?.good(&["runs", "show", id(&run)?])?;
        ensure!(shown.contains("skipped") && shown.contains("gone.csv"), "{shown}");
        Ok(())
    })
}

#[test]
fn limits_hold_and_a_run_that_waits_says_for_what() -> Result<()> {
    system(|system| {
        let _agent = system.agent("client")?;
        let postgres = Postgres::start(system.folder.path(), &[])?;
        postgres.sql("create table one (id int, code text, odd boolean); create table two (like one)")?;
        system.connection("db", "postgres", "client", &postgres.settings(), &postgres.secrets())?;
        system.connection("db2", "postgres", "client", &postgres.settings(), &postgres.secrets())?;
        system.task(&to_table("one", &slow(60_000, 0.2), "one"))?;
        system.task(&to_table("two", "select 1 as id, 'x' as code, true as odd", "two"))?;
        let cli = system.cli()?;
        cli.good(&["limits", "set", "connection", "db2", "1"])?;
        let first = system.start_run("one")?;
        system.run_that(&first, "to be moving", moving)?;
        let second = system.start_run("two")?;
        let shown = cli.good(&["runs", "show", &second])?;
        ensure!(shown.contains("connection `db2` serves at most 1 run") && shown.contains(&first), "{shown}");
        ensure!(postgres.sql("select count(*) from two")? == "0", "it has started beyond the limit");
        // More places: it need not wait any longer for the first to end.
        cli.good(&["limits", "set", "connection", "db2", "2"])?;
        let ended = system.ended(&second)?;
        system.must_be(&ended, "succeeded")?;
        ensure!(system.show_run(&first)?["finished_at"].is_null(), "the first had ended, the limit proves nothing");
        let ended = system.ended(&first)?;
        system.must_be(&ended, "succeeded")?;
        ensure!(postgres.sql("select count(*) from one")? == "60000");
        Ok(())
    })
}

#[test]
fn a_rerun_does_again_what_failed_and_nothing_else() -> Result<()> {
    system(|system| {
        let files = system.server.background_files()?;
        std::fs::write(files.join("in.csv"), "a\n1\n")?;
        let steps = vec![
            copy("first", "in.csv", "first.csv", &json!({})),
            copy("second", "late.csv", "second.csv", &json!({"after": "first"})),
        ];
        system.task(&task("daily", steps))?;
        let failed = system.run("daily")?;
        system.must_be(&failed, "failed")?;
        let cli = system.cli()?;
        // What succeeded must not be done again: its source is gone.
        std::fs::rename(files.join("in.csv"), files.join("late.csv"))?;
        // Nor does a newer version count.
        let newer = task("daily", vec![copy("other", "nowhere.csv", "other.csv", &json!({}))]);
        system.api().edit("PUT", "/api/v1/tasks/daily", &newer)?;
        cli.good(&["runs", "rerun", id(&failed)?, "--from-failed", "--wait"])?;
        let all = runs(system, "daily")?;
        let again = system.show_run(id(&all[1])?)?;
        ensure!(again["rerun_of"] == failed["id"] && all.len() == 2, "{again:#}");
        let taken = step(&again, "first")["reason"].as_str().unwrap_or_default();
        ensure!(taken.contains("taken over") && taken.contains(id(&failed)?), "{again:#}");
        ensure!(std::fs::read_to_string(files.join("second.csv"))? == "a\n1\n");
        ensure!(
            cli.run(&["runs", "rerun", id(&again)?, "--from-failed"], "")?.status.code() == Some(4),
            "it had failed"
        );
        Ok(())
    })
}

#[test]
fn a_task_started_by_a_step_runs_once_whenever_the_server_is_killed() -> Result<()> {
    system(|system| {
        let _agent = system.agent("client")?;
        let postgres = Postgres::start(system.folder.path(), &[])?;
        postgres.sql("create table target (id int, code text, odd boolean)")?;
        system.connection("db", "postgres", "client", &postgres.settings(), &postgres.secrets())?;
        system.connection("db2", "postgres", "client", &postgres.settings(), &postgres.secrets())?;
        // One place for all: the outer run must make room for the inner one.
        system.cli()?.good(&["limits", "set", "environment", "production", "1"])?;
        let mut inner = to_table("inner", "", "target");
        inner["parameters"] = json!([{"name": "rows", "type": "integer", "required": true}]);
        inner["steps"][0]["with"]["query"] = json!(slow(0, 0.2).replace("(1, 0)", "(1, {{ parameters.rows }})"));
        system.task(&inner)?;
        system.task(&json!({"task": "outer", "steps": [
            {"name": "before", "connection": "db", "with": {"query": "select 1 as a"}},
            {"name": "before-out", "connector": "file", "agent": "client", "input": "before", "with": {"path": "a.csv"}},
            {"name": "call", "task": "inner", "after": "before-out", "parameters": {"rows": 30_000}},
            {"name": "after", "connection": "db", "after": "call",
             "with": {"query": "select {{ steps.call.rows_out }} as n"}},
            {"name": "after-out", "connector": "file", "agent": "client", "input": "after", "with": {"path": "b.csv"}},
        ]}))?;
        for round in 0..3_u32 {
            let outer = system.start_run("outer")?;
            let inner = sallyport_e2e::within(std::time::Duration::from_secs(60), "the inner run", || {
                let all = runs(system, "inner")?;
                Ok(all.get(usize::try_from(round)?).cloned())
            })?;
            if round > 0 {
                // At its start, and in its middle.
                if round == 2 {
                    system.run_that(id(&inner)?, "to be moving", moving)?;
                }
                system.server.kill()?;
                system.server.start_again()?;
            }
            let ended = system.ended(&outer)?;
            system.must_be(&ended, "succeeded")?;
            ensure!(step(&ended, "call")["rows_out"] == 30_000, "{ended:#}");
            let reason = step(&ended, "call")["reason"].as_str().unwrap_or_default();
            ensure!(reason.contains(id(&inner)?), "the inner run is not named: {ended:#}");
            let all = runs(system, "inner")?;
            ensure!(all.len() == usize::try_from(round)? + 1, "the inner task has {} runs", all.len());
            ensure!(all.iter().all(|run| run["state"] == "succeeded" && run["trigger"] == "task"), "{all:#?}");
        }
        ensure!(postgres.sql("select count(*), count(distinct id) from target")? == "90000|30000");
        Ok(())
    })
}

#[test]
fn a_cancel_and_a_failure_pass_between_the_runs() -> Result<()> {
    system(|system| {
        let _agent = system.agent("client")?;
        let postgres = Postgres::start(system.folder.path(), &[])?;
        postgres.sql("create table target (id int, code text, odd boolean)")?;
        system.connection("db", "postgres", "client", &postgres.settings(), &postgres.secrets())?;
        system.connection("db2", "postgres", "client", &postgres.settings(), &postgres.secrets())?;
        system.task(&to_table("inner", &slow(2_000_000, 0.05), "target"))?;
        system.task(&json!({"task": "outer", "steps": [{"name": "call", "task": "inner"}]}))?;
        let outer = system.start_run("outer")?;
        let inner = sallyport_e2e::within(std::time::Duration::from_secs(60), "the inner run to move", || {
            let found = runs(system, "inner")?;
            let Some(run) = found.first() else { return Ok(None) };
            Ok(moving(&system.show_run(id(run)?)?).then(|| run.clone()))
        })?;
        let cli = system.cli()?;
        cli.good(&["runs", "cancel", &outer])?;
        let ended = system.ended(&outer)?;
        system.must_be(&ended, "cancelled")?;
        let ended = system.ended(id(&inner)?)?;
        system.must_be(&ended, "cancelled")?;
        ensure!(ended["reason"].as_str().is_some_and(|reason| reason.contains(&outer)), "{ended:#}");
        ensure!(postgres.sql("select count(*) from target")? == "0");

        system.api().edit("PUT", "/api/v1/tasks/inner", &to_table("inner", "select nothing", "target"))?;
        let failed = system.run("outer")?;
        system.must_be(&failed, "failed")?;
        let text = cli.good(&["runs", "show", id(&failed)?])?;
        ensure!(text.contains("of task `inner` ended as failed") && text.contains("nothing"), "{text}");
        let circle = json!({"task": "inner", "steps": [{"name": "back", "task": "outer"}]});
        let refused = system.api().send("POST", "/api/v1/tasks/validate", Some(&circle), &[])?;
        ensure!(refused.body.to_string().contains("inner -> outer -> inner"), "{:#}", refused.body);
        Ok(())
    })
}

#[test]
fn coming_times_are_shown_in_their_zones() -> Result<()> {
    system(|system| {
        let mut task = task("yearly", vec![copy("a", "a.csv", "b.csv", &json!({}))]);
        task["parameters"] = json!([{"name": "shop", "required": true}]);
        task["triggers"] = json!([
            {"name": "summer", "cron": "30 8 1 7 *", "zone": "Europe/Prague", "parameters": {"shop": "prague"}},
            {"name": "call", "webhook": {"parameters": {"shop": "/shop"}}},
        ]);
        system.task(&task)?;
        let text = system.cli()?.good(&["tasks", "next", "yearly", "-n", "7"])?;
        ensure!(text.matches("-07-01 08:30:00 +02:00").count() == 7 && text.contains("Europe/Prague"), "{text}");
        Ok(())
    })
}
