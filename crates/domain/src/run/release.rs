//! When a pipeline may start: the steps before it have ended, and the conditions of its own steps are known.

use sallyport_protocol::{Failure, FailureKind, LogLevel};

use super::{Effect, PipelineState, Run, Scene, StepState};
use crate::task::OnError;
use crate::template::{Values, condition};

impl Run {
    /// A pipeline that waits for steps which have all ended.
    pub(super) fn unblocked(&self) -> Option<usize> {
        let blocked = |pipeline: &usize| self.pipelines[*pipeline].state == PipelineState::Blocked;
        (0..self.pipelines.len())
            .filter(blocked)
            .find(|pipeline| self.plan.before(*pipeline).all(|step| !self.is_open(step)))
    }

    /// Lets a pipeline look for its agents, without the steps whose conditions do not hold; ends it where a step before
    /// it has not ended well, or nothing of it is left.
    pub(super) fn release(&mut self, pipeline: usize, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        let badly = self.plan.before(pipeline).find(|step| !self.ended_well(*step));
        if let Some(step) = badly {
            let reason = format!("step `{}`, which comes before, has not ended well", self.plan.steps[step].name);
            return self.end_pipeline(pipeline, &reason, scene);
        }
        for step in self.plan.steps_of(pipeline).collect::<Vec<_>>() {
            let Some(when) = self.plan.steps[step].when.clone().filter(|_| self.plan.steps[step].runs) else {
                continue;
            };
            match condition(&when, &self.values(pipeline)) {
                Ok(true) => {}
                Ok(false) => self.skip(step, &format!("its condition `{when}` does not hold"), scene, effects),
                Err(error) => {
                    let failure = unknown_condition(&self.plan.steps[step].name, &when, &error.to_string());
                    return self.fail_before_start(step, failure, scene, effects);
                }
            }
        }
        if self.plan.steps_of(pipeline).next().is_none() {
            self.pipelines[pipeline].state = PipelineState::Ended;
        } else {
            self.await_agents(pipeline, scene);
        }
    }

    /// Says of the steps that wait for others what they wait for.
    pub(super) fn explain_blocked(&mut self) {
        for pipeline in 0..self.pipelines.len() {
            if self.pipelines[pipeline].state != PipelineState::Blocked {
                continue;
            }
            let open = self.plan.before(pipeline).filter(|step| self.is_open(*step));
            let mut names: Vec<String> = open.map(|step| format!("`{}`", self.plan.steps[step].name)).collect();
            names.sort();
            names.dedup();
            let reason = format!("waits for the end of step {}", names.join(", "));
            for step in self.plan.steps_of(pipeline).collect::<Vec<_>>() {
                self.steps[step].reason = Some(reason.clone());
            }
        }
    }

    /// What expressions of a pipeline's steps see.
    pub fn values(&self, pipeline: usize) -> Values {
        let attempt = self.pipelines.get(pipeline).map_or(0, |pipeline| pipeline.attempt);
        let given = &self.given;
        let mut values = Values::new(self.id, self.started_at, given.due_at, attempt.max(1))
            .given(given.parameters.clone(), given.variables.clone());
        for (index, step) in self.steps.iter().enumerate().filter(|(index, _)| !self.is_open(*index)) {
            values.step(&self.plan.steps[index].name, step.state.word(), step.counts);
        }
        values
    }

    /// Whether a step may still change.
    fn is_open(&self, step: usize) -> bool {
        self.plan.pipeline_of(step).is_some_and(|index| self.pipelines[index].state != PipelineState::Ended)
    }

    /// Whether what comes after a step may start. There is nothing to wait for of a step that is skipped.
    fn ended_well(&self, step: usize) -> bool {
        let tolerated = self.plan.pipeline_of(step).is_some_and(|index| self.pipelines[index].tolerated);
        tolerated || matches!(self.steps[step].state, StepState::Succeeded | StepState::Skipped)
    }

    fn skip(&mut self, step: usize, reason: &str, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        let name = self.plan.steps[step].name.clone();
        for index in self.plan.skip(step) {
            let why = if index == step {
                reason.to_owned()
            } else {
                format!("needs the rows of step `{name}`, which is skipped")
            };
            self.steps[index].state = StepState::Skipped;
            self.steps[index].ended_at = Some(scene.now);
            effects.push(Effect::Log {
                step: Some(self.plan.steps[index].name.clone()),
                attempt: None,
                level: LogLevel::Info,
                message: format!("skipped: {why}"),
            });
            self.steps[index].reason = Some(why);
        }
    }

    /// Ends a pipeline that has not started because of one of its steps.
    fn fail_before_start(&mut self, step: usize, failure: Failure, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        let Some(pipeline) = self.plan.pipeline_of(step) else { return };
        let name = self.plan.steps[step].name.clone();
        effects.push(Effect::Log {
            step: Some(name.clone()),
            attempt: None,
            level: LogLevel::Error,
            message: failure.message.clone(),
        });
        let at = &mut self.steps[step];
        at.state = StepState::Failed;
        at.failure = Some(failure);
        at.reason = None;
        at.ended_at = Some(scene.now);
        self.pipelines[pipeline].tolerated = self.plan.steps[step].on_error == OnError::Continue;
        self.end_pipeline(pipeline, &format!("step `{name}` has failed"), scene);
    }
}

fn unknown_condition(step: &str, when: &str, why: &str) -> Failure {
    Failure {
        kind: FailureKind::Runtime,
        code: "condition".to_owned(),
        message: format!("the condition `{when}` of step `{step}` cannot be evaluated: {why}"),
        advice: Some("correct the step's `when`".to_owned()),
        transient: false,
    }
}
