//! How soon a run that is asked for starts on its agent, and how many runs go through in a second.
//!
//! A run has one step that has nothing to do: it reads a file without rows. Simulated agents leave even that out: over
//! real sockets they take an order and report its end.

mod asking;
mod crowd;
mod figures;
mod peers;

use anyhow::{Context, Result};
use sallyport_e2e::{Folder, Installed, Options as ServerOptions, Server};
use serde_json::json;

use crate::Options;
use asking::{Asking, LogTimes, StartTimes};
use crowd::Crowd;
use figures::Figures;

/// Runs that are asked for one after the other, for the times.
pub(crate) const PACED: usize = 300;

/// Runs that are asked for as fast as they are taken, for the rate, by simulated agents and by real ones.
pub(crate) const FLAT_OUT: usize = 10_000;
const FLAT_OUT_REAL: usize = 3_000;

/// Clients that ask at one time.
pub(crate) const CLIENTS: usize = 32;

/// A stored change of a run or of its step: both begin and both end.
const TRANSITIONS_A_RUN: f64 = 4.0;

/// Measures, prints, compares.
pub(crate) fn run(options: &Options) -> Result<()> {
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|word| name.contains(word.as_str()));
    let folder = Folder::below(&options.folder)?;
    let mut all: Vec<(String, Figures)> = Vec::new();
    let mut say = |name: String, figures: Figures| {
        println!("  {name}: {figures}");
        all.push((name, figures));
    };
    println!("{PACED} runs one after the other for the times; {FLAT_OUT} by {CLIENTS} clients for the rate");
    if wanted("sallyport") {
        let real = folder.join("real")?;
        std::fs::create_dir_all(&real)?;
        for (agents, figures) in of_processes(&real, options)? {
            say(format!("sallyport, {agents} agents"), figures);
        }
        for agents in [1, 16, 256] {
            let place = folder.join(format!("simulated-{agents}"))?;
            std::fs::create_dir_all(&place)?;
            say(format!("sallyport, {agents} simulated agents"), of_a_crowd(&place, agents, options)?);
        }
    }
    for (name, measure) in peers::ALL {
        if wanted(name) {
            match measure(&folder) {
                Ok(figures) => say((*name).to_owned(), figures),
                Err(error) => println!("  {name}: left out: {error:#}"),
            }
        }
    }
    report(&all);
    Ok(())
}

/// Real processes: wrappers and agents from their downloads.
fn of_processes(folder: &std::path::Path, options: &Options) -> Result<Vec<(usize, Figures)>> {
    let server_options = ServerOptions { profile: options.profile, ..ServerOptions::default() };
    let server = Server::start(folder, &server_options)?;
    let names: Vec<String> = (0..16).map(|number| format!("agent-{number}")).collect();
    let mut measured = Vec::new();
    let mut agents: Vec<Installed> = Vec::new();
    for count in [1, 16] {
        for name in &names[agents.len()..count] {
            agents.push(install(&server, name, folder)?);
        }
        let names = &names[..count];
        let asking = Asking::new(&server, names)?;
        for name in names {
            let path = format!("/api/v1/agents/{name}");
            sallyport_e2e::until(&format!("{name} to be online"), || Ok(server.api.get(&path)?["status"] == "online"))?;
        }
        let times = LogTimes { api: server.api.clone(), agents: names.to_vec() };
        measured.push((count, measure(&asking, &times, FLAT_OUT_REAL)?));
    }
    for agent in &mut agents {
        agent.stop()?;
    }
    Ok(measured)
}

fn install(server: &Server, name: &str, folder: &std::path::Path) -> Result<Installed> {
    server.api.post("/api/v1/agents", &json!({"name": name}))?;
    let zip = server.api.download(&format!("/api/v1/agents/{name}/download?policy=permissive"))?;
    let mut agent = Installed::unzip(name, &zip, &folder.join(name))?;
    let file = agent.file(asking::FILE);
    std::fs::create_dir_all(file.parent().context("the file has no folder")?)?;
    std::fs::write(file, "id\n")?;
    agent.start()?;
    Ok(agent)
}

/// Simulated agents: sockets, TLS and messages are real.
fn of_a_crowd(folder: &std::path::Path, agents: usize, options: &Options) -> Result<Figures> {
    let server_options = ServerOptions { profile: options.profile, own_release: true, ..ServerOptions::default() };
    let server = Server::start(folder, &server_options)?;
    for program in ["sallyport-agent", "sallyport-wrapper"] {
        // Nobody starts them; small ones make small downloads.
        std::fs::write(server.release().join(program), "#!/bin/sh\n")?;
    }
    let names: Vec<String> = (0..agents).map(|number| format!("agent-{number}")).collect();
    let crowd = Crowd::gather(&server, &names)?;
    let asking = Asking::new(&server, &names)?;
    measure(&asking, &crowd, FLAT_OUT)
}

fn measure(asking: &Asking, times: &impl StartTimes, runs: usize) -> Result<Figures> {
    // What is done for the first time takes longer.
    asking.paced(CLIENTS)?;
    let asked = asking.paced(PACED)?;
    let waits = times.waits(&asked)?;
    let took = asking.flat_out(runs)?;
    Ok(Figures::new(waits, runs, took))
}

fn report(all: &[(String, Figures)]) {
    println!("\n{:<34} {:>9} {:>9} {:>10} {:>14}", "", "p50 ms", "p99 ms", "runs/s", "transitions/s");
    for (name, figures) in all {
        let ours = name.starts_with("sallyport");
        let transitions = if ours { format!("{:.0}", figures.rate * TRANSITIONS_A_RUN) } else { String::new() };
        println!(
            "{name:<34} {:>9.2} {:>9.2} {:>10.1} {transitions:>14}",
            figures.p50.as_secs_f64() * 1e3,
            figures.p99.as_secs_f64() * 1e3,
            figures.rate
        );
    }
    let Some((name, ours)) =
        all.iter().filter(|(name, _)| name.starts_with("sallyport")).max_by(|(_, a), (_, b)| a.rate.total_cmp(&b.rate))
    else {
        return;
    };
    for (peer, theirs) in all.iter().filter(|(name, _)| !name.starts_with("sallyport")) {
        println!(
            "{name} against {peer}: {:.2} times the rate, {:.2} times as soon",
            ours.rate / theirs.rate,
            theirs.p50.as_secs_f64() / ours.p50.as_secs_f64()
        );
    }
    println!(
        "times are from the request to the step's start on its agent; a run of ours is answered when the disk has it"
    );
}
