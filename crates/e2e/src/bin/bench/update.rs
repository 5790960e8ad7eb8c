//! From a publication to the last agent, and how long an agent is away for it.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Installed, Mischief, Options as ServerOptions, Publisher, System, binary, within};
use sallyport_protocol::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::Options;

/// How long everything may take.
const LIMIT: Duration = Duration::from_secs(900);
const VERSION: &str = "9.0.1";
const CONFIRM_SECONDS: u32 = 5;

/// Installs agents, publishes a release and watches it arrive.
pub(crate) fn run(options: &Options) -> Result<()> {
    let server = ServerOptions { profile: options.profile, own_release: true, ..ServerOptions::default() };
    let mut measured = Ok(());
    System::with(server, |system| {
        measured = measure(system, options);
        Ok(())
    })?;
    measured
}

fn measure(system: &System, options: &Options) -> Result<()> {
    let clock = Clock::system();
    let publisher = Publisher::new(system, 1, 1)?;
    let confirm = CONFIRM_SECONDS.to_string();
    system.cli()?.good(&["releases", "rollout", "--confirm-seconds", &confirm])?;
    // Small downloads: what runs is the real agent all the same.
    let program = system.server.release().join("sallyport-agent");
    let real = binary(options.profile, "sallyport-agent")?;
    std::fs::write(&program, format!("#!/bin/sh\nexec {} \"$@\"\n", real.display()))?;
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755))?;
    println!("installing and starting {} agents", options.agents);
    let mut agents: Vec<Installed> = Vec::new();
    for number in 0..options.agents {
        let mut agent = system.install(&format!("agent-{number}"))?;
        agent.start()?;
        agents.push(agent);
    }
    within(LIMIT, "all agents to be online", || {
        let counts = system.api().get("/api/v1/agents-status")?;
        Ok((counts["online"].as_u64() >= Some(options.agents as u64)).then_some(()))
    })?;

    let began = clock.now();
    publisher.release(VERSION, 1, &Mischief::default())?;
    let published = clock.now().since(began);
    let mut first = None;
    within(LIMIT, "all agents to be updated", || {
        let done = updated(system)?;
        if done > 0 {
            first.get_or_insert_with(|| clock.now().since(began));
        }
        Ok((done == options.agents).then_some(()))
    })?;
    let last = clock.now().since(began);
    let away = agents.iter().map(|agent| away(system, &agent.name)).collect::<Result<Vec<_>>>()?;
    report(published, first.unwrap_or_default(), last, away)
}

/// How many agents run the release, are online and have been confirmed.
fn updated(system: &System) -> Result<usize> {
    let mut done = 0;
    let mut cursor = String::new();
    loop {
        let page = system.api().get(&format!("/api/v1/agents?limit=200{cursor}"))?;
        let items = page["items"].as_array().context("no agents")?;
        let is_done = |agent: &&Value| {
            let update = &agent["update"];
            update["active_version"] == VERSION && update["step"] == "idle" && agent["status"] == "online"
        };
        done += items.iter().filter(is_done).count();
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(done),
        }
    }
}

/// How long the server had no session of the agent: from its last "offline" to the "online" behind it.
fn away(system: &System, agent: &str) -> Result<Duration> {
    let page = system.api().get(&format!("/api/v1/agents/{agent}/log?limit=200"))?;
    let mut lines: Vec<(Timestamp, String)> = Vec::new();
    for line in page["items"].as_array().into_iter().flatten() {
        let at: jiff::Timestamp = line["at"].as_str().context("a line without a time")?.parse()?;
        lines.push((Timestamp(at.as_microsecond()), line["message"].as_str().unwrap_or_default().to_owned()));
    }
    lines.sort();
    let left = lines.iter().rev().find(|(_, text)| text.starts_with("offline: "));
    let (left, _) = left.with_context(|| format!("{agent} was never offline: {}", json!(page["items"])))?;
    let back = lines.iter().find(|(at, text)| at >= left && text.starts_with("online from "));
    let (back, _) = back.with_context(|| format!("{agent} never came back"))?;
    Ok(back.since(*left))
}

fn report(published: Duration, first: Duration, last: Duration, mut away: Vec<Duration>) -> Result<()> {
    away.sort();
    ensure!(!away.is_empty(), "no agents");
    let at = |share: usize| away[(away.len() - 1) * share / 100].as_secs_f64();
    println!("published after        {:>7.2} s", published.as_secs_f64());
    println!("first agent confirmed  {:>7.2} s (seen to work for {CONFIRM_SECONDS} s)", first.as_secs_f64());
    println!("last agent confirmed   {:>7.2} s", last.as_secs_f64());
    println!("an agent is away       {:>7.2} s (median), {:.2} s (p99), {:.2} s (longest)", at(50), at(99), at(100));
    Ok(())
}
