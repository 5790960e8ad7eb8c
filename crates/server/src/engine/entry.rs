//! An unfinished run in memory, and how its change is written.

use sallyport_domain::run::{Effect, Returned, Run, RunState, StepRun, StepState};
use sallyport_protocol::{AttemptKey, EnvironmentId, TaskId, TaskVersionId, Timestamp};
use sallyport_store::{CheckpointCommit, NewRun, RunCommit, RunLogLine, RunStand};

use super::start::Unstored;

/// An unfinished run.
pub(super) struct Entry {
    pub(super) run: Run,
    pub(super) environment: EnvironmentId,
    pub(super) task: TaskId,
    pub(super) task_version: TaskVersionId,
    /// The task's limit of runs at one time.
    pub(super) limit: u32,
    pub(super) priority: i32,
    /// Who asked for it.
    pub(super) who: String,
    /// Of its row.
    pub(super) version: i64,
    /// Until its row is there.
    pub(super) unstored: Option<Unstored>,
    /// What the row says: kept while a change is not committed, to find what changed and to go back to.
    pub(super) before: Option<Box<Run>>,
    /// What to do after the commit.
    pub(super) effects: Vec<Effect>,
    /// Figures have changed that are not in the store yet.
    pub(super) progressed: bool,
    /// Ends of runs that its steps have started, which it has not heard yet.
    pub(super) returned: Vec<(AttemptKey, Returned)>,
    /// Those that it has heard, until that is stored.
    pub(super) heard: Vec<(AttemptKey, Returned)>,
    /// Whether a run that its steps have started may be unknown to it.
    pub(super) unsure: bool,
}

impl Entry {
    /// Whether it waits for places: to start, or to go on.
    pub(super) fn waits(&self) -> bool {
        self.run.state == RunState::Scheduled || !self.returned.is_empty()
    }

    /// The value to change; remembers what is stored.
    pub(super) fn change(&mut self) -> &mut Run {
        if self.before.is_none() {
            self.before = Some(Box::new(self.run.clone()));
        }
        &mut self.run
    }

    /// The change since the last commit, log lines included.
    pub(super) fn commit(&self, now: Timestamp) -> Result<RunCommit, serde_json::Error> {
        let run = &self.run;
        Ok(RunCommit {
            id: run.id,
            expected: self.version,
            state: run.state.word().to_owned(),
            failure_kind: run.failure.as_ref().map(|failure| failure.kind.word().to_owned()),
            reason: run.reason.clone(),
            started_at: run.started_at,
            finished_at: run.ended_at,
            machine: serde_json::to_string(run)?,
            steps: changed_steps(self.before.as_deref(), run),
            log: self.effects.iter().filter_map(|effect| line(effect, now)).collect(),
            checkpoints: checkpoints(self.before.as_deref(), run, now),
        })
    }

    /// The row of a new run, as it stands now.
    pub(super) fn first(&self, new: NewRun, now: Timestamp) -> Result<NewRun, serde_json::Error> {
        let run = &self.run;
        Ok(NewRun {
            state: run.state.word().to_owned(),
            machine: serde_json::to_string(run)?,
            steps: rows(run),
            stand: RunStand {
                failure_kind: run.failure.as_ref().map(|failure| failure.kind.word().to_owned()),
                reason: run.reason.clone(),
                started_at: run.started_at,
                finished_at: run.ended_at,
                log: self.effects.iter().filter_map(|effect| line(effect, now)).collect(),
            },
            ..new
        })
    }

    /// The change is stored; answers what to do now.
    pub(super) fn committed(&mut self, version: i64) -> Vec<Effect> {
        self.version = version;
        self.before = None;
        self.heard.clear();
        std::mem::take(&mut self.effects)
    }

    /// The change was not stored: as if it had not been.
    pub(super) fn undo(&mut self) {
        if let Some(before) = self.before.take() {
            self.run = *before;
        }
        self.effects.clear();
        self.returned.append(&mut self.heard);
        self.unsure = true;
    }
}

/// Every step of a run as rows.
fn rows(run: &Run) -> Vec<sallyport_store::StepRun> {
    run.steps.iter().enumerate().map(|(index, step)| row(run, index, step)).collect()
}

/// The steps that changed. When a step begins its next attempt, the row of the one before says how that one ended.
fn changed_steps(before: Option<&Run>, run: &Run) -> Vec<sallyport_store::StepRun> {
    let mut rows = Vec::new();
    for (index, step) in run.steps.iter().enumerate() {
        let old = before.and_then(|before| before.steps.get(index));
        if !run.state.has_ended()
            && old == Some(step)
            && before.is_some_and(|before| before.plan.steps.len() == run.plan.steps.len())
        {
            continue;
        }
        if let Some(old) = old.filter(|old| old.attempt > 0 && old.attempt < step.attempt) {
            let state = if old.failure.is_some() { StepState::Failed } else { StepState::Cancelled };
            rows.push(row(run, index, &StepRun { state, ..old.clone() }));
        }
        rows.push(row(run, index, step));
    }
    rows
}

/// What sinks have committed since.
fn checkpoints(before: Option<&Run>, run: &Run, now: Timestamp) -> Vec<CheckpointCommit> {
    let mut commits = Vec::new();
    for stream in run.plan.streams() {
        let step = &run.steps[stream.sink];
        let known = before.and_then(|before| before.steps.get(stream.sink)?.committed.as_ref());
        if let Some(committed) = step.committed.as_ref().filter(|committed| known != Some(*committed)) {
            let name = |step: usize| run.plan.steps[step].name.clone();
            let (source, sink) = (name(stream.source), name(stream.sink));
            commits.push(CheckpointCommit { source, sink, committed: committed.clone(), at: now });
        }
    }
    commits
}

fn row(run: &Run, index: usize, step: &StepRun) -> sallyport_store::StepRun {
    let planned = &run.plan.steps[index];
    let pipeline = run.plan.pipelines.iter().position(|members| members.contains(&index)).unwrap_or(0);
    sallyport_store::StepRun {
        step: planned.name.clone(),
        attempt: step.attempt,
        position: u32::try_from(index).unwrap_or(u32::MAX),
        pipeline: u32::try_from(pipeline).unwrap_or(u32::MAX),
        state: step.state.word().to_owned(),
        agent: planned.agent,
        agent_name: None,
        counts: step.counts,
        failure: step.failure.clone(),
        reason: step.reason.clone(),
        started_at: step.started_at,
        finished_at: step.ended_at,
    }
}

fn line(effect: &Effect, now: Timestamp) -> Option<RunLogLine> {
    match effect {
        Effect::Log { step, attempt, level, message } => {
            Some(RunLogLine { step: step.clone(), attempt: *attempt, at: now, level: *level, message: message.clone() })
        }
        _ => None,
    }
}
