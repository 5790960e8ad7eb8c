//! Does what the plan of a round says, at its times.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sallyport_e2e::{Flow, Interrupt, Postgres, Process, Signal, signal_to, within};
use sallyport_protocol::Clock;
use serde_json::json;

use crate::lane::Signals;
use crate::report::Report;
use crate::schedule::{Fault, Planned, Site};
use crate::world::World;

/// A session that is not this program's own.
const OTHERS: &str = "from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
/// The longest pause between two looks at Ctrl-C.
const LOOK: Duration = Duration::from_millis(100);

/// A fault that goes on: what must be told to go on when it is over.
type Stopped = BTreeMap<usize, Vec<u32>>;

/// Injects every fault of a plan and ends it again. Afterwards nothing is broken on purpose any more.
pub(crate) fn all(
    world: &mut World,
    plan: &[Planned],
    signals: &Signals,
    interrupt: &Interrupt,
    report: &mut Report,
) -> Result<()> {
    // (when, whether it begins, which), the latest first.
    let mut acts: Vec<(Duration, bool, usize)> = Vec::new();
    for (index, planned) in plan.iter().enumerate() {
        acts.push((planned.at, true, index));
        acts.extend(planned.lasts.map(|_| (planned.over(), false, index)));
    }
    acts.sort_by_key(|(when, begins, index)| Reverse((*when, !begins, *index)));
    let clock = Clock::system();
    let began = clock.now();
    let mut stopped = Stopped::new();
    let mut open: Vec<usize> = Vec::new();
    while let Some((when, begins, index)) = acts.pop() {
        while clock.now().since(began) < when && !interrupt.came() {
            std::thread::sleep(LOOK.min(when.saturating_sub(clock.now().since(began))));
        }
        if interrupt.came() && begins {
            continue;
        }
        let planned = &plan[index];
        if begins {
            let done = begin(world, planned, signals, stopped.entry(index).or_default());
            report.fault(planned.fault, &done);
            if done? {
                open.push(index);
            }
        } else if open.contains(&index) {
            let pids = stopped.remove(&index).unwrap_or_default();
            end(world, planned.fault, &pids).with_context(|| format!("ending {}", planned.fault))?;
        }
    }
    Ok(())
}

/// Whether there was something to break.
fn begin(world: &mut World, planned: &Planned, signals: &Signals, stopped: &mut Vec<u32>) -> Result<bool> {
    match planned.fault {
        Fault::KillServer => world.server.kill()?,
        Fault::RestartServer => {
            let mut server = world.server.process.take().context("the server does not run")?;
            let status = server.stop()?;
            ensure!(status.success(), "the server was asked to end and ended with {status}");
        }
        Fault::PauseServer => stop(world.server.process.as_ref(), stopped)?,
        Fault::KillAgent(site) => return Ok(world.machine(site).agent.signal_agent(Signal::KILL).is_ok()),
        Fault::PauseAgent(site) => match world.machine(site).agent.signal_agent(Signal::STOP) {
            Ok(pid) => stopped.push(pid),
            // Its wrapper waits before it starts it again.
            Err(_) => return Ok(false),
        },
        Fault::KillWrapper(site) => kill_wrapper(world, site)?,
        Fault::PauseWrapper(site) => stop(world.machine(site).agent.wrapper.as_ref(), stopped)?,
        Fault::EndSessions => {
            let ended = world.postgres.sql(&format!("select count(pg_terminate_backend(pid)) {OTHERS}"));
            return Ok(ended.is_ok_and(|ended| ended != "0"));
        }
        Fault::KillBackend => return kill_backend(&world.postgres, planned.which),
        Fault::KillDatabase => world.postgres.kill()?,
        Fault::PauseDatabase => {
            for pid in world.postgres.processes() {
                // A session may end before its process is stopped.
                if signal_to(pid, Signal::STOP).is_ok() {
                    stopped.push(pid);
                }
            }
        }
        Fault::StallLine(site) => world.machine(site).line.set(Flow::Stalled),
        Fault::RefuseLine(site) => world.machine(site).line.set(Flow::Refused),
        Fault::ResetLine(site) => world.machine(site).line.reset(),
        Fault::FillDisk => match &world.disk {
            Some(disk) => disk.fill()?,
            None => return Ok(false),
        },
        Fault::CancelRun => return Ok(cancel(world, signals, planned.which)),
    }
    Ok(true)
}

fn end(world: &mut World, fault: Fault, stopped: &[u32]) -> Result<()> {
    for pid in stopped {
        // It may have been ended by what depends on it.
        let _ = signal_to(*pid, Signal::CONT);
    }
    match fault {
        Fault::KillServer | Fault::RestartServer => world.server.start_again(),
        Fault::KillWrapper(site) => {
            let agent = &mut world.machine(site).agent;
            within(Duration::from_secs(15), "the agent to end with its killed wrapper", || {
                Ok(agent.agent_process().is_none().then_some(()))
            })?;
            agent.start()
        }
        Fault::KillDatabase => world.postgres.start_again(),
        Fault::StallLine(site) | Fault::RefuseLine(site) => {
            world.machine(site).line.set(Flow::Open);
            Ok(())
        }
        Fault::FillDisk => world.disk.as_ref().map_or(Ok(()), sallyport_e2e::SmallDisk::empty),
        _ => Ok(()),
    }
}

fn stop(process: Option<&Process>, stopped: &mut Vec<u32>) -> Result<()> {
    let process = process.context("a process does not run that should")?;
    process.signal(Signal::STOP)?;
    stopped.push(process.id());
    Ok(())
}

fn kill_wrapper(world: &mut World, site: Site) -> Result<()> {
    let Some(mut wrapper) = world.machine(site).agent.wrapper.take() else {
        bail!("the wrapper of {} does not run", site.name());
    };
    wrapper.kill()
}

fn kill_backend(postgres: &Postgres, which: u64) -> Result<bool> {
    let Ok(pids) = postgres.sql(&format!("select pid {OTHERS} order by pid")) else { return Ok(false) };
    let pids: Vec<u32> = pids.lines().filter_map(|pid| pid.parse().ok()).collect();
    if pids.is_empty() {
        return Ok(false);
    }
    let place = usize::try_from(which % pids.len() as u64)?;
    Ok(signal_to(pids[place], Signal::KILL).is_ok())
}

fn cancel(world: &World, signals: &Signals, which: u64) -> bool {
    let going = signals.going();
    let Some(place) = which.checked_rem(going.len() as u64) else { return false };
    let path = format!("/api/v1/runs/{}/cancel", going[place as usize]);
    // The run may have ended, or the server may be down: then nobody cancels anything.
    world.server.api.post(&path, &json!({"reason": "the fault harness cancels it"})).is_ok()
}
