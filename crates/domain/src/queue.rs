//! Which of the runs that wait may start: higher priority first, then the older, each task up to its limit.

use std::collections::BTreeMap;

use sallyport_protocol::{RunId, TaskId, Timestamp};

/// A run that waits to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The run.
    pub run: RunId,
    /// Its task.
    pub task: TaskId,
    /// The task's limit of runs at one time.
    pub limit: u32,
    /// Higher first.
    pub priority: i32,
    /// Since when it waits.
    pub queued_at: Timestamp,
}

/// The runs to start now, in order; `running` counts the runs of each task that go on.
pub fn startable(mut queued: Vec<Queued>, mut running: BTreeMap<TaskId, u32>) -> Vec<RunId> {
    queued.sort_by_key(|run| (std::cmp::Reverse(run.priority), run.queued_at, run.run));
    let mut start = Vec::new();
    for run in queued {
        let going_on = running.entry(run.task).or_default();
        if *going_on < run.limit {
            *going_on += 1;
            start.push(run.run);
        }
    }
    start
}
