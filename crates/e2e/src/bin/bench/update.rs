//! From a publication to the last agent, and how long an agent is away for it: of the agent, then of the wrapper.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Context, Result};
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

    let agent = wave(system, &agents, "update", || publisher.release(VERSION, 1, &Mischief::default()).map(|_| ()))?;
    let real = binary(options.profile, "sallyport-wrapper")?;
    let wrapper =
        wave(system, &agents, "wrapper_update", || publisher.wrapper_release(VERSION, 1, &Mischief::default(), &real))?;
    report(&[("agent", agent), ("wrapper", wrapper)]);
    Ok(())
}

/// What one release took.
struct Wave {
    /// From the request for the publication.
    published: Duration,
    first: Duration,
    last: Duration,
    /// How long each agent was away, the shortest first.
    away: Vec<Duration>,
}

impl Wave {
    fn away(&self, share: usize) -> Duration {
        self.away.get((self.away.len().saturating_sub(1)) * share / 100).copied().unwrap_or_default()
    }
}

/// Publishes a release and watches until everybody has it.
fn wave(system: &System, agents: &[Installed], which: &str, publish: impl FnOnce() -> Result<()>) -> Result<Wave> {
    let clock = Clock::system();
    let began = clock.now();
    publish()?;
    let published = clock.now().since(began);
    let mut first = None;
    within(LIMIT, "everybody to be updated", || {
        let done = updated(system, which)?;
        if done > 0 {
            first.get_or_insert_with(|| clock.now().since(began));
        }
        Ok((done == agents.len()).then_some(()))
    })?;
    let last = clock.now().since(began);
    let mut away = agents.iter().map(|agent| away(system, &agent.name)).collect::<Result<Vec<_>>>()?;
    away.sort();
    Ok(Wave { published, first: first.unwrap_or_default(), last, away })
}

/// How many agents have the release, are online and have been confirmed.
fn updated(system: &System, which: &str) -> Result<usize> {
    let mut done = 0;
    let mut cursor = String::new();
    loop {
        let page = system.api().get(&format!("/api/v1/agents?limit=200{cursor}"))?;
        let items = page["items"].as_array().context("no agents")?;
        let is_done = |agent: &&Value| {
            let update = &agent[which];
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

fn report(waves: &[(&str, Wave)]) {
    println!(
        "| release of | published | first confirmed | last confirmed | an agent is away, median | p99 | longest |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (what, wave) in waves {
        let all = [wave.published, wave.first, wave.last, wave.away(50), wave.away(99), wave.away(100)];
        let cells: Vec<String> = all.iter().map(|time| format!("{:.2} s", time.as_secs_f64())).collect();
        println!("| the {what} | {} |", cells.join(" | "));
    }
    println!("Times from the request for the publication; confirmed is seen to work for {CONFIRM_SECONDS} s.");
}
