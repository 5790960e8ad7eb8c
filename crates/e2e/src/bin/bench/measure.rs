//! What one run costs: time, processor time, memory.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sallyport_e2e::{Postgres, Usage, usage_of};
use sallyport_protocol::Clock;

/// How often the memory of a child is looked at; its kernel keeps the peak, so only the last look must be late.
const LOOK: Duration = Duration::from_millis(10);

/// How long one run of a program may take.
const RUN_MAX: Duration = Duration::from_secs(1800);

/// The cost of one run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// From start to end.
    pub(crate) wall: Duration,
    /// Processor time of the tool: all its processes, the database left out.
    pub(crate) cpu: Duration,
    /// Processor time of the database, all its processes.
    pub(crate) database_cpu: Duration,
    /// The most memory that one process of the tool held, in bytes.
    pub(crate) peak: u64,
}

/// Runs a program to its end, and has the disk take the `file` that it wrote, as Sallyport has it before it says that a
/// run has succeeded.
pub(crate) fn program(command: &mut Command, postgres: &Postgres, file: Option<&Path>) -> Result<Cost> {
    let clock = Clock::system();
    let database = database_cpu(postgres)?;
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
        if clock.now().since(began) > RUN_MAX {
            child.kill()?;
            child.wait()?;
            bail!("{:?} did not end within {} s", command.get_program(), RUN_MAX.as_secs());
        }
        std::thread::sleep(LOOK);
    };
    if let (true, Some(file)) = (status.success(), file) {
        File::open(file).and_then(|file| file.sync_data()).with_context(|| format!("syncing {}", file.display()))?;
    }
    let wall = clock.now().since(began);
    let said: Vec<String> = readers.into_iter().map(|reader| reader.join().unwrap_or_default()).collect();
    if !status.success() {
        bail!("{:?} ended with {status}\n{}", command.get_program(), said.concat());
    }
    let cpu = children()?.saturating_sub(before);
    Ok(Cost { wall, cpu, database_cpu: settled(postgres)?.saturating_sub(database), peak })
}

/// Runs `work`, which makes processes that live on do something.
pub(crate) fn processes(pids: &[u32], postgres: &Postgres, work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    for pid in pids {
        // From here on the kernel counts the peak anew.
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").context("resetting the peak of memory")?;
    }
    let clock = Clock::system();
    let all = || -> Result<Vec<Usage>> { pids.iter().map(|pid| usage_of(*pid)).collect() };
    let database = database_cpu(postgres)?;
    let before: Duration = all()?.iter().map(|usage| usage.cpu).sum();
    let began = clock.now();
    work()?;
    let wall = clock.now().since(began);
    let after = all()?;
    let cpu: Duration = after.iter().map(|usage| usage.cpu).sum();
    Ok(Cost {
        wall,
        cpu: cpu.saturating_sub(before),
        database_cpu: settled(postgres)?.saturating_sub(database),
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

/// Processor time of the database: its main process, those that have ended, and those that live on, such as the writers.
fn database_cpu(postgres: &Postgres) -> Result<Duration> {
    let main = postgres.process_id();
    let living = children_of(main).into_iter().filter_map(|pid| usage_of(pid).ok()).map(|usage| usage.cpu);
    Ok(living.sum::<Duration>() + usage_of(main)?.cpu)
}

/// The database's processor time once it has come to rest after a run.
fn settled(postgres: &Postgres) -> Result<Duration> {
    let mut last = database_cpu(postgres)?;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(50));
        let now = database_cpu(postgres)?;
        if now == last {
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
    own.max(children_of(pid).into_iter().map(tree_peak).max().unwrap_or(0))
}

fn children_of(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|child| child.parse().ok()).collect()
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
