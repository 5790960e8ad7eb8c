//! Which step's rows go where, and which steps wait for which.

use std::collections::BTreeSet;

use super::pipelines::{cycle, groups};
use super::resolve::Check;
use crate::task::nearest;
use crate::template::{Scope, Target, strings};

/// The edges between steps, as indices into the task's steps.
pub(super) struct Edges {
    /// For each step those whose rows come in.
    pub(super) inputs: Vec<Vec<usize>>,
    /// For each step those that must have ended before it starts.
    pub(super) after: Vec<Vec<usize>>,
}

impl Check<'_> {
    /// Resolves `input`, `after` and the steps that expressions name; checks names, edges and circles.
    pub(super) fn edges(&mut self) -> Edges {
        self.unique_names();
        let task = self.task;
        let (mut inputs, mut after) = (Vec::new(), Vec::new());
        for (index, step) in task.steps.iter().enumerate() {
            inputs.push(self.named(index, "/input", &step.input));
            let mut before: BTreeSet<usize> = self.named(index, "/after", &step.after).into_iter().collect();
            before.extend(self.used(index));
            after.push(before.into_iter().collect());
        }
        let edges = Edges { inputs, after };
        if let Some(step) = cycle(&edges.inputs) {
            let name = &task.steps[step].name;
            self.say(step, "/input", "cycle", format!("step `{name}` needs its own rows: the inputs form a circle"));
        } else {
            self.order(&edges);
        }
        edges
    }

    fn unique_names(&mut self) {
        let task = self.task;
        for (index, step) in task.steps.iter().enumerate() {
            if task.steps[..index].iter().any(|other| other.name == step.name) {
                self.say(index, "/name", "duplicate_step", format!("another step is named `{}` too", step.name));
            }
        }
    }

    /// The steps of these names, each once.
    fn named(&mut self, index: usize, at: &str, names: &[String]) -> Vec<usize> {
        let steps = &self.task.steps;
        let mut found = Vec::new();
        for name in names {
            match steps.iter().position(|other| other.name == *name) {
                Some(step) if found.contains(&step) => {
                    let word = at.trim_start_matches('/');
                    self.say(index, at, &format!("duplicate_{word}"), format!("{word} `{name}` is named twice"));
                }
                Some(step) => found.push(step),
                None => {
                    let near = nearest(name, steps.iter().map(|other| other.name.as_str()));
                    self.say(index, at, "unknown_step", format!("there is no step `{name}`{near}"));
                }
            }
        }
        found
    }

    /// The steps whose results a step's expressions use.
    fn used(&mut self, index: usize) -> BTreeSet<usize> {
        let (task, world) = (self.task, self.world);
        let scope = Scope::of(task, world);
        let step = &task.steps[index];
        let mut texts = Vec::new();
        for (field, value) in &step.with {
            strings(value, &format!("/with/{field}"), &mut texts);
        }
        for (name, value) in &step.parameters {
            strings(value, &format!("/parameters/{name}"), &mut texts);
        }
        let mut used = BTreeSet::new();
        let mut take = |at: &str, checked: Result<BTreeSet<usize>, Vec<String>>| match checked {
            Ok(steps) => used.extend(steps),
            Err(wrong) => wrong.into_iter().for_each(|message| self.say(index, at, "expression", message)),
        };
        if let Some(when) = &step.when {
            take("/when", scope.condition(when));
        }
        if let Some(query) = &step.transform {
            take("/transform", scope.text(query, Target::Sql));
        }
        for (at, text) in texts {
            take(&at, scope.text(text, Target::Text));
        }
        used
    }

    /// Steps that rows join run at the same time: none can wait for another one of them, and no pipelines for each
    /// other.
    fn order(&mut self, edges: &Edges) {
        let task = self.task;
        let group = groups(&edges.inputs);
        let mut waits: Vec<Vec<usize>> = vec![Vec::new(); group.len()];
        for (index, before) in edges.after.iter().enumerate() {
            for &other in before {
                if group[index] != group[other] {
                    waits[group[index]].push(group[other]);
                    continue;
                }
                let (name, other) = (&task.steps[index].name, &task.steps[other].name);
                let text = if name == other {
                    format!("step `{name}` cannot wait for itself")
                } else {
                    format!(
                        "step `{name}` cannot wait for step `{other}`, nor know its result: rows join them, so that \
                         they run at the same time"
                    )
                };
                self.say(index, "", "same_time", text);
            }
        }
        if let Some(first) = cycle(&waits) {
            let name = &task.steps[first].name;
            let text = format!(
                "step `{name}` waits for its own end: `after`, and the results that expressions use, form a circle"
            );
            self.say(first, "", "cycle", text);
        }
    }
}
