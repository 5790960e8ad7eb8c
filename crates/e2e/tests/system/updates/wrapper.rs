//! Updates of the wrapper itself, where a person has started it: good ones, and ones that do not work and are taken back
//! by the version before.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Installed, Mischief, Profile, Publisher, System, binary, within};
use serde_json::Value;

use super::{LONG, installed, kept, process, says, stage, update, versions};
use crate::system;

/// A wrapper that hangs at its start is given half a minute.
const LONGER: Duration = Duration::from_secs(150);

fn real() -> Result<PathBuf> {
    binary(Profile::Dev, "sallyport-wrapper")
}

fn own(system: &System, words: &[&str]) -> Result<Value> {
    says(system, "client", "wrapper_update", words, LONGER)
}

fn own_kept(system: &System, version: &str) -> Result<()> {
    installed(system, "client", "wrapper_update", version, LONGER)
}

/// The process that holds the wrapper's lock.
fn holder(agent: &Installed) -> Result<u64> {
    let text = std::fs::read(agent.folder().join("state/wrapper.holder"))?;
    let holder: Value = serde_json::from_slice(&text)?;
    holder["process_id"].as_u64().context("no process")
}

fn guarded(agent: &Installed) -> bool {
    agent.folder().join("state/guard.holder").exists()
}

#[test]
fn a_wrapper_replaces_itself_in_its_own_process() -> Result<()> {
    system(|system| {
        let (publisher, mut agent) = stage(system)?;
        own(system, &["there is no release for this platform"])?;
        let (before, wrapper) = (process(system, "client")?, holder(&agent)?);
        publisher.wrapper_release("9.0.1", 1, &Mischief::default(), &real()?)?;
        own_kept(system, "9.0.1")?;
        ensure!(holder(&agent)? == wrapper, "whoever waits for the wrapper waits for another process");
        ensure!(process(system, "client")? != before, "the agent has another wrapper and was not started by it");
        let shown = system.show_agent("client")?;
        ensure!(shown["update"]["active_version"].is_null(), "the agent's version is another one: {shown:#}");
        within(LONG, "the guard to go", || Ok((!guarded(&agent)).then_some(())))?;
        // Each product has rules of its own.
        publisher.wrapper_release("9.0.2", 2, &Mischief::default(), &real()?)?;
        own_kept(system, "9.0.2")?;
        system.cli()?.good(&["releases", "rollout", "--wrapper-pin", "9.0.1"])?;
        own(system, &["idle", "older than 2, which was seen here", "9.0.2"])?;
        publisher.release("9.0.1", 1, &Mischief::default())?;
        kept(system, "client", "9.0.1")?;
        ensure!(versions(&agent).len() == 1, "{:?}", versions(&agent));
        agent.stop()?;
        agent.start()?;
        system.online("client")?;
        own(system, &["idle", "9.0.2"])?;
        let listed = system.cli()?.good(&["releases", "list"])?;
        ensure!(listed.contains("sallyport-wrapper") && listed.contains("sallyport-agent"), "{listed}");
        let shown = system.cli()?.good(&["agents", "show", "client"])?;
        ensure!(shown.contains("Wrapper release"), "{shown}");
        agent.stop()
    })
}

#[test]
fn a_busy_agent_finishes_its_runs_before_its_wrapper_is_replaced() -> Result<()> {
    system(|system| {
        let (publisher, _agent) = stage(system)?;
        let postgres = sallyport_e2e::Postgres::start(system.folder.path(), &[])?;
        system.connection("db", "postgres", "client", &postgres.settings(), &postgres.secrets())?;
        // Longer than the release takes to come, also on a busy machine.
        system.task(&crate::to_csv("export", &crate::slow(40_000, 1.0), "client", "out.csv"))?;
        let run = system.start_run("export")?;
        system.run_that(&run, "to move", crate::moving)?;
        publisher.wrapper_release("9.0.1", 1, &Mischief::default(), &real()?)?;
        own(system, &["draining", "1 runs of the agent are waited for"])?;
        publisher.release("9.0.1", 1, &Mischief::default())?;
        update(system, "client", &["idle", "waits until the update that is under way here is done"])?;
        let ended = system.ended(&run)?;
        system.must_be(&ended, "succeeded")?;
        ensure!(crate::step(&ended, "write")["attempt"] == 1, "the update disturbed the run: {ended:#}");
        own_kept(system, "9.0.1")?;
        kept(system, "client", "9.0.1")
    })
}

/// An agent whose wrapper is 9.0.1, and a wrapper 9.0.2 with some mischief, which must not stay.
fn fails(mischief: &Mischief<'_>, words: &[&str]) -> Result<()> {
    system(|system| {
        let (publisher, agent) = stage(system)?;
        publisher.wrapper_release("9.0.1", 1, &Mischief::default(), &real()?)?;
        own_kept(system, "9.0.1")?;
        publisher.wrapper_release("9.0.2", 2, mischief, &real()?)?;
        let mut said = vec!["idle", "9.0.2 failed here and is not tried again", "\"9.0.1\""];
        said.extend(words);
        own(system, &said)?;
        system.online("client")?;
        within(LONG, "the guard to go", || Ok((!guarded(&agent)).then_some(())))?;
        retried_and_mended(system, &publisher, words)
    })
}

/// A person may have it tried again, with the same end; another archive is another version.
fn retried_and_mended(system: &System, publisher: &Publisher, words: &[&str]) -> Result<()> {
    let tried = |shown: &Value| shown["wrapper_update"]["at"].clone();
    let before = tried(&system.show_agent("client")?);
    system.cli()?.good(&["releases", "retry", "client"])?;
    within(LONGER, "another try", || {
        let shown = system.show_agent("client")?;
        let text = shown["wrapper_update"]["text"].as_str().unwrap_or_default();
        let ended = words.iter().all(|word| text.contains(word));
        Ok((ended && tried(&shown) != before && shown["status"] == "online").then_some(()))
    })?;
    publisher.wrapper_release("9.0.3", 3, &Mischief::default(), &real()?)?;
    own_kept(system, "9.0.3")
}

#[test]
fn one_that_does_not_rehearse_never_runs() -> Result<()> {
    fails(&Mischief { rehearsal: "echo out of luck >&2; exit 3", ..Mischief::default() }, &["exit code 3: out of luck"])
}

#[test]
fn one_that_crashes_at_its_start_is_taken_back_by_the_one_before() -> Result<()> {
    fails(&Mischief { start: "exit 3", ..Mischief::default() }, &["ended by itself 2 times", "exit status: 3"])
}

#[test]
fn one_that_hangs_at_its_start_is_taken_back_by_the_one_before() -> Result<()> {
    fails(&Mischief { start: "exec sleep 1000", ..Mischief::default() }, &["did not start within 30 s"])
}
