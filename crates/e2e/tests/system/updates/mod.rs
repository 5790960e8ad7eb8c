//! Updates of the agent: signed releases from the publisher's command to the process that runs, and everything that can
//! go wrong between. Each fault has its row in `docs/operations/updates.md`.

mod power;
mod refused;
mod taken_back;
mod wrapper;
mod wrapper_service;

use std::time::Duration;

use anyhow::{Result, ensure};
use sallyport_e2e::{Installed, Mischief, Publisher, Signal, SmallDisk, System, within};
use sallyport_protocol::Clock;
use serde_json::{Value, json};

use crate::{moving, slow, system, to_csv};

const LONG: Duration = Duration::from_secs(90);

/// A publisher with one key, quick rules, and an agent that is online.
fn stage(system: &System) -> Result<(Publisher, Installed)> {
    let publisher = Publisher::new(system, 1, 1)?;
    quickly(system)?;
    let agent = system.agent("client")?;
    Ok((publisher, agent))
}

/// New versions are kept after two seconds.
fn quickly(system: &System) -> Result<()> {
    system.cli()?.good(&["releases", "rollout", "--confirm-seconds", "2", "--drain-seconds", "60"]).map(|_| ())
}

/// Waits until the agent's update says something.
fn update(system: &System, agent: &str, words: &[&str]) -> Result<Value> {
    says(system, agent, "update", words, LONG)
}

/// Waits until the agent's `update` or `wrapper_update` says something.
pub(crate) fn says(system: &System, agent: &str, which: &str, words: &[&str], limit: Duration) -> Result<Value> {
    let mut last = Value::Null;
    let found = within(limit, &format!("the {which} of {agent} to say {words:?}"), || {
        // The server may be away for a while.
        let Ok(shown) = system.show_agent(agent) else { return Ok(None) };
        last = shown[which].clone();
        let text = format!("{} {} {}", last["step"], last["text"], last["active_version"]);
        Ok(words.iter().all(|word| text.contains(word)).then(|| shown.clone()))
    });
    found.map_err(|error| error.context(format!("{last:#}")))
}

/// Waits until a version was installed and is kept.
fn kept(system: &System, agent: &str, version: &str) -> Result<()> {
    installed(system, agent, "update", version, LONG)
}

/// The same of `update` or `wrapper_update`.
fn installed(system: &System, agent: &str, which: &str, version: &str, limit: Duration) -> Result<()> {
    says(system, agent, which, &["idle", &format!("{version} was installed"), version], limit)?;
    system.online(agent)
}

/// The folders below `versions/`.
fn versions(agent: &Installed) -> Vec<String> {
    let entries = std::fs::read_dir(agent.folder().join("versions"));
    let names = entries.into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The agent's process as the platform knows it.
fn process(system: &System, agent: &str) -> Result<u64> {
    Ok(system.show_agent(agent)?["detail"]["process_id"].as_u64().unwrap_or_default())
}

#[test]
fn a_signed_release_is_installed_and_kept_and_old_ones_are_cleaned_up() -> Result<()> {
    system(|system| {
        let (publisher, mut agent) = stage(system)?;
        let before = process(system, "client")?;
        update(system, "client", &["there is no release for this platform"])?;
        publisher.release("9.0.1", 1, &Mischief::default())?;
        kept(system, "client", "9.0.1")?;
        ensure!(process(system, "client")? != before, "it is still the old process");
        for (version, sequence) in [("9.0.2", 2), ("9.0.3", 3)] {
            publisher.release(version, sequence, &Mischief::default())?;
            kept(system, "client", version)?;
        }
        within(LONG, "the oldest version to go", || {
            let all = versions(&agent);
            let expected = all.len() == 2 && all[0].starts_with("9.0.2-") && all[1].starts_with("9.0.3-");
            Ok(expected.then_some(()))
        })?;
        // What is active stays active over a restart of everything.
        agent.stop()?;
        agent.start()?;
        update(system, "client", &["9.0.3 is active"])?;
        let shown = system.cli()?.good(&["agents", "show", "client"])?;
        ensure!(shown.contains("9.0.3"), "{shown}");
        let log = agent.wrapper_log();
        ensure!(log.contains("9.0.1 was installed; the server has seen it work"), "{log}");
        Ok(())
    })
}

/// A window that is not open now, nor in an hour.
fn window_of_another_day() -> String {
    let now = jiff::Timestamp::from_microsecond(Clock::system().now().0).unwrap_or_default();
    let day = now.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a").to_string().to_lowercase();
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let today = days.iter().position(|known| *known == day).unwrap_or_default();
    format!("{} 10:00-11:00 UTC", days[(today + 3) % 7])
}

#[test]
fn rings_windows_pins_and_the_site_hold_back_and_say_so() -> Result<()> {
    system(|system| {
        let (publisher, mut agent) = stage(system)?;
        let cli = system.cli()?;
        cli.good(&["releases", "rollout", "--percent", "0"])?;
        publisher.release("9.0.1", 1, &Mischief::default())?;
        update(system, "client", &["rolled out to 0 % of the agents"])?;
        let closed = window_of_another_day();
        cli.good(&["releases", "rollout", "--percent", "100", "--window", &closed])?;
        update(system, "client", &["maintenance window", &closed])?;
        cli.good(&["releases", "rollout", "--window", "any", "--agent", "client", "--pin", "9.0.7"]).unwrap_err();
        cli.good(&["releases", "rollout", "--agent", "client", "--pin", "9.0.7"])?;
        cli.good(&["releases", "rollout", "--window", "any"])?;
        update(system, "client", &["pinned to 9.0.7, of which there is no release"])?;

        agent.stop()?;
        agent.edit_settings(|settings| settings["Settings"]["SuppressUpdate"] = json!(true))?;
        agent.start()?;
        cli.good(&["releases", "rollout", "--agent", "client", "--pin", "none"])?;
        update(system, "client", &["SuppressUpdate is set"])?;
        agent.stop()?;
        agent.edit_settings(|settings| settings["Settings"]["SuppressUpdate"] = json!(false))?;
        agent.start()?;
        kept(system, "client", "9.0.1")
    })
}

#[test]
fn a_busy_agent_finishes_its_runs_first() -> Result<()> {
    system(|system| {
        let (publisher, _agent) = stage(system)?;
        let postgres = sallyport_e2e::Postgres::start(system.folder.path(), &[])?;
        system.connection("db", "postgres", "client", &postgres.settings(), &postgres.secrets())?;
        // Longer than the release takes to come, also on a busy machine.
        system.task(&to_csv("export", &slow(40_000, 0.5), "client", "out.csv"))?;
        let run = system.start_run("export")?;
        system.run_that(&run, "to move", moving)?;
        publisher.release("9.0.1", 1, &Mischief::default())?;
        update(system, "client", &["draining", "1 runs of the agent are waited for"])?;
        let ended = system.ended(&run)?;
        system.must_be(&ended, "succeeded")?;
        ensure!(crate::step(&ended, "write")["attempt"] == 1, "the update disturbed the run: {ended:#}");
        kept(system, "client", "9.0.1")
    })
}

#[test]
fn one_that_is_asked_for_waits_for_nothing() -> Result<()> {
    system(|system| {
        let (publisher, _agent) = stage(system)?;
        let cli = system.cli()?;
        cli.good(&["agents", "update", "client"]).unwrap_err();
        let postgres = sallyport_e2e::Postgres::start(system.folder.path(), &[])?;
        system.connection("db", "postgres", "client", &postgres.settings(), &postgres.secrets())?;
        system.task(&to_csv("export", &slow(1_000_000, 0.2), "client", "out.csv"))?;
        let run = system.start_run("export")?;
        system.run_that(&run, "to move", moving)?;
        let closed = window_of_another_day();
        cli.good(&["releases", "rollout", "--percent", "0", "--window", &closed])?;
        publisher.release("9.0.1", 1, &Mischief::default())?;
        update(system, "client", &["rolled out to 0 % of the agents"])?;
        cli.good(&["agents", "update", "client"])?;
        let ended = system.ended(&run)?;
        system.must_be(&ended, "cancelled")?;
        let reason = ended["reason"].as_str().unwrap_or_default();
        ensure!(reason.starts_with("agent `client` was updated by"), "{ended:#}");
        kept(system, "client", "9.0.1")?;
        cli.good(&["agents", "update", "client"]).unwrap_err();
        Ok(())
    })
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_stopped() -> Result<()> {
    system(|system| {
        let (publisher, agent) = stage(system)?;
        system.cli()?.good(&["releases", "rollout", "--percent", "0"])?;
        let archive = publisher.release("9.0.1", 1, &Mischief { ballast: 3_000_000, ..Mischief::default() })?;
        let folder = system.server.data().join("archives");
        let stored = std::fs::read_dir(&folder)?.next().transpose()?.map(|entry| entry.path()).unwrap_or_default();
        let whole = std::fs::read(&archive)?;
        std::fs::write(&stored, &whole[..1_000_000])?;
        system.cli()?.good(&["releases", "rollout", "--percent", "100"])?;
        update(system, "client", &["ended after 1000000 of"])?;
        std::fs::write(&stored, &whole)?;
        kept(system, "client", "9.0.1")?;
        let log = agent.wrapper_log();
        ensure!(log.contains("from=1000000"), "it began anew:\n{log}");

        // Another content of the same length is thrown away, and said.
        system.cli()?.good(&["releases", "rollout", "--percent", "0"])?;
        publisher.release("9.0.2", 2, &Mischief { ballast: 10_000, ..Mischief::default() })?;
        let stored: Vec<_> = std::fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
        let smaller = stored.iter().find(|path| path.metadata().is_ok_and(|file| file.len() < 1_000_000));
        let smaller = smaller.ok_or_else(|| anyhow::anyhow!("no second archive: {stored:?}"))?;
        let good = std::fs::read(smaller)?;
        let mut bad = good.clone();
        bad[5000] ^= 1;
        std::fs::write(smaller, bad)?;
        system.cli()?.good(&["releases", "rollout", "--percent", "100"])?;
        update(system, "client", &["is not the one that was signed", "9.0.1"])?;
        std::fs::write(smaller, good)?;
        kept(system, "client", "9.0.2")
    })
}

#[test]
fn a_full_disk_is_said_and_gone_on_from() -> Result<()> {
    system(|system| {
        let publisher = Publisher::new(system, 1, 1)?;
        quickly(system)?;
        let mut agent = system.install("client")?;
        let disk = SmallDisk::mount(&agent.folder().join("versions"), 64)?;
        disk.fill()?;
        agent.start()?;
        system.online("client")?;
        publisher.release("9.0.1", 1, &Mischief { ballast: 1_000_000, ..Mischief::default() })?;
        update(system, "client", &["bytes free", "make room on this disk"])?;
        system.online("client")?;
        disk.empty()?;
        kept(system, "client", "9.0.1")
    })
}

#[test]
fn a_server_that_is_away_during_the_confirmation_changes_nothing() -> Result<()> {
    system(|system| {
        let (publisher, agent) = stage(system)?;
        system.cli()?.good(&["releases", "rollout", "--confirm-seconds", "6"])?;
        publisher.release("9.0.1", 1, &Mischief::default())?;
        update(system, "client", &["confirming"])?;
        system.server.kill()?;
        within(LONG, "the wrapper to miss the server", || {
            let status: Value = serde_json::from_slice(&std::fs::read(agent.folder().join("state/status.json"))?)?;
            Ok((status["server"]["online"] == false && status["update"]["step"] == "confirming").then_some(()))
        })?;
        system.server.start_again()?;
        kept(system, "client", "9.0.1")?;
        ensure!(!agent.wrapper_log().contains("was taken back"), "it was taken back");
        Ok(())
    })
}

#[test]
fn an_agent_that_is_stopped_hard_in_an_update_is_as_before() -> Result<()> {
    system(|system| {
        let (publisher, mut agent) = stage(system)?;
        system.cli()?.good(&["releases", "rollout", "--confirm-seconds", "600"])?;
        publisher.release("9.0.1", 1, &Mischief::default())?;
        update(system, "client", &["confirming"])?;
        // Everything at once, as when the machine goes.
        let wrapper = agent.wrapper.as_mut().ok_or_else(|| anyhow::anyhow!("no wrapper"))?;
        wrapper.signal(Signal::KILL)?;
        wrapper.wait(LONG)?;
        system.offline("client")?;
        agent.start()?;
        system.online("client")?;
        update(system, "client", &["confirming", "9.0.1"])?;
        system.cli()?.good(&["releases", "rollout", "--confirm-seconds", "1"])?;
        Ok(())
    })
}
