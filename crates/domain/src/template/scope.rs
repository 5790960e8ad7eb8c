//! What the names in an expression mean, checked without evaluating it.

use std::collections::BTreeSet;

use minijinja::Environment;
use sallyport_protocol::{StepCounts, Timestamp};
use serde_json::{Map, Value};

use super::engine::{environment, is_lasting, said};
use super::quote::within_quotes;
use super::text::{Target, is_template};
use super::values::{Values, alias};
use crate::plan::World;
use crate::task::{Task, nearest};

/// The fields of `run`.
const RUN: &[&str] = &["id", "started_at", "due_at", "attempt"];

/// The fields of `steps.NAME`.
const STEP: &[&str] = &["state", "rows_in", "rows_out", "rows_rejected", "bytes"];

/// The groups of names.
const GROUPS: &[&str] = &["run", "parameters", "variables", "steps"];

/// What expressions of a task may name.
pub(crate) struct Scope<'a> {
    /// The task's steps.
    pub(crate) steps: Vec<&'a str>,
    /// The task's parameters, each with a value that it may have.
    pub(crate) parameters: Map<String, Value>,
    /// The environment's variables.
    pub(crate) variables: Vec<&'a str>,
}

impl<'a> Scope<'a> {
    /// The names of a task in its environment.
    pub(crate) fn of(task: &'a Task, world: &'a World) -> Self {
        Self {
            steps: task.steps.iter().map(|step| step.name.as_str()).collect(),
            parameters: task.parameters.iter().map(|one| (one.name.clone(), one.sample())).collect(),
            variables: world.variables.keys().map(String::as_str).collect(),
        }
    }

    /// Checks a condition; answers the steps whose results it uses, as indices, or everything that is wrong.
    pub(crate) fn condition(&self, expression: &str) -> Result<BTreeSet<usize>, Vec<String>> {
        let compiled = environment().compile_expression_owned(expression.to_owned()).map_err(|error| {
            let hint = if expression.contains("{{") { "; write the expression alone, without `{{ }}`" } else { "" };
            vec![format!("it is not an expression: {}{hint}", said(&error))]
        })?;
        let used = self.resolve(compiled.undeclared_variables(true))?;
        match compiled.eval(self.sample().names()) {
            Err(error) if is_lasting(&error) => Err(vec![said(&error).to_string()]),
            _ => Ok(used),
        }
    }

    /// Checks a string that may have expressions in it; answers like [`Scope::condition`].
    pub(crate) fn text(&self, text: &str, kind: Target) -> Result<BTreeSet<usize>, Vec<String>> {
        if !is_template(text) {
            return Ok(BTreeSet::new());
        }
        if text.contains("{%") {
            return Err(vec![
                "statements (`{% %}`) are not understood: write an expression, such as `{{ a if b else c }}`"
                    .to_owned(),
            ]);
        }
        let environment: &Environment<'_> = environment();
        let compiled = environment
            .template_from_named_str(kind.word(), text)
            .map_err(|error| vec![format!("its expressions cannot be read: {}", said(&error))])?;
        let used = self.resolve(compiled.undeclared_variables(true))?;
        let quoted = if kind == Target::Sql { within_quotes(text) } else { None };
        match (quoted, compiled.render(self.sample().names())) {
            (Some(message), _) => Err(vec![message]),
            (None, Err(error)) if is_lasting(&error) => Err(vec![said(&error).to_string()]),
            _ => Ok(used),
        }
    }

    fn resolve(&self, names: impl IntoIterator<Item = String>) -> Result<BTreeSet<usize>, Vec<String>> {
        let (mut used, mut wrong) = (BTreeSet::new(), BTreeSet::new());
        for name in names {
            match self.one(&name) {
                Ok(step) => used.extend(step),
                Err(message) => {
                    wrong.insert(message);
                }
            }
        }
        if wrong.is_empty() { Ok(used) } else { Err(wrong.into_iter().collect()) }
    }

    /// The step that a name leads to, if it is a step's.
    fn one(&self, name: &str) -> Result<Option<usize>, String> {
        let mut parts = name.split('.');
        let (group, member, field) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let whole = || format!("`{group}` is a group of names: write `{group}.NAME`");
        match group {
            "run" => {
                known("run", member.ok_or_else(whole)?, RUN.iter().copied())?;
                Ok(None)
            }
            "parameters" => {
                let names = self.parameters.keys().map(String::as_str);
                known("parameters", member.ok_or_else(whole)?, names)?;
                Ok(None)
            }
            "variables" => {
                known("variables", member.ok_or_else(whole)?, self.variables.iter().copied())?;
                Ok(None)
            }
            "steps" => {
                let member = member.ok_or_else(whole)?;
                let index = self.step(member)?;
                let field =
                    field.ok_or_else(|| format!("`{name}` is a step: write `{name}.rows_out` or another field"))?;
                known(&format!("steps.{member}"), field, STEP.iter().copied())?;
                Ok(Some(index))
            }
            _ if environment().globals().any(|(global, _)| global == group) => Ok(None),
            _ => {
                let near = nearest(group, GROUPS.iter().copied());
                Err(format!("there is no `{group}`{near}; names begin with {}", GROUPS.join(", ")))
            }
        }
    }

    fn step(&self, member: &str) -> Result<usize, String> {
        let mut found = self.steps.iter().enumerate().filter(|(_, step)| alias(step) == member);
        match (found.next(), found.next()) {
            (Some((index, _)), None) => Ok(index),
            (Some((_, one)), Some((_, other))) => {
                Err(format!("`steps.{member}` may mean step `{one}` or `{other}`; rename one of them"))
            }
            (None, _) => {
                let aliases: Vec<String> = self.steps.iter().map(|step| alias(step)).collect();
                Err(format!("there is no step `{member}`{}", nearest(member, aliases.iter().map(String::as_str))))
            }
        }
    }

    /// Values of the right kinds, to find what is wrong whatever they are.
    fn sample(&self) -> Values {
        let text = |name: &&str| ((*name).to_owned(), Value::String("text".to_owned()));
        let variables = self.variables.iter().map(text).collect();
        let mut values =
            Values::new("run_0", Some(Timestamp(0)), Some(Timestamp(0)), 1).given(self.parameters.clone(), variables);
        for step in &self.steps {
            values.step(step, "succeeded", StepCounts::default());
        }
        values
    }
}

fn known<'n>(group: &str, name: &str, mut names: impl Iterator<Item = &'n str> + Clone) -> Result<(), String> {
    let all = names.clone();
    if names.any(|known| known == name) {
        return Ok(());
    }
    let near = nearest(name, all.clone());
    let list: Vec<&str> = all.collect();
    let list = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
    Err(format!("there is no `{group}.{name}`{near}; `{group}` has {list}"))
}
