//! From files to work orders: the task as it is, its connections from a file, every step on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sallyport_domain::agent::Kind;
use sallyport_domain::plan::{AgentFacts, ConnectionFacts, Plan, PlannedStep, Work, World, plan};
use sallyport_domain::task::{self, Problem, Task};
use sallyport_protocol::{
    Action, AgentId, AttemptKey, ConnectionId, ConnectionOrder, Inlet, RunId, Secret, StepOrder, Via, WorkOrder,
};
use serde_json::Value;

use crate::commands::connections::{open_secrets, read_all};
use crate::document;
use crate::error::{Error, Result};
use crate::output::text;

/// The one agent that all steps are given to.
const HERE: &str = "here";

/// A task that can run on this machine.
pub(super) struct Local {
    /// The resolved task.
    pub(super) plan: Plan,
    connections: BTreeMap<ConnectionId, ConnectionOrder>,
}

impl Local {
    /// Reads and checks everything; each problem names its field.
    pub(super) fn read(path: &Path, connections: Option<&Path>) -> Result<Self> {
        let mut task = task::parse(&document::text(path)?).map_err(|problems| wrong(path, &problems))?;
        let agent = AgentFacts { id: AgentId::new(), name: HERE.into(), kind: Kind::Remote, active: true };
        let mut facts = Vec::new();
        let mut orders = BTreeMap::new();
        for (fact, order) in connections.map(|path| known(path, agent.id)).transpose()?.unwrap_or_default() {
            orders.insert(fact.id, order);
            facts.push(fact);
        }
        move_here(&mut task);
        let world = World { catalog: sallyport_connectors::catalog(), agents: vec![agent], connections: facts };
        let plan = plan(&task, &world).map_err(|problems| wrong(path, &problems))?;
        Ok(Self { plan, connections: orders })
    }

    /// One attempt at one pipeline.
    pub(super) fn order(&self, run: RunId, pipeline: usize, attempt: u32) -> WorkOrder {
        let number = u32::try_from(pipeline).unwrap_or(u32::MAX);
        let key = AttemptKey { run, pipeline: number, attempt, fence: u64::from(attempt) };
        let steps = self.plan.steps_of(pipeline).map(|index| self.step(&self.plan.steps[index])).collect();
        WorkOrder { key, task: self.plan.task.clone(), steps, incremental: None }
    }

    fn step(&self, step: &PlannedStep) -> StepOrder {
        let action = match &step.work {
            Work::Transform { sql } => Action::Transform { sql: sql.clone() },
            Work::Connector { kind, connection, settings } => Action::Connector {
                kind: kind.clone(),
                connection: connection.and_then(|id| self.connections.get(&id).cloned()),
                settings: settings.clone(),
            },
        };
        let inlet = |input: &usize| Inlet { from: self.plan.steps[*input].name.clone(), via: Via::Local };
        StepOrder {
            name: step.name.clone(),
            action,
            inputs: step.inputs.iter().map(inlet).collect(),
            outputs: Vec::new(),
            timeout_ms: step.timeout.map(|span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// Whatever agents the document names, its steps run here.
fn move_here(task: &mut Task) {
    for step in &mut task.steps {
        step.agent = Some(HERE.into());
    }
}

fn known(path: &Path, agent: AgentId) -> Result<Vec<(ConnectionFacts, ConnectionOrder)>> {
    let mut all = Vec::new();
    let mut names = BTreeSet::new();
    for mut document in read_all(&[path.to_path_buf()])? {
        open_secrets(&mut document)?;
        let (name, kind) = (text(&document.value, "name"), text(&document.value, "kind"));
        if name.is_empty() || kind.is_empty() {
            return Err(Error::usage(format!("{}: a connection needs `name` and `kind`", document.place)));
        }
        if !names.insert(name.clone()) {
            return Err(Error::usage(format!("{}: another connection is named `{name}` too", document.place)));
        }
        let settings = document.value.get("settings").cloned().unwrap_or_else(|| serde_json::json!({}));
        let secrets = secrets(&document.value);
        let facts = ConnectionFacts { id: ConnectionId::new(), name: name.clone(), kind, agent };
        all.push((facts, ConnectionOrder { name, settings, secrets }));
    }
    Ok(all)
}

fn secrets(connection: &Value) -> BTreeMap<String, Secret> {
    let all = connection.get("secrets").and_then(Value::as_object);
    all.into_iter().flatten().filter_map(|(name, secret)| Some((name.clone(), Secret::new(secret.as_str()?)))).collect()
}

fn wrong(path: &Path, problems: &[Problem]) -> Error {
    let count = problems.len();
    let mut error =
        Error::failed(format!("{} has {count} problem{}", path.display(), if count == 1 { "" } else { "s" }));
    error.problems = problems
        .iter()
        .map(|problem| match (&problem.step, problem.path.is_empty()) {
            (Some(step), _) => format!("step `{step}`, {}: {}", problem.path, problem.message),
            (None, false) => format!("{}: {}", problem.path, problem.message),
            (None, true) => problem.message.clone(),
        })
        .collect();
    error
}
