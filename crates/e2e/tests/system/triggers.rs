//! Triggers over kills of the server.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{System, within};
use serde_json::{Value, json};

use crate::system;

/// No wait here is longer.
const DEADLINE: Duration = Duration::from_secs(60);

fn copy(name: &str, triggers: &Value) -> Value {
    json!({"task": name, "limit": 1000, "triggers": triggers, "steps": [
        {"name": "read", "connector": "file", "agent": "background", "with": {"path": format!("{name}.csv")}},
        {"name": "write", "connector": "file", "agent": "background", "input": "read",
         "with": {"path": format!("{name}-out.csv")}},
    ]})
}

/// The runs of a task, the oldest first.
fn runs(system: &System, task: &str) -> Result<Vec<Value>> {
    let page = system.api().get(&format!("/api/v1/runs?task={task}&sort=queued_at&limit=500"))?;
    page["items"].as_array().cloned().context("no list of runs")
}

fn until(system: &System, task: &str, what: &str, wanted: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
    within(DEADLINE, what, || Ok(Some(runs(system, task)?).filter(|runs| wanted(runs))))
}

#[test]
fn an_interval_fires_over_kills_without_loss_or_repeat() -> Result<()> {
    system(|system| {
        let policies = ["once", "all", "skip"];
        for missed in policies {
            system.task(&copy(missed, &json!([{"name": "tick", "every": "1s", "missed": missed}])))?;
        }
        for count in [2, 4, 6] {
            until(system, "all", "some ticks", |runs| runs.len() >= count)?;
            system.server.kill()?;
            system.server.start_again()?;
        }
        for missed in policies {
            let runs = until(system, missed, "ticks after the last kill", |runs| runs.len() >= 6)?;
            let due: Vec<&str> = runs.iter().filter_map(|run| run["due_at"].as_str()).collect();
            let distinct: BTreeSet<&str> = due.iter().copied().collect();
            ensure!(due.len() == runs.len() && distinct.len() == due.len(), "{missed}: a time came twice: {due:?}");
            if missed == "all" {
                let seconds: Vec<i64> =
                    distinct.iter().map(|at| Ok(at.parse::<jiff::Timestamp>()?.as_second())).collect::<Result<_>>()?;
                ensure!(seconds.windows(2).all(|pair| pair[1] - pair[0] == 1), "a time was lost: {distinct:?}");
            }
        }
        Ok(())
    })
}

#[test]
fn tasks_follow_each_other_by_success_and_failure() -> Result<()> {
    system(|system| {
        let files = system.server.background_files()?;
        std::fs::write(files.join("first.csv"), "a\n1\n")?;
        system.task(&copy("first", &json!([])))?;
        system.task(&copy("well", &json!([{"name": "next", "after": "first"}])))?;
        system.task(&copy("badly", &json!([{"name": "next", "after": "first", "when": "failure"}])))?;
        let run = system.run("first")?;
        system.must_be(&run, "succeeded")?;
        until(system, "well", "the task after success", |runs| runs.len() == 1)?;
        std::fs::remove_file(files.join("first.csv"))?;
        let run = system.run("first")?;
        system.must_be(&run, "failed")?;
        until(system, "badly", "the task after failure", |runs| runs.len() == 1)?;
        ensure!(runs(system, "well")?.len() == 1, "the failure started what follows success");
        Ok(())
    })
}

#[test]
fn a_person_looks_at_and_stops_triggers_from_the_command_line() -> Result<()> {
    system(|system| {
        system.task(&copy("copy", &json!([{"name": "yearly", "cron": "0 2 1 jan *", "zone": "Europe/Prague"}])))?;
        let cli = system.cli()?;
        let list: Value = serde_json::from_str(&cli.good(&["triggers", "list", "-o", "json"])?)?;
        ensure!(list[0]["next"].as_array().is_some_and(|next| next.len() == 5), "{list:#}");
        ensure!(cli.good(&["triggers", "pause", "copy", "yearly", "--for", "2h"])?.contains("paused until"));
        ensure!(cli.good(&["triggers", "resume", "copy", "yearly"])?.contains("active"));
        ensure!(cli.good(&["triggers", "fire", "copy", "yearly"])?.contains("run_"));
        ensure!(runs(system, "copy")?.len() == 1);
        Ok(())
    })
}
