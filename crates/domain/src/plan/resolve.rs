//! Resolves names and checks the rules; goes on after a problem, so that a person sees all of them at once.

use sallyport_protocol::{AgentId, Descriptor};
use serde_json::Value;

use super::graph::Edges;
use super::incremental;
use super::pipelines::pipelines;
use super::{AgentFacts, ConnectionFacts, DEADLINE_DEFAULT, Plan, PlannedStep, Through, Work, World};
use crate::agent::Kind;
use crate::task::{Problem, Step, Task, against, nearest, parameter, problem};
use crate::template::{Scope, Target, is_sql, is_template, strings};

/// Makes a plan of a task in an environment, or names every problem.
pub fn plan(task: &Task, world: &World) -> Result<Plan, Vec<Problem>> {
    let mut check = Check { task, world, problems: Vec::new() };
    check.problems.extend(parameter::check(&task.parameters));
    let edges = check.edges();
    let steps: Vec<Option<PlannedStep>> = if check.problems.is_empty() {
        let order = in_data_order(&edges.inputs);
        check.steps(&edges, &order)
    } else {
        Vec::new()
    };
    let mut problems = check.problems;
    if !problems.is_empty() {
        problems.sort_by(|a, b| a.path.cmp(&b.path));
        return Err(problems);
    }
    let mut steps: Vec<PlannedStep> = steps.into_iter().flatten().collect();
    skip_dependents(&mut steps);
    let pipelines = pipelines(&steps);
    let plan = Plan { task: task.task.clone(), steps, pipelines };
    let problems = incremental::problems(task, &plan);
    if problems.is_empty() { Ok(plan) } else { Err(problems) }
}

pub(super) struct Check<'a> {
    pub(super) task: &'a Task,
    pub(super) world: &'a World,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    /// Resolves the steps in the order their rows flow, so that a transform can take its input's agent.
    fn steps(&mut self, edges: &Edges, order: &[usize]) -> Vec<Option<PlannedStep>> {
        let mut planned: Vec<Option<PlannedStep>> = vec![None; edges.inputs.len()];
        for &index in order {
            let first = edges.inputs[index].first().and_then(|input| planned[*input].as_ref());
            let inherited = first.and_then(|step| step.agent);
            planned[index] = self.step(index, edges, inherited);
        }
        planned
    }

    fn step(&mut self, index: usize, edges: &Edges, inherited: Option<AgentId>) -> Option<PlannedStep> {
        let step = &self.task.steps[index];
        if let Some(task) = &step.task {
            return self.call(index, step, task, edges);
        }
        self.only_calls(index, step);
        let connection = self.connection(index, step);
        let descriptor = self.descriptor(index, step, connection);
        let agent = self.agent(index, step, connection, inherited);
        let is_far = connection.zip(agent).is_some_and(|(connection, agent)| !connection.agents.contains(&agent.id));
        let through = if is_far { self.through(index, agent, connection, descriptor) } else { Vec::new() };
        if let (Some(agent), Some(descriptor)) = (agent, descriptor) {
            self.background_rule(index, step, descriptor, (agent, is_far));
        }
        if let Some(descriptor) = descriptor {
            self.use_of(index, step, descriptor);
        }
        self.inputs(index, step);
        let agent = agent?;
        let work = match (&step.transform, descriptor) {
            (Some(sql), _) => Work::Transform { sql: sql.clone() },
            (None, descriptor) => Work::Connector {
                kind: descriptor?.kind.clone(),
                connection: connection.map(|connection| connection.id),
                settings: Value::Object(step.with.clone()),
            },
        };
        Some(PlannedStep {
            name: step.name.clone(),
            work,
            agent: Some(agent.id),
            agent_name: agent.name.clone(),
            through,
            inputs: edges.inputs[index].clone(),
            after: edges.after[index].clone(),
            when: step.when.clone(),
            on_error: step.on_error,
            timeout: step.timeout,
            deadline: step.deadline.unwrap_or(DEADLINE_DEFAULT),
            retry: step.retry.unwrap_or_default(),
            runs: step.active,
        })
    }

    fn connection(&mut self, index: usize, step: &Step) -> Option<&'a ConnectionFacts> {
        let name = step.connection.as_deref()?;
        let known = &self.world.connections;
        let found = known.iter().find(|connection| connection.name == name);
        if found.is_none() {
            let near = nearest(name, known.iter().map(|connection| connection.name.as_str()));
            self.say(index, "/connection", "unknown_connection", format!("there is no connection `{name}`{near}"));
        }
        found
    }

    fn descriptor(
        &mut self,
        index: usize,
        step: &Step,
        connection: Option<&ConnectionFacts>,
    ) -> Option<&'a Descriptor> {
        let kind = match (&step.connector, &step.transform, connection) {
            (Some(_), Some(_), _) => {
                self.say(index, "", "two_actions", "a step has either `connector` or `transform`, not both".into());
                return None;
            }
            (None, Some(_), _) => return None,
            (Some(kind), None, Some(connection)) if *kind != connection.kind => {
                let text = format!("connection `{}` is of kind `{}`, not `{kind}`", connection.name, connection.kind);
                self.say(index, "/connector", "connector_mismatch", text);
                return None;
            }
            (Some(kind), None, _) => kind.as_str(),
            (None, None, Some(connection)) => connection.kind.as_str(),
            (None, None, None) if step.connection.is_some() => return None,
            (None, None, None) => {
                self.say(
                    index,
                    "",
                    "no_action",
                    "the step needs a `connector`, a `connection`, a `transform` or a `task`".into(),
                );
                return None;
            }
        };
        let catalog = &self.world.catalog;
        let found = catalog.iter().find(|descriptor| descriptor.kind == kind);
        if found.is_none() {
            let near = nearest(kind, catalog.iter().map(|descriptor| descriptor.kind.as_str()));
            self.say(index, "/connector", "unknown_connector", format!("there is no connector `{kind}`{near}"));
        }
        found
    }

    fn agent(
        &mut self,
        index: usize,
        step: &Step,
        connection: Option<&ConnectionFacts>,
        inherited: Option<AgentId>,
    ) -> Option<&'a AgentFacts> {
        let agents = &self.world.agents;
        let named = step.agent.as_deref();
        let by_name = named.and_then(|name| agents.iter().find(|agent| agent.name == name));
        if let (Some(name), None) = (named, by_name) {
            let near = nearest(name, agents.iter().map(|agent| agent.name.as_str()));
            self.say(index, "/agent", "unknown_agent", format!("there is no agent `{name}`{near}"));
            return None;
        }
        let of_connection = connection.and_then(|c| agents.iter().find(|agent| agent.id == c.agent));
        let inherited = inherited.filter(|_| step.transform.is_some());
        let agent = by_name.or(of_connection).or_else(|| agents.iter().find(|agent| Some(agent.id) == inherited));
        match agent {
            Some(agent) if !agent.active && step.active => {
                let text = format!("agent `{}` is deactivated; reactivate it or choose another", agent.name);
                self.say(index, "/agent", "agent_deactivated", text);
            }
            None if step.connection.is_none() && (step.transform.is_none() || step.input.is_empty()) => {
                self.say(
                    index,
                    "",
                    "no_agent",
                    "the step needs an `agent` or a `connection` to say where it runs".into(),
                );
            }
            _ => {}
        }
        agent
    }

    /// The agents that reach the connection where the step's own does not; a connector of files or programs has to run
    /// where they are.
    fn through(
        &mut self,
        index: usize,
        agent: Option<&AgentFacts>,
        connection: Option<&ConnectionFacts>,
        descriptor: Option<&Descriptor>,
    ) -> Vec<Through> {
        let (Some(agent), Some(connection), Some(descriptor)) = (agent, connection, descriptor) else {
            return Vec::new();
        };
        let reach = || self.world.agents.iter().filter(|one| connection.agents.contains(&one.id));
        let names = reach().map(|one| format!("`{}`", one.name)).collect::<Vec<_>>().join(" or ");
        if !descriptor.goes_through() {
            let text = format!(
                "connection `{}` is on the machine of agent {names}, not of `{}`; leave `agent` out",
                connection.name, agent.name
            );
            self.say(index, "/agent", "agent_mismatch", text);
            return Vec::new();
        }
        let active = reach().filter(|one| one.active);
        let through: Vec<Through> = active.map(|one| Through { agent: one.id, name: one.name.clone() }).collect();
        if through.is_empty() && self.task.steps[index].active {
            let text =
                format!("agent {names}, which reaches connection `{}`, is deactivated; reactivate it", connection.name);
            self.say(index, "/connection", "agent_deactivated", text);
        }
        through
    }

    /// Third-party connectors, and whatever reaches beyond the platform by itself, need a remote agent.
    fn background_rule(
        &mut self,
        index: usize,
        step: &Step,
        descriptor: &Descriptor,
        (agent, is_far): (&AgentFacts, bool),
    ) {
        if agent.kind != Kind::Background {
            return;
        }
        if let Some(why) = descriptor.background_refuses(is_far) {
            let text = format!(
                "step `{}` uses connector `{}`, which agent `{}` may not serve: {why}; choose a remote agent",
                step.name, descriptor.kind, agent.name
            );
            self.say(index, "/agent", "background_refused", text);
        }
    }

    /// Whether the connector can do what the step wants of it, with these settings.
    fn use_of(&mut self, index: usize, step: &Step, descriptor: &Descriptor) {
        if descriptor.needs_connection && step.connection.is_none() {
            let text = format!("connector `{}` needs a `connection`", descriptor.kind);
            self.say(index, "/connection", "no_connection", text);
        }
        let (schema, verb) = if step.input.is_empty() {
            (&descriptor.read_schema, "read; give the step an `input` to write")
        } else {
            (&descriptor.write_schema, "write; a step without `input` reads")
        };
        match schema {
            None => {
                let text = format!("connector `{}` cannot {verb}", descriptor.kind);
                self.say(index, "/connector", "wrong_direction", text);
            }
            Some(schema) => {
                self.settings(index, step, schema);
            }
        }
    }

    /// Checks a step's `with`. What an expression will give is not known yet: it is checked when the step starts.
    fn settings(&mut self, index: usize, step: &Step, schema: &Value) {
        let at = format!("/steps/{index}/with");
        let mut templates = Vec::new();
        for (field, value) in &step.with {
            let mut texts = Vec::new();
            strings(value, &format!("{at}/{field}"), &mut texts);
            texts.retain(|(_, text)| is_template(text));
            if is_sql(Some(schema), field) {
                for (path, text) in &texts {
                    let checked = Scope::of(self.task, self.world).text(text, Target::Sql);
                    let wrong = checked.err().into_iter().flatten();
                    let own = path.trim_start_matches(&format!("/steps/{index}")).to_owned();
                    wrong.for_each(|message| self.say(index, &own, "expression", message));
                }
            }
            templates.extend(texts.into_iter().map(|(path, _)| path));
        }
        let open = |p: &Problem| p.code == "bad_value" && templates.iter().any(|path| path.starts_with(&p.path));
        let found = against(schema, &Value::Object(step.with.clone()), &at).into_iter().filter(|p| !open(p));
        let name = &step.name;
        self.problems.extend(found.map(|p| Problem { step: Some(name.clone()), ..p }));
    }

    fn inputs(&mut self, index: usize, step: &Step) {
        let (transforms, inputs) = (step.transform.is_some(), step.input.len());
        if transforms && inputs == 0 {
            self.say(index, "/input", "no_input", "a transform needs at least one `input`".into());
        }
        if transforms && !step.with.is_empty() {
            self.say(index, "/with", "no_settings", "a transform takes no `with`: all is said in its query".into());
        }
        if !transforms && inputs > 1 {
            let text = "a connector takes one input; join or union them in a transform first".into();
            self.say(index, "/input", "too_many_inputs", text);
        }
        for name in &step.input {
            let Some(from) = self.task.steps.iter().find(|other| other.name == *name) else { continue };
            if from.task.is_some() {
                let text = format!("step `{name}` starts a task: it has no rows to give on; use `after`");
                self.say(index, "/input", "input_calls", text);
            } else if from.transform.is_none() && !from.input.is_empty() {
                self.say(index, "/input", "input_writes", format!("step `{name}` writes: it has no rows to give on"));
            }
        }
    }

    pub(super) fn say(&mut self, step: usize, at: &str, code: &str, message: String) {
        let name = self.task.steps[step].name.clone();
        let found = problem(&format!("/steps/{step}{at}"), code, message);
        self.problems.push(Problem { step: Some(name), ..found });
    }
}

/// The steps, each after its inputs; the inputs are known to form no circle.
fn in_data_order(inputs: &[Vec<usize>]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(inputs.len());
    while order.len() < inputs.len() {
        let ready = |step: &usize| !order.contains(step) && inputs[*step].iter().all(|input| order.contains(input));
        match (0..inputs.len()).find(ready) {
            Some(step) => order.push(step),
            None => break,
        }
    }
    order
}

/// What needs the rows of a step that does not run does not run either.
fn skip_dependents(steps: &mut [PlannedStep]) {
    for index in in_data_order(&steps.iter().map(|step| step.inputs.clone()).collect::<Vec<_>>()) {
        if steps[index].inputs.iter().any(|input| !steps[*input].runs) {
            steps[index].runs = false;
        }
    }
}
