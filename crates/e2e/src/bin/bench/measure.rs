//! What one run costs: time, processor time, memory.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sallyport_e2e::{Postgres, Usage, usage_of};
use sallyport_protocol::Clock;

/// How often the memory of a child is looked at; its kernel keeps the peak, so only the last look must be late.
const LOOK: Duration = Duration::from_millis(10);

/// The cost of one run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// From start to end.
    pub(crate) wall: Duration,
    /// Processor time of the tool: all its processes, the database left out.
    pub(crate) cpu: Duration,
    /// Processor time of the database.
    pub(crate) database_cpu: Duration,
    /// The most memory that one process of the tool held, in bytes.
    pub(crate) peak: u64,
}

/// Runs a program to its end.
pub(crate) fn program(command: &mut Command, postgres: &Postgres) -> Result<Cost> {
    let clock = Clock::system();
    let database = usage_of(postgres.process_id())?;
    let before = children()?;
    let began = clock.now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let readers = [reader(child.stdout.take()), reader(child.stderr.take())];
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak = peak.max(tree_peak(child.id()));
        std::thread::sleep(LOOK);
    };
    let wall = clock.now().since(began);
    let said: Vec<String> = readers.into_iter().map(|reader| reader.join().unwrap_or_default()).collect();
    if !status.success() {
        bail!("{:?} ended with {status}\n{}", command.get_program(), said.concat());
    }
    let cpu = children()?.saturating_sub(before);
    Ok(Cost { wall, cpu, database_cpu: settled(postgres)?.saturating_sub(database.cpu), peak })
}

/// Runs `work`, which makes processes that live on do something.
pub(crate) fn processes(pids: &[u32], postgres: &Postgres, work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    for pid in pids {
        // From here on the kernel counts the peak anew.
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").context("resetting the peak of memory")?;
    }
    let clock = Clock::system();
    let all = || -> Result<Vec<Usage>> { pids.iter().map(|pid| usage_of(*pid)).collect() };
    let database = usage_of(postgres.process_id())?;
    let before: Duration = all()?.iter().map(|usage| usage.cpu).sum();
    let began = clock.now();
    work()?;
    let wall = clock.now().since(began);
    let after = all()?;
    let cpu: Duration = after.iter().map(|usage| usage.cpu).sum();
    Ok(Cost {
        wall,
        cpu: cpu.saturating_sub(before),
        database_cpu: settled(postgres)?.saturating_sub(database.cpu),
        peak: after.iter().map(|usage| usage.peak).max().unwrap_or(0),
    })
}

/// The middle of the costs by their time, each figure by itself.
pub(crate) fn median(costs: &[Cost]) -> Cost {
    fn middle<T: Ord + Copy>(mut values: Vec<T>) -> Option<T> {
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    }
    Cost {
        wall: middle(costs.iter().map(|cost| cost.wall).collect()).unwrap_or_default(),
        cpu: middle(costs.iter().map(|cost| cost.cpu).collect()).unwrap_or_default(),
        database_cpu: middle(costs.iter().map(|cost| cost.database_cpu).collect()).unwrap_or_default(),
        peak: costs.iter().map(|cost| cost.peak).max().unwrap_or(0),
    }
}

/// The database's processor time once its sessions have ended: a session counts when it is over.
fn settled(postgres: &Postgres) -> Result<Duration> {
    let mut last = usage_of(postgres.process_id())?.cpu;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(50));
        let now = usage_of(postgres.process_id())?.cpu;
        if now == last && now > Duration::ZERO {
            return Ok(now);
        }
        last = now;
    }
    Ok(last)
}

/// Processor time of all children of this process that have ended.
fn children() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields.get(13..15).into_iter().flatten().filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// The peak of a process and its children.
fn tree_peak(pid: u32) -> u64 {
    let own = usage_of(pid).map(|usage| usage.peak).unwrap_or(0);
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let below = children.split_whitespace().filter_map(|child| child.parse().ok()).map(tree_peak).max();
    own.max(below.unwrap_or(0))
}

fn reader(stream: Option<impl std::io::Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut stream) = stream {
            // What cannot be read is no reason to fail: it is only shown.
            let _ = stream.read_to_string(&mut text);
        }
        text
    })
}
