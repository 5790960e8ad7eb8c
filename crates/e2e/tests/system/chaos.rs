//! A short run of the fault harness, which lasts as long as one likes: `./x chaos`.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Profile, binary};
use serde_json::Value;

/// Few rounds with many different faults.
const SEED: &str = "11";
const ROUNDS: &str = "3";

#[test]
fn nothing_is_lost_and_nothing_is_twice_whatever_breaks() -> Result<()> {
    let output = Command::new(binary(Profile::Dev, "chaos")?)
        .args(["--seed", SEED, "--rounds", ROUNDS, "--minutes", "4", "--json"])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).context("reading the summary")?;
    let sum = |field: &str| -> u64 {
        report[field].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
    };
    ensure!(sum("faults") >= 20, "too few faults to mean anything: {report:#}");
    ensure!(report["faults"].as_object().map_or(0, serde_json::Map::len) >= 8, "too few kinds of faults: {report:#}");
    ensure!(report["runs"]["succeeded"].as_u64() >= Some(12), "too few runs went well: {report:#}");
    ensure!(report["violations"].as_array().is_some_and(Vec::is_empty), "{report:#}");
    Ok(())
}
