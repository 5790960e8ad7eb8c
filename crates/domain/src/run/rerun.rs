//! A run again: pipelines that an earlier run of the same version has brought to a good end are taken over.

use std::collections::BTreeMap;

use sallyport_protocol::{LogLevel, RunId, StepCounts};
use serde::{Deserialize, Serialize};

use super::{Effect, PipelineState, Run, Scene, StepState};

/// What an earlier run has done in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The run that did it.
    pub run: RunId,
    /// Succeeded, or skipped by its condition.
    pub state: StepState,
    /// What passed through it.
    pub counts: StepCounts,
}

impl Run {
    /// What need not be done again, by step: the steps of pipelines that have succeeded, and those that were skipped.
    pub fn results(&self) -> BTreeMap<String, Taken> {
        let good = |step: &usize| match self.plan.pipeline_of(*step) {
            Some(pipeline) => self.plan.steps_of(pipeline).all(|one| self.steps[one].state == StepState::Succeeded),
            None => self.steps[*step].state == StepState::Skipped,
        };
        let steps = (0..self.steps.len()).filter(good).map(|index| {
            let (name, step) = (&self.plan.steps[index].name, &self.steps[index]);
            let run = self.given.taken.get(name).map_or(self.id, |earlier| earlier.run);
            (name.clone(), Taken { run, state: step.state, counts: step.counts })
        });
        steps.collect()
    }

    /// Ends the pipelines of which every step has a result already.
    pub(super) fn take_over(&mut self, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        for pipeline in 0..self.pipelines.len() {
            let members: Vec<usize> = self.plan.steps_of(pipeline).collect();
            let results: Option<Vec<Taken>> =
                members.iter().map(|step| self.given.taken.get(&self.plan.steps[*step].name).copied()).collect();
            let Some(results) = results else { continue };
            if results.iter().all(|result| result.state != StepState::Succeeded) {
                continue;
            }
            self.pipelines[pipeline].state = PipelineState::Ended;
            for (step, result) in members.into_iter().zip(results) {
                let name = self.plan.steps[step].name.clone();
                if result.state == StepState::Skipped {
                    self.plan.skip(step);
                }
                let at = &mut self.steps[step];
                at.state = result.state;
                at.counts = result.counts;
                at.reason = Some(format!("taken over from {}", result.run));
                at.ended_at = Some(scene.now);
                let message = format!("taken over from {}, not done again", result.run);
                effects.push(Effect::Log { step: Some(name), attempt: None, level: LogLevel::Info, message });
            }
        }
    }
}
