//! Work orders: what each agent of a pipeline is told, with tickets for the streams between agents and with secrets
//! that were opened just now.
//!
//! The rule of the background agent is asked here once more, because this is the last place before an agent acts.

use std::collections::{BTreeSet, HashMap};

use sallyport_domain::plan::{Plan, PlannedStep, Work};
use sallyport_domain::template::Values;
use sallyport_protocol::{
    Action, AgentId, AttemptKey, CONTROL_MESSAGE_BYTES_MAX, Checkpoint, ConnectionId, ConnectionOrder, EnvironmentId,
    Failure, FailureKind, Incremental, Inlet, Outlet, Peer, StepOrder, Through, Ticket, TunnelId, Via, WorkOrder,
};
use sallyport_store::{Agent, AgentKind, CheckpointKey, Connection, Error};

use super::Parts;
use super::entry::Entry;
use crate::relay::{Passage, Stream};
use crate::world::Surroundings;

/// Room for the message around the order.
const ENVELOPE: usize = 1024;

/// Why an attempt was not sent.
pub(super) struct Unsent {
    /// The step that cannot be done, where it is one step's fault.
    pub(super) step: Option<String>,
    /// What is wrong.
    pub(super) failure: Failure,
}

impl From<Failure> for Unsent {
    fn from(failure: Failure) -> Self {
        Self { step: None, failure }
    }
}

/// What the agents of a pipeline can do with streams between them.
pub(super) struct Can {
    /// All of them can go on with one after its connection was lost.
    pub(super) resume: bool,
    /// Those that can seal them.
    pub(super) seal: BTreeSet<AgentId>,
}

/// The orders of one attempt, one an agent.
pub(super) async fn build(
    parts: &Parts,
    entry: &Entry,
    pipeline: usize,
    key: AttemptKey,
    can: Can,
) -> Result<Vec<(AgentId, WorkOrder)>, Unsent> {
    let plan = &entry.run.plan;
    // An attempt that was announced and cannot be sent must end.
    let unread = |error: Error| failure("store", format!("reading agents and connections: {error}"));
    let known = parts.knowledge.of(entry.environment).await.map_err(unread)?;
    let Surroundings { agents, connections, .. } = &known.surroundings;
    let tickets = tickets(parts, plan, pipeline, key)?;
    let incremental = incremental(parts, entry, pipeline).await?;
    let values = entry.run.values(pipeline);
    let (environment, who) = (entry.environment, entry.who.as_str());
    let builder = Builder { parts, key, environment, who, plan, values, agents, connections, tickets, seals: can.seal };
    let (mut orders, resumes) = (Vec::new(), can.resume);
    for agent in plan.agents_of(pipeline) {
        let mut steps = Vec::new();
        for index in plan.steps_of(pipeline).filter(|step| plan.steps[*step].agent == Some(agent)) {
            let unsent = |failure| Unsent { step: Some(plan.steps[index].name.clone()), failure };
            steps.push(builder.step(index).map_err(unsent)?);
        }
        let (task, incremental, who) = (plan.task.clone(), incremental.clone(), entry.who.clone());
        let order = WorkOrder { key, task, steps, incremental, resumes, who };
        check_size(&order, plan.agent_name(agent))?;
        orders.push((agent, order));
    }
    Ok(orders)
}

/// How far the pipeline's incremental read is, with a fence that is greater than that of every earlier attempt.
async fn incremental(parts: &Parts, entry: &Entry, pipeline: usize) -> Result<Option<Incremental>, Failure> {
    let plan = &entry.run.plan;
    let Some(stream) = plan.incremental(pipeline) else { return Ok(None) };
    let (source, sink) = (plan.steps[stream.source].name.clone(), plan.steps[stream.sink].name.clone());
    let name = format!("{}/{source}/{sink}", entry.task);
    let key = CheckpointKey { task: entry.task, source, sink };
    let begun = parts.store.begin_checkpoint(entry.environment, key, parts.clock.now()).await;
    let begun = begun.map_err(|error| failure("store", format!("reading the checkpoint of `{name}`: {error}")))?;
    Ok(Some(Incremental {
        stream: name,
        epoch: begun.epoch,
        fence: begun.fence,
        checkpoint: begun.value.map(Checkpoint),
        backfill: entry.run.backfill.clone(),
    }))
}

/// The streams of a pipeline by producer and consumer: the tickets of both sides.
type Tickets = HashMap<(usize, usize), (Ticket, Ticket)>;

struct Builder<'a> {
    parts: &'a Parts,
    key: AttemptKey,
    environment: EnvironmentId,
    who: &'a str,
    plan: &'a Plan,
    values: Values,
    agents: &'a [Agent],
    connections: &'a [Connection],
    tickets: Tickets,
    seals: BTreeSet<AgentId>,
}

impl Builder<'_> {
    fn step(&self, index: usize) -> Result<StepOrder, Failure> {
        let step = &self.plan.steps[index];
        let inputs = step.inputs.iter().map(|from| Inlet {
            from: self.plan.steps[*from].name.clone(),
            via: match self.tickets.get(&(*from, index)) {
                Some((_, consumer)) => Via::Relay { ticket: consumer.clone(), peer: self.peer(index, *from) },
                None => Via::Local,
            },
        });
        let outputs = self.plan.consumers_of(index).filter_map(|to| {
            let (producer, _) = self.tickets.get(&(index, to))?;
            let (name, peer) = (self.plan.steps[to].name.clone(), self.peer(index, to));
            Some(Outlet { to: name, ticket: producer.clone(), peer })
        });
        Ok(StepOrder {
            name: step.name.clone(),
            action: self.action(step)?,
            through: self.through(step)?,
            inputs: inputs.collect(),
            outputs: outputs.collect(),
            timeout_ms: step.timeout.map(|span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX)),
        })
    }

    /// The agent of the step at the other end of a stream, where both can seal it.
    fn peer(&self, step: usize, other: usize) -> Option<Peer> {
        let of = |step: usize| self.plan.steps[step].agent.filter(|agent| self.seals.contains(agent));
        let (_, agent) = (of(step)?, of(other)?);
        Some(Peer { agent, name: self.plan.agent_name(agent).to_owned() })
    }

    fn action(&self, step: &PlannedStep) -> Result<Action, Failure> {
        Ok(match step.evaluated(&self.values, &self.parts.catalog)? {
            Work::Transform { sql } => Action::Transform { sql },
            Work::Task { .. } => return Err(failure("order", format!("step `{}` is no agent's", step.name))),
            Work::Connector { kind, connection, settings } => {
                self.background_rule(step, &kind)?;
                let connection = connection.map(|id| self.connection(step, &kind, id)).transpose()?;
                Action::Connector { kind, connection, settings }
            }
        })
    }

    /// The way to a connection that others than the step's agent reach now.
    fn through(&self, step: &PlannedStep) -> Result<Option<Through>, Failure> {
        let Work::Connector { connection: Some(id), .. } = &step.work else { return Ok(None) };
        let found = self.connections.iter().find(|connection| connection.id == *id);
        let Some((connection, agent)) = found.filter(|found| !reaches(step, found)).zip(step.agent) else {
            return Ok(None);
        };
        let who = format!("{}, step `{}` of {}", self.who, step.name, self.key.run);
        let (environment, tunnel) = (self.environment, TunnelId::new());
        let passage = Passage { key: self.key, agent, environment, connection: *id, tunnel, who };
        let ticket = self.parts.relay.permit(&passage).map_err(|error| unwritten(&error))?;
        Ok(Some(Through { ticket, agents: connection.agent_names().map(str::to_owned).collect() }))
    }

    fn background_rule(&self, step: &PlannedStep, kind: &str) -> Result<(), Failure> {
        let agent = self.agents.iter().find(|agent| Some(agent.id) == step.agent);
        let Some(agent) = agent.filter(|agent| agent.active) else {
            let text = format!("agent `{}` of step `{}` is deactivated or gone", step.agent_name, step.name);
            return Err(failure("agent_deactivated", text));
        };
        let descriptor = self.parts.catalog.iter().find(|descriptor| descriptor.kind == kind);
        match (agent.kind, descriptor.and_then(|descriptor| descriptor.background_refuses(!step.through.is_empty()))) {
            (AgentKind::Background, Some(why)) => {
                let text = format!(
                    "step `{}` uses connector `{kind}`, which agent `{}` may not serve: {why}; choose a remote agent",
                    step.name, agent.name
                );
                Err(failure("background_refused", text))
            }
            _ => Ok(()),
        }
    }

    fn connection(&self, step: &PlannedStep, kind: &str, id: ConnectionId) -> Result<ConnectionOrder, Failure> {
        let found = self.connections.iter().find(|connection| connection.id == id);
        let fits = |connection: &&Connection| {
            (reaches(step, connection) || !step.through.is_empty()) && connection.kind == kind
        };
        let Some(connection) = found.filter(fits) else {
            let text = format!("the connection of step `{}` was removed or changed while the run went on", step.name);
            return Err(failure("connection_changed", text));
        };
        let secrets = (self.parts.open_secrets)(connection).map_err(|error| {
            let (name, step) = (&connection.name, &step.name);
            failure("secrets", format!("opening the secrets of connection `{name}` for step `{step}`: {error:#}"))
        })?;
        Ok(ConnectionOrder { name: connection.name.clone(), settings: connection.settings.clone(), secrets })
    }
}

/// Whether the step's own agent reaches the connection.
fn reaches(step: &PlannedStep, connection: &Connection) -> bool {
    step.agent.is_some_and(|agent| connection.agents().any(|of_it| of_it == agent))
}

fn tickets(parts: &Parts, plan: &Plan, pipeline: usize, key: AttemptKey) -> Result<Tickets, Failure> {
    let mut tickets = Tickets::new();
    for to in plan.steps_of(pipeline) {
        for &from in &plan.steps[to].inputs {
            let (producer, consumer) = (plan.steps[from].agent, plan.steps[to].agent);
            if let (Some(producer), Some(consumer)) = (producer, consumer)
                && producer != consumer
            {
                let number = |step| u32::try_from(step).unwrap_or(u32::MAX);
                let stream = Stream { key, from: number(from), to: number(to) };
                let pair = parts.relay.open(stream, producer, consumer);
                let pair = pair.map_err(|error| unwritten(&error))?;
                tickets.insert((from, to), pair);
            }
        }
    }
    Ok(tickets)
}

fn check_size(order: &WorkOrder, agent: &str) -> Result<(), Failure> {
    let bytes = serde_json::to_vec(order).map_err(|error| failure("order", error.to_string()))?.len();
    if bytes + ENVELOPE > CONTROL_MESSAGE_BYTES_MAX {
        let text = format!(
            "the steps for agent `{agent}` are {bytes} bytes, over the limit of {CONTROL_MESSAGE_BYTES_MAX}; make their queries and settings shorter"
        );
        return Err(failure("order_too_large", text));
    }
    Ok(())
}

fn unwritten(error: &serde_json::Error) -> Failure {
    failure("ticket", format!("making a ticket: {error}"))
}

fn failure(code: &str, message: String) -> Failure {
    Failure { kind: FailureKind::Runtime, code: code.to_owned(), message, advice: None, transient: false }
}
