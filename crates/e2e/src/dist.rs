//! The archives that are shipped, of programs that are there already.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::binaries::{Profile, binary};

/// Packs the programs of a folder for `linux` or `windows` as `./x dist` does, into `out`.
pub fn dist(target: &str, programs: &Path, out: &Path) -> Result<()> {
    let mut command = Command::new(binary(Profile::Dev, "xtask")?);
    command.args(["dist", "--target", target, "--programs"]).arg(programs).arg("--out").arg(out);
    let output = command.output().context("running xtask")?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}
