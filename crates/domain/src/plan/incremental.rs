//! Incremental reads: one reading step and the one writing step that commits how far it is.

use serde_json::Value;

use super::{Plan, PlannedStep, Work};
use crate::task::{Problem, Task, problem};

/// An incremental read and the step that writes its rows, as indices into the plan's steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The reading step.
    pub source: usize,
    /// The writing step.
    pub sink: usize,
}

impl Plan {
    /// The incremental read of a pipeline, if it has one.
    pub fn incremental(&self, pipeline: usize) -> Option<Stream> {
        let source = self.steps_of(pipeline).find(|step| reads_incrementally(&self.steps[*step]))?;
        let sink = self.steps_of(pipeline).find(|step| writes(&self.steps[*step]))?;
        Some(Stream { source, sink })
    }

    /// The incremental reads of all pipelines.
    pub fn streams(&self) -> impl Iterator<Item = Stream> + '_ {
        (0..self.pipelines.len()).filter_map(|pipeline| self.incremental(pipeline))
    }

    /// Leaves out all pipelines but that of a step.
    pub fn keep_only(&mut self, step: &str) {
        let steps = &mut self.steps;
        self.pipelines.retain(|members| members.iter().any(|member| steps[*member].name == step));
        for (index, step) in steps.iter_mut().enumerate() {
            step.runs = self.pipelines.iter().any(|members| members.contains(&index));
        }
    }
}

/// A checkpoint belongs to one reader and one writer, and to one run at a time.
pub(super) fn problems(task: &Task, plan: &Plan) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut say = |step: usize, at: &str, code: &str, text: String| {
        let found = problem(&format!("/steps/{step}{at}"), code, text);
        problems.push(Problem { step: Some(plan.steps[step].name.clone()), ..found });
    };
    for pipeline in 0..plan.pipelines.len() {
        let mut readers = plan.steps_of(pipeline).filter(|step| reads_incrementally(&plan.steps[*step]));
        let Some(first) = readers.next() else { continue };
        let name = &plan.steps[first].name;
        for other in readers {
            let text =
                format!("step `{name}` reads incrementally already, and their rows meet; read one of them whole");
            say(other, "/with/incremental", "two_incremental", text);
        }
        for other in plan.steps_of(pipeline).filter(|step| writes(&plan.steps[*step])).skip(1) {
            let text = format!(
                "the rows of `{name}`, which reads incrementally, are written by one step; give this one a reading step of its own"
            );
            say(other, "/input", "two_writers", text);
        }
        if task.limit > 1 {
            let text =
                "an incremental read goes on where the last run has ended; set the task's `limit` to 1".to_owned();
            say(first, "/with/incremental", "limit", text);
        }
    }
    problems
}

fn reads_incrementally(step: &PlannedStep) -> bool {
    let Work::Connector { settings, .. } = &step.work else { return false };
    step.inputs.is_empty() && settings.get("incremental").is_some_and(|incremental| *incremental != Value::Null)
}

fn writes(step: &PlannedStep) -> bool {
    matches!(step.work, Work::Connector { .. }) && !step.inputs.is_empty()
}
