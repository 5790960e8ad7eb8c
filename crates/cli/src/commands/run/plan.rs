//! From files to work orders: the task as it is, its connections from a file, every step on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sallyport_domain::agent::Kind;
use sallyport_domain::plan::{AgentFacts, ConnectionFacts, Plan, PlannedStep, Work, World, plan};
use sallyport_domain::run::{Given, Run};
use sallyport_domain::task::parameter::arguments;
use sallyport_domain::task::{self, Problem, Task};
use sallyport_domain::template::Values;
use sallyport_protocol::{
    Action, AgentId, AttemptKey, ConnectionId, ConnectionOrder, Descriptor, Failure, Inlet, Secret, StepOrder, Via,
    WorkOrder,
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
    /// The one agent of all its steps.
    pub(super) agent: AgentId,
    /// What the run is started with.
    pub(super) given: Given,
    catalog: Vec<Descriptor>,
    connections: BTreeMap<ConnectionId, ConnectionOrder>,
}

impl Local {
    /// Reads and checks everything; each problem names its field.
    pub(super) fn read(path: &Path, connections: Option<&Path>, given: Given) -> Result<Self> {
        let mut task = task::parse(&document::text(path)?).map_err(|problems| wrong(path, &problems))?;
        let id = AgentId::new();
        let agent = AgentFacts { id, name: HERE.into(), kind: Kind::Remote, active: true };
        let mut facts = Vec::new();
        let mut orders = BTreeMap::new();
        for (fact, order) in connections.map(|path| known(path, id)).transpose()?.unwrap_or_default() {
            orders.insert(fact.id, order);
            facts.push(fact);
        }
        let calls = task.steps.iter().find(|step| step.task.is_some());
        if let Some(step) = calls {
            let text = format!("step `{}` starts another task, which needs a server", step.name);
            return Err(Error::failed(format!("{}: {text}", path.display())));
        }
        move_here(&mut task);
        let parameters = arguments(&task.parameters, &given.parameters).map_err(|problems| wrong(path, &problems))?;
        let given = Given { parameters, ..given };
        let catalog = sallyport_connectors::catalog();
        let world = World {
            catalog: catalog.clone(),
            agents: vec![agent],
            connections: facts,
            variables: given.variables.clone(),
        };
        let plan = plan(&task, &world).map_err(|problems| wrong(path, &problems))?;
        Ok(Self { plan, agent: id, given, catalog, connections: orders })
    }

    /// One attempt at one pipeline of a run as it stands, or the step that cannot be done.
    pub(super) fn order(&self, run: &Run, key: AttemptKey) -> std::result::Result<WorkOrder, (String, Failure)> {
        let (plan, pipeline) = (&run.plan, usize::try_from(key.pipeline).unwrap_or(usize::MAX));
        let values = run.values(pipeline);
        let steps = plan.steps_of(pipeline).map(|index| {
            let step = &plan.steps[index];
            self.step(plan, step, &values).map_err(|failure| (step.name.clone(), failure))
        });
        Ok(WorkOrder {
            key,
            task: plan.task.clone(),
            steps: steps.collect::<std::result::Result<_, _>>()?,
            incremental: None,
            resumes: false,
            who: String::new(),
        })
    }

    fn step(&self, plan: &Plan, step: &PlannedStep, values: &Values) -> std::result::Result<StepOrder, Failure> {
        let action = match step.evaluated(values, &self.catalog)? {
            Work::Transform { sql } => Action::Transform { sql },
            Work::Task { .. } => Action::Unknown,
            Work::Connector { kind, connection, settings } => Action::Connector {
                kind,
                connection: connection.and_then(|id| self.connections.get(&id).cloned()),
                settings,
            },
        };
        let inlet = |input: &usize| Inlet { from: plan.steps[*input].name.clone(), via: Via::Local };
        Ok(StepOrder {
            name: step.name.clone(),
            action,
            inputs: step.inputs.iter().map(inlet).collect(),
            outputs: Vec::new(),
            timeout_ms: step.timeout.map(|span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX)),
            through: None,
        })
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
        let facts = ConnectionFacts { id: ConnectionId::new(), name: name.clone(), kind, agent, agents: vec![agent] };
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
