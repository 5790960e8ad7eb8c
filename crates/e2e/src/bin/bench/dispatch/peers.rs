//! The other tools, each doing nothing in the way that its documents advise.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sallyport_e2e::{Folder, Postgres, root};
use serde_json::Value;

use super::figures::Figures;
use super::{FLAT_OUT, PACED};

/// Takes seconds for each run.
const PREFECT_RUNS: usize = 5;

type Measure = fn(&Folder) -> Result<Figures>;

pub(crate) const ALL: &[(&str, Measure)] = &[("graphile-worker", graphile), ("prefect", prefect)];

/// A queue in PostgreSQL, with the database's own settings: a job is on the disk when it was added.
fn graphile(folder: &Folder) -> Result<Figures> {
    let modules = root().join("target/tools/dispatch/node_modules");
    if !modules.join("graphile-worker").is_dir() {
        bail!("it could not be installed");
    }
    let below = folder.join("graphile")?;
    std::fs::create_dir_all(&below)?;
    let postgres = Postgres::start(&below, &[])?;
    let mut command = Command::new("node");
    command.arg(script("graphile.mjs")).arg(modules).arg(postgres.url());
    command.args([PACED.to_string(), FLAT_OUT.to_string()]);
    figures(&mut command, FLAT_OUT)
}

/// Its server, and a process that serves one flow.
fn prefect(folder: &Folder) -> Result<Figures> {
    let python = root().join("target/tools/prefect/bin/python");
    if !python.is_file() {
        bail!("it could not be installed");
    }
    let home = folder.join("prefect")?;
    let mut command = Command::new(python);
    command.arg(script("prefect_peer.py")).arg(PREFECT_RUNS.to_string());
    command.env("PREFECT_HOME", home).env("PREFECT_SERVER_ANALYTICS_ENABLED", "false");
    figures(&mut command, PREFECT_RUNS)
}

fn script(name: &str) -> PathBuf {
    root().join("crates/e2e/src/bin/bench/dispatch").join(name)
}

/// The last line that it writes: the waits of single runs, and how long many took, in milliseconds.
fn figures(command: &mut Command, runs: usize) -> Result<Figures> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("starting {:?}", command.get_program()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("it ended with {}\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let told: Value = serde_json::from_str(said.lines().last().context("it said nothing")?)?;
    let span = |value: &Value| value.as_f64().map(|millis| Duration::from_secs_f64(millis.max(0.0) / 1e3));
    let waits: Option<Vec<Duration>> = told["waits"].as_array().context("no waits")?.iter().map(span).collect();
    Ok(Figures::new(waits.context("a wait is no number")?, runs, span(&told["took"]).context("no time")?))
}
