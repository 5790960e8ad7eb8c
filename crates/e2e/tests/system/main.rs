//! The whole system: real servers, wrappers, agents, databases and proxies, as separate processes.
//!
//! Each test makes everything it needs in a temporary folder and on free ports, and takes it away again. A failure
//! shows the end of every log.

mod chaos;
mod commands;
mod entries;
mod faults;
mod flow;
mod groups;
mod identity;
mod incremental;
mod licence;
mod life;
mod notifications;
mod packages;
mod proxies;
mod runs;
mod server;
mod services;
mod settings;
mod site_keeps;
mod through;
mod transfers;
mod triggers;
mod tunnel_clients;
mod tunnels;
mod updates;
mod via;
mod windows;

use anyhow::Result;
use sallyport_e2e::{Options, System};
use serde_json::{Value, json};

/// A system with an unlimited licence.
fn system(work: impl FnOnce(&mut System) -> Result<()>) -> Result<()> {
    System::with(Options::default(), work)
}

/// A query whose rows come slowly: `rows` of them, with a pause of `pause` seconds after every thousand.
fn slow(rows: u32, pause: f64) -> String {
    format!(
        "select g as id, md5(g::text) as code, \
         pg_sleep(case when g % 1000 = 0 then {pause} else 0 end) is null as odd from generate_series(1, {rows}) g"
    )
}

/// The newest attempt of a step of a run.
fn step<'a>(run: &'a Value, name: &str) -> &'a Value {
    static NONE: Value = Value::Null;
    let attempts = run["steps"].as_array().into_iter().flatten().filter(|step| step["step"] == name);
    attempts.max_by_key(|step| step["attempt"].as_u64()).unwrap_or(&NONE)
}

/// A task that reads a query of `db` and writes a CSV file on `agent`.
fn to_csv(name: &str, query: &str, agent: &str, path: &str) -> Value {
    json!({"task": name, "steps": [
        {"name": "read", "connection": "db", "with": {"query": query}, "retry": {"attempts": 5, "backoff": "500ms"}},
        {"name": "write", "connector": "file", "agent": agent, "input": "read", "with": {"path": path},
         "retry": {"attempts": 5, "backoff": "500ms"}},
    ]})
}

/// A task that reads a query of `db` and appends to a table of `db2`.
fn to_table(name: &str, query: &str, table: &str) -> Value {
    json!({"task": name, "steps": [
        {"name": "read", "connection": "db", "with": {"query": query}, "retry": {"attempts": 5, "backoff": "500ms"}},
        {"name": "write", "connection": "db2", "input": "read", "with": {"table": table, "mode": "append"},
         "retry": {"attempts": 5, "backoff": "500ms"}},
    ]})
}

/// Whether rows have reached the last step of a run.
fn moving(run: &Value) -> bool {
    run["state"] == "running" && step(run, "write")["rows_in"].as_u64().unwrap_or(0) > 0
}
