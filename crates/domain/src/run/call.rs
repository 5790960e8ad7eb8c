//! Steps that start another task: each is a pipeline by itself. The run that it starts is inserted under the attempt's key,
//! so that a repeated start finds it; its end comes back as an event, which may be repeated too.

use sallyport_protocol::{AttemptKey, Failure, FailureKind, LogLevel, RunId, StepCounts, TaskId};
use serde::{Deserialize, Serialize};

use super::{Effect, PipelineState, Refused, Run, RunState, Scene, StepState};
use crate::plan::Work;

/// The run that has started another one by one of its steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Its attempt.
    pub key: AttemptKey,
    /// Its step.
    pub step: String,
    /// The tasks behind it, the outermost first: each has started the next, the last one this run.
    pub tasks: Vec<TaskId>,
}

/// How a run that a step has started has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Returned {
    /// The run.
    pub run: RunId,
    /// Its last state.
    pub state: RunState,
    /// Why, in words.
    pub reason: Option<String>,
    /// What it has delivered.
    pub counts: StepCounts,
}

impl Run {
    /// How this run has ended, for the one that has started it.
    pub fn returns(&self) -> Returned {
        let delivered = self.delivered();
        Returned { run: self.id, state: self.state, reason: self.reason.clone(), counts: delivered }
    }

    /// The attempts that wait for a run which they have started, or for its start.
    pub fn calls(&self) -> impl Iterator<Item = (usize, AttemptKey)> + '_ {
        let calling = |pipeline: &usize| matches!(self.pipelines[*pipeline].state, PipelineState::Calling { .. });
        (0..self.pipelines.len()).filter(calling).map(|pipeline| (pipeline, self.key(pipeline)))
    }

    /// Whether nothing goes on in this run but runs that it has started and waits for: it needs no agent meanwhile.
    pub fn only_waits(&self) -> bool {
        let waits = |pipeline: usize| self.plan.call_of(pipeline).is_some_and(|(_, wait)| wait);
        let mut calling = false;
        for (index, pipeline) in self.pipelines.iter().enumerate() {
            match pipeline.state {
                PipelineState::Calling { .. } if waits(index) => calling = true,
                PipelineState::Blocked | PipelineState::Ended => {}
                _ => return false,
            }
        }
        calling
    }

    pub(super) fn called(
        &mut self,
        key: AttemptKey,
        child: RunId,
        scene: Scene<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refused> {
        let (pipeline, step, wait) = self.calling(key)?;
        self.pipelines[pipeline].state = PipelineState::Calling { run: Some(child) };
        let task = self.task_of(step).to_owned();
        self.steps[step].reason = Some(format!("{child} of task `{task}`"));
        effects.push(self.line(step, LogLevel::Info, format!("started {child} of task `{task}`")));
        if !wait {
            self.steps[step].state = StepState::Succeeded;
            self.end_call(pipeline, step, scene, effects);
        } else if let Some(stop) = &self.stop {
            let reason = stop.words().to_owned();
            self.call_off(pipeline, Some(child), &reason, effects);
        }
        Ok(())
    }

    pub(super) fn uncalled(
        &mut self,
        key: AttemptKey,
        failure: Failure,
        scene: Scene<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refused> {
        let (pipeline, step, _) = self.calling(key)?;
        self.steps[step].state = StepState::Failed;
        self.steps[step].failure = Some(failure);
        self.end_call(pipeline, step, scene, effects);
        Ok(())
    }

    pub(super) fn returned(
        &mut self,
        key: AttemptKey,
        returned: Returned,
        scene: Scene<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refused> {
        let (pipeline, step, _) = self.calling(key)?;
        let Returned { run, state, reason, counts } = returned;
        let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let text = format!("{run} of task `{}` ended as {}{why}", self.task_of(step), state.word().replace('_', " "));
        let at = &mut self.steps[step];
        at.counts = counts;
        at.reason = Some(text.clone());
        match state {
            _ if state.is_good() => at.state = StepState::Succeeded,
            RunState::Cancelled if self.stop.is_some() => at.state = StepState::Cancelled,
            _ => {
                at.state = StepState::Failed;
                at.failure = Some(task_failed(text, state));
            }
        }
        self.end_call(pipeline, step, scene, effects);
        Ok(())
    }

    /// Stops the run that a step waits for; where it is not known yet, once it is.
    pub(super) fn call_off(&self, pipeline: usize, child: Option<RunId>, reason: &str, effects: &mut Vec<Effect>) {
        let waits = self.plan.call_of(pipeline).is_some_and(|(_, wait)| wait);
        if let Some(run) = child.filter(|_| waits) {
            effects.push(Effect::CancelRun { run, reason: format!("stopped with {}: {reason}", self.id) });
        }
    }

    /// Whether a step has started a task: that is a delivery, too.
    pub(super) fn has_called(&self) -> bool {
        let called = |index: usize| matches!(self.plan.steps[index].work, Work::Task { .. });
        self.steps.iter().enumerate().any(|(index, step)| step.state == StepState::Succeeded && called(index))
    }

    fn end_call(&mut self, pipeline: usize, step: usize, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        self.steps[step].ended_at = Some(scene.now);
        self.conclude(pipeline, scene, effects);
    }

    fn calling(&self, key: AttemptKey) -> Result<(usize, usize, bool), Refused> {
        let pipeline = self.current(key)?;
        let (step, wait) = self.plan.call_of(pipeline).ok_or(Refused::Stale)?;
        Ok((pipeline, step, wait))
    }

    fn task_of(&self, step: usize) -> &str {
        match &self.plan.steps[step].work {
            Work::Task { name, .. } => name,
            _ => "",
        }
    }

    fn line(&self, step: usize, level: LogLevel, message: String) -> Effect {
        let attempt = Some(self.steps[step].attempt);
        Effect::Log { step: Some(self.plan.steps[step].name.clone()), attempt, level, message }
    }
}

/// Only where the step's `retry` asks for it the task is started again.
fn task_failed(message: String, state: RunState) -> Failure {
    Failure {
        kind: FailureKind::Runtime,
        code: "task_failed".to_owned(),
        message,
        advice: Some("see that run for what went wrong".to_owned()),
        transient: state != RunState::Cancelled,
    }
}
