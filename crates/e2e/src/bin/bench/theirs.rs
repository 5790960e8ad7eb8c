//! The other tools, each as its documents advise.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sallyport_e2e::{Postgres, root};

use crate::measure::{Cost, program};

/// Runs a SQL or `\copy` command with psql; it writes `written`, if that is given.
pub(crate) fn psql(postgres: &Postgres, sql: &str, written: Option<&Path>) -> Result<Cost> {
    program(postgres.psql().args(["-c", sql]), postgres, written)
}

/// Runs one function of the Python peers that reads or writes the file `path`.
pub(crate) fn python(postgres: &Postgres, function: &str, path: &Path, written: Option<&Path>) -> Result<Cost> {
    let script = root().join("crates/e2e/src/bin/bench/peers.py");
    let mut command = Command::new(tool("python")?);
    program(command.arg(script).arg(function).arg(postgres.url()).arg(path), postgres, written)
}

/// Runs sling; it writes `written`, if that is given.
pub(crate) fn sling(postgres: &Postgres, arguments: &[&str], written: Option<&Path>) -> Result<Cost> {
    let mut command = Command::new(sling_program()?);
    command.arg("run").args(arguments);
    command.env("BENCH", format!("{}?sslmode=disable", postgres.url())).env("SLING_DISABLE_TELEMETRY", "true");
    program(&mut command, postgres, written)
}

/// The package brings the program itself; its Python wrapper would fetch another one.
fn sling_program() -> Result<PathBuf> {
    let below = root().join("target/tools/bench/lib");
    let pythons = std::fs::read_dir(&below).into_iter().flatten().filter_map(Result::ok);
    pythons
        .map(|python| python.path().join("site-packages/sling_linux_amd64/bin/sling-linux-amd64"))
        .find(|path| path.is_file())
        .with_context(|| format!("sling is missing below {}: `./x bench` installs it", below.display()))
}

fn tool(name: &str) -> Result<PathBuf> {
    let path = root().join("target/tools/bench/bin").join(name);
    if path.is_file() { Ok(path) } else { bail!("{} is missing: `./x bench` installs it", path.display()) }
}
