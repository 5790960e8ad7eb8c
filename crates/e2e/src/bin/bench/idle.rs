//! What everything costs while nothing is done.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use sallyport_e2e::{Folder, Profile, binary, usage_of};
use sallyport_protocol::Clock;
use serde_json::json;

use crate::Options;
use crate::ours::Ours;

/// How long the processes are left alone before they are looked at, and how long they are watched.
const SETTLE: Duration = Duration::from_secs(20);
const WATCH: Duration = Duration::from_secs(60);
/// Enough for sorts that spill.
const JOINED_ROWS: usize = 500_000;
/// How often the start is measured, how long one may take, and how exactly it is seen.
const STARTS: usize = 5;
const START_MAX: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// Sizes, memory, processor time, start.
pub(crate) fn run(options: &Options) -> Result<()> {
    println!("size of the release build");
    for name in ["sallyport", "sallyport-agent", "sallyport-wrapper"] {
        let size = std::fs::metadata(binary(Profile::Release, name)?)?.len();
        println!("  {name:<20} {:>7.1} MB", size as f64 / 1e6);
    }
    let folder = Folder::below(&options.folder)?;
    let mut ours = Ours::start(&folder)?;
    let server = ours.server.process.as_ref().context("the server does not run")?.id();
    std::thread::sleep(SETTLE);
    let pids = [
        ("server, two agents", server),
        ("agent", ours.agents[0].agent_process().context("no agent")?),
        ("wrapper", ours.agents[0].wrapper.as_ref().context("no wrapper")?.id()),
    ];
    let before: Vec<Duration> = pids.iter().map(|(_, pid)| Ok(usage_of(*pid)?.cpu)).collect::<Result<_>>()?;
    std::thread::sleep(WATCH);
    println!("\nat rest, over {} s", WATCH.as_secs());
    for ((name, pid), before) in pids.iter().zip(before) {
        let usage = usage_of(*pid)?;
        let share = (usage.cpu - before).as_secs_f64() / WATCH.as_secs_f64() * 100.0;
        println!("  {name:<20} {:>7.1} MB resident, {share:.2} % of a core", usage.resident as f64 / 1e6);
    }
    println!("\n{} s after a join of {} rows", SETTLE.as_secs(), JOINED_ROWS);
    join(&ours)?;
    std::thread::sleep(SETTLE);
    for (name, pid) in &pids {
        println!("  {name:<20} {:>7.1} MB resident", usage_of(*pid)?.resident as f64 / 1e6);
    }
    println!("\nfrom start to online, on loopback");
    starts(&mut ours)
}

/// Joins a file with itself on the first agent.
fn join(ours: &Ours) -> Result<()> {
    let mut text = "id,name,comment\n".to_owned();
    for id in 0..JOINED_ROWS {
        text.push_str(&format!("{id},name {id},a comment that is somewhat longer than the name of {id}\n"));
    }
    std::fs::write(ours.agents[0].file("rows.csv"), text)?;
    let read = |name| json!({"name": name, "connector": "file", "agent": "near", "with": {"path": "rows.csv"}});
    let steps = json!([
        read("a"),
        read("b"),
        {"name": "joined", "input": ["a", "b"], "transform": "select a.id, a.name, b.comment from a join b on a.id = b.id"},
        {"name": "file", "connector": "file", "agent": "near", "input": "joined", "with": {"path": "joined.parquet"}},
    ]);
    ours.server.api.post("/api/v1/tasks", &json!({"task": "join", "steps": steps}))?;
    ours.to_the_end("join")
}

fn starts(ours: &mut Ours) -> Result<()> {
    let clock = Clock::system();
    let mut all = Vec::new();
    for _ in 0..STARTS {
        let agent = &mut ours.agents[0];
        agent.stop()?;
        let api = ours.server.api.clone();
        let online = || -> Result<bool> { Ok(api.get("/api/v1/agents/near")?["status"] == "online") };
        sallyport_e2e::until("near to be offline", || Ok(!online()?))?;
        let began = clock.now();
        agent.start()?;
        while !online()? {
            if clock.now().since(began) > START_MAX {
                bail!("near is not online {} s after its start", START_MAX.as_secs());
            }
            std::thread::sleep(LOOK);
        }
        all.push(clock.now().since(began).as_millis());
    }
    all.sort_unstable();
    println!("  start.sh, wrapper and agent: {} ms in the middle of {STARTS} starts {all:?}", all[STARTS / 2]);
    Ok(())
}
