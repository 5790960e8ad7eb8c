//! A round: tasks run while faults come, then calm, then everything is looked at.

use std::thread;

use anyhow::{Result, anyhow};
use sallyport_e2e::Interrupt;

use crate::inject;
use crate::judge::{self, Wrong};
use crate::lane::{Ended, Lane, Signals};
use crate::leftover::{self, Growth};
use crate::report::Report;
use crate::schedule::Planned;
use crate::world::World;

/// Runs and judges one round; gives what is wrong.
pub(crate) fn run(
    world: &mut World,
    lanes: &mut [Lane],
    plan: &[Planned],
    growth: &mut Growth,
    interrupt: &Interrupt,
    report: &mut Report,
) -> Result<Vec<Wrong>> {
    let ended = busy(world, lanes, plan, interrupt, report)?;
    for (lane, ended) in lanes.iter().zip(&ended) {
        leftover::abandoned(world, lane.kind, ended, report)?;
    }
    // Before the targets are judged and emptied: that would remove what was left in them.
    let mut wrong: Vec<Wrong> = Vec::new();
    let left = leftover::look(world)?;
    wrong.extend(left.into_iter().map(|left| Wrong { what: format!("left behind: {left}"), run: None }));
    wrong.extend(growth.look(world)?.into_iter().map(|what| Wrong { what, run: None }));
    wrong.extend(world.panics()?.into_iter().map(|what| Wrong { what, run: None }));
    for (lane, ended) in lanes.iter_mut().zip(&ended) {
        wrong.extend(judge::lane(world, lane, ended, report)?);
    }
    Ok(wrong)
}

/// Lets the tasks run and the faults come, until the last run has ended.
fn busy(
    world: &mut World,
    lanes: &mut [Lane],
    plan: &[Planned],
    interrupt: &Interrupt,
    report: &mut Report,
) -> Result<Vec<Vec<Ended>>> {
    let signals = Signals::default();
    let api = world.server.api.clone();
    thread::scope(|scope| {
        let running: Vec<_> = lanes
            .iter_mut()
            .map(|lane| {
                let (api, signals) = (api.clone(), &signals);
                thread::Builder::new()
                    .name(lane.kind.name().to_owned())
                    .spawn_scoped(scope, move || lane.run(&api, signals))
            })
            .collect();
        let injected = inject::all(world, plan, &signals, interrupt, report);
        signals.finish();
        let calm = injected.and_then(|()| world.calm());
        let ended: Vec<Result<Vec<Ended>>> = running
            .into_iter()
            .map(|lane| lane?.join().unwrap_or_else(|_| Err(anyhow!("a lane has panicked"))))
            .collect();
        report.by_hand += u64::from(calm?);
        ended.into_iter().collect()
    })
}
