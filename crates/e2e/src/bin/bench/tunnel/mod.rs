//! Bytes and connections through a tunnel, beside OpenSSH, rathole and nothing at all, alternating on one machine.

mod load;
mod ways;

use std::time::Duration;

use anyhow::Result;
use sallyport_e2e::{Folder, usage_of};

use crate::Options;
use load::{Far, Way, connects};
use ways::{Kept, Road};

/// How long bytes flow for one figure.
const LASTS: Duration = Duration::from_secs(5);

/// What is left of the last streams in the sockets costs nothing of the next ones.
const BETWEEN: Duration = Duration::from_secs(1);

/// Connections for one figure.
const CONNECTS: usize = 500;

/// What is measured: streams at one time, and which way.
const CELLS: [(usize, Way); 4] = [(1, Way::Up), (1, Way::Down), (16, Way::Up), (16, Way::Down)];

/// One round on one road.
#[derive(Clone, Debug, Default)]
struct Figures {
    /// MB/s, by cell.
    rates: Vec<f64>,
    /// CPU-seconds a GB of the tunnel's own processes, by cell.
    cpu: Vec<f64>,
    connect_p50_ms: f64,
    connect_p99_ms: f64,
    /// A word on the control connection, at rest and beside 16 streams.
    word_idle_ms: Option<f64>,
    word_busy_ms: Option<f64>,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = Folder::below(&options.folder)?;
    let far = Far::start()?;
    let mut roads = Vec::new();
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|word| name.contains(word.as_str()));
    if wanted("none") {
        roads.push(ways::none(far.port));
    }
    for (name, peer) in [("ssh", ways::ssh as fn(_, _) -> _), ("rathole", ways::rathole)] {
        if !wanted(name) {
            continue;
        }
        match peer(&folder, far.port) {
            Ok(road) => roads.push(road),
            Err(error) => println!("{name} is left out: {error:#}"),
        }
    }
    if wanted("sallyport") {
        roads.push(ways::ours(&folder, options, far.port)?);
    }
    if wanted("entry") {
        roads.push(ways::entry(&folder, options, far.port)?);
    }
    let rest: Vec<String> = roads.iter().map(memory).collect::<Result<_>>()?;
    let mut rounds: Vec<Vec<Figures>> = roads.iter().map(|_| Vec::new()).collect();
    for round in 1..=options.rounds {
        for (road, figures) in roads.iter().zip(&mut rounds) {
            println!("round {round}: {}", road.name);
            figures.push(measure(&far, road)?);
        }
    }
    println!("\nmedians of {} rounds; MB/s and CPU-seconds a GB of the tunnel's own processes", options.rounds);
    println!("{:<24} {:>16} {:>16} {:>16} {:>16}   connect and echo ms", "", "1 up", "1 down", "16 up", "16 down");
    for (road, figures) in roads.iter().zip(&rounds) {
        let cell = |at: usize| {
            let (rate, cpu) = (median(figures, |one| one.rates[at]), median(figures, |one| one.cpu[at]));
            format!("{rate:>8.0} ({cpu:>4.2})")
        };
        let (p50, p99) = (median(figures, |one| one.connect_p50_ms), median(figures, |one| one.connect_p99_ms));
        let cells: Vec<String> = (0..CELLS.len()).map(|at| format!("{:>16}", cell(at))).collect();
        println!("{:<24} {}   p50 {p50:.2} p99 {p99:.2}", road.name, cells.join(" "));
    }
    against_the_best(&roads, &rounds);
    for ((road, figures), rest) in roads.iter().zip(&rounds).zip(&rest) {
        if !road.processes.is_empty() {
            println!(
                "\n{}: memory at rest {rest}\n{:>width$}: after all {}",
                road.name,
                "",
                memory(road)?,
                width = road.name.len()
            );
        }
        if figures.iter().all(|one| one.word_idle_ms.is_some()) {
            let idle = median(figures, |one| one.word_idle_ms.unwrap_or_default());
            let busy = median(figures, |one| one.word_busy_ms.unwrap_or_default());
            println!(
                "a word to the agent and back on its control connection: {idle:.2} ms at rest, {busy:.2} ms beside 16 streams"
            );
        }
    }
    Ok(())
}

/// In each cell, ours against the peer that is the best there: of the rate more is better, of the rest less.
fn against_the_best(roads: &[Road], rounds: &[Vec<Figures>]) {
    let is_peer = |road: &Road| matches!(road.kept, Kept::Ssh { .. } | Kept::Rathole { .. });
    let peers = || roads.iter().zip(rounds).filter(|(road, _)| is_peer(road)).map(|(_, figures)| figures);
    let ours = || roads.iter().zip(rounds).filter(|(road, _)| matches!(road.kept, Kept::Ours { .. }));
    if peers().next().is_none() {
        return;
    }
    for (road, figures) in ours() {
        beside(road.name, figures, &peers().collect::<Vec<_>>());
    }
}

fn beside(name: &str, ours: &[Figures], peers: &[&Vec<Figures>]) {
    let ratio = |of: &dyn Fn(&Figures) -> f64, best: fn(f64, f64) -> f64| {
        let theirs = peers.iter().map(|figures| median(figures, of)).reduce(best).unwrap_or_default();
        median(ours, of) / theirs
    };
    let cells: Vec<String> = (0..CELLS.len())
        .map(|at| {
            let (rate, cpu) = (ratio(&|one| one.rates[at], f64::max), ratio(&|one| one.cpu[at], f64::min));
            format!("{:>16}", format!("{rate:>7.2}x ({cpu:>4.2})"))
        })
        .collect();
    let (p50, p99) = (ratio(&|one| one.connect_p50_ms, f64::min), ratio(&|one| one.connect_p99_ms, f64::min));
    println!("{:<24} {}   p50 {p50:.2} p99 {p99:.2}", format!("{name} : best"), cells.join(" "));
}

fn measure(far: &Far, road: &Road) -> Result<Figures> {
    let mut figures = Figures { word_idle_ms: road.control(LASTS / 2)?.map(millis), ..Figures::default() };
    // Before the bulk: what is left of that in the sockets keeps the processor busy for a while.
    let times = connects(road.port, CONNECTS)?;
    figures.connect_p50_ms = millis(times[times.len() / 2]);
    figures.connect_p99_ms = millis(times[times.len() * 99 / 100]);
    for (streams, way) in CELLS {
        std::thread::sleep(BETWEEN);
        let before = cpu(road)?;
        let (rate, bytes, word) = far.rate(road.port, way, streams, LASTS, |lasts| road.control(lasts))?;
        // The warm-up and the end are in the processor's time and not in the bytes: a little too much is counted.
        let spent = cpu(road)?.saturating_sub(before).as_secs_f64();
        figures.rates.push(rate / 1e6);
        figures.cpu.push(spent / (bytes as f64 / 1e9));
        if streams > 1 {
            figures.word_busy_ms = word.map(millis);
        }
    }
    Ok(figures)
}

fn cpu(road: &Road) -> Result<Duration> {
    road.processes.iter().map(|(_, pid)| Ok(usage_of(*pid)?.cpu)).sum()
}

fn memory(road: &Road) -> Result<String> {
    let mut texts = Vec::new();
    for (name, pid) in &road.processes {
        let usage = usage_of(*pid)?;
        texts.push(format!("{name} {:.1} MB (peak {:.1})", usage.resident as f64 / 1e6, usage.peak as f64 / 1e6));
    }
    Ok(texts.join(", "))
}

fn median(figures: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    let mut values: Vec<f64> = figures.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
