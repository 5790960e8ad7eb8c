//! Steps that start another task: what they may say, and which tasks may start which.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::graph::Edges;
use super::resolve::Check;
use super::{DEADLINE_DEFAULT, PlannedStep, Work};
use crate::task::parameter::arguments;
use crate::task::{Parameter, Problem, Retry, Span, Step, Task, nearest, problem};
use crate::template::{is_template, strings};
use crate::trigger::{TaskFacts, circle, same};

/// How many tasks may start each other in a row: a run, the run that it starts, the run that this one starts, ...
pub const CALL_DEPTH_MAX: usize = 8;

/// A task's run is tried again by its own steps; as a whole only where somebody asks for it.
const ONCE: Retry = Retry { attempts: 1, backoff: Span::seconds(5) };

impl Check<'_> {
    pub(super) fn call(&mut self, index: usize, step: &Step, name: &str, edges: &Edges) -> Option<PlannedStep> {
        let misplaced = [
            ("connector", step.connector.is_some()),
            ("transform", step.transform.is_some()),
            ("connection", step.connection.is_some()),
            ("agent", step.agent.is_some()),
            ("input", !step.input.is_empty()),
            ("with", !step.with.is_empty()),
            ("timeout", step.timeout.is_some()),
            ("deadline", step.deadline.is_some()),
        ];
        let mut right = true;
        for (field, _) in misplaced.into_iter().filter(|(_, given)| *given) {
            right = false;
            let text = format!("a step that starts a task has no `{field}`: its own steps say all about it");
            self.say(index, &format!("/{field}"), "misplaced_field", text);
        }
        right.then(|| PlannedStep {
            name: step.name.clone(),
            work: Work::Task {
                name: name.to_owned(),
                parameters: Value::Object(step.parameters.clone()),
                wait: step.wait,
            },
            agent: None,
            agent_name: String::new(),
            through: Vec::new(),
            inputs: Vec::new(),
            after: edges.after[index].clone(),
            when: step.when.clone(),
            on_error: step.on_error,
            timeout: None,
            deadline: DEADLINE_DEFAULT,
            retry: step.retry.unwrap_or(ONCE),
            runs: step.active,
        })
    }

    /// Fields that mean something beside `task` only.
    pub(super) fn only_calls(&mut self, index: usize, step: &Step) {
        for (field, _) in
            [("parameters", !step.parameters.is_empty()), ("wait", !step.wait)].iter().filter(|(_, is)| *is)
        {
            let text = format!("`{field}` means something in a step that starts a `task` only");
            self.say(index, &format!("/{field}"), "misplaced_field", text);
        }
    }
}

/// Everything that is wrong with the tasks that a task starts; `others` are the tasks of its environment, `parameters`
/// those of the tasks it names.
pub fn check_calls(task: &Task, others: &[TaskFacts], parameters: &[(String, Vec<Parameter>)]) -> Vec<Problem> {
    let tasks = with(task, others);
    let mut problems = Vec::new();
    for (index, step) in task.steps.iter().enumerate() {
        let Some(called) = &step.task else { continue };
        let mut say = |at: &str, code: &str, message: String| {
            let found = problem(&format!("/steps/{index}{at}"), code, message);
            problems.push(Problem { step: Some(step.name.clone()), ..found });
        };
        if !tasks.iter().any(|other| same(&other.name, called)) {
            let near = nearest(called, others.iter().map(|other| other.name.as_str()));
            say("/task", "unknown_task", format!("there is no task `{called}`{near}"));
            continue;
        }
        if let Some(way) = circle(&task.task, &tasks).filter(|way| way.get(1).is_some_and(|next| same(next, called))) {
            let text = format!("the tasks would start each other for ever: {}", way.join(" -> "));
            say("/task", "circle", text);
            continue;
        }
        if let Some(way) = too_deep(called, &tasks) {
            let way = std::iter::once(task.task.as_str()).chain(way).collect::<Vec<_>>().join(" -> ");
            let text = format!("at most {CALL_DEPTH_MAX} tasks may start each other in a row: {way}");
            say("/task", "too_deep", text);
        }
        let declared = parameters.iter().find(|(name, _)| same(name, called)).map_or(&[][..], |(_, all)| all);
        for wrong in given(declared, &step.parameters) {
            say(&wrong.path, &wrong.code, format!("task `{called}`: {}", wrong.message));
        }
    }
    problems
}

/// The tasks of an environment once this one is saved.
fn with(task: &Task, others: &[TaskFacts]) -> Vec<TaskFacts> {
    let mut tasks: Vec<TaskFacts> = others.iter().filter(|other| !same(&other.name, &task.task)).cloned().collect();
    tasks.push(TaskFacts {
        name: task.task.clone(),
        follows: task.triggers.iter().filter_map(|trigger| trigger.after.clone()).collect(),
        calls: task.steps.iter().filter_map(|step| step.task.clone()).collect(),
    });
    tasks
}

/// The first way from a task that makes the row too long, the starting one counted.
fn too_deep<'t>(task: &'t str, tasks: &'t [TaskFacts]) -> Option<Vec<&'t str>> {
    let mut level: Vec<Vec<&str>> = vec![vec![task]];
    let mut seen = BTreeSet::new();
    while let Some(first) = level.first() {
        if first.len() >= CALL_DEPTH_MAX {
            return level.into_iter().next();
        }
        let mut next = Vec::new();
        for way in level {
            let of = |facts: &&TaskFacts| way.last().is_some_and(|last| same(&facts.name, last));
            for called in tasks.iter().find(of).into_iter().flat_map(|facts| &facts.calls) {
                if seen.insert((way.len(), called.to_lowercase())) {
                    next.push(way.iter().copied().chain([called.as_str()]).collect());
                }
            }
        }
        level = next;
    }
    None
}

/// What is wrong with the parameters as they are written; what an expression gives is not known yet.
fn given(declared: &[Parameter], parameters: &Map<String, Value>) -> Vec<Problem> {
    let open = |value: &Value| {
        let mut texts = Vec::new();
        strings(value, "", &mut texts);
        texts.iter().any(|(_, text)| is_template(text))
    };
    let sampled = parameters.iter().map(|(name, value)| {
        let sample = declared.iter().find(|one| one.name == *name).filter(|_| open(value)).map(Parameter::sample);
        (name.clone(), sample.unwrap_or_else(|| value.clone()))
    });
    arguments(declared, &sampled.collect()).err().unwrap_or_default()
}

#[cfg(test)]
mod tests;
