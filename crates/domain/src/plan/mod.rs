//! From a task document to a plan: every step has its agent, its connection and its pipeline, or the problems are named.
//!
//! The same check runs when a task is saved and when a run starts, because agents and connections change in between.

mod call;
mod evaluate;
mod graph;
mod incremental;
mod pipelines;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use sallyport_protocol::{AgentId, ConnectionId, Descriptor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::Kind;
use crate::task::{OnError, Retry, Span};

pub use call::{CALL_DEPTH_MAX, check_calls};
pub use incremental::Stream;
pub use resolve::plan;

/// How long a step waits for an offline agent unless it says otherwise.
pub const DEADLINE_DEFAULT: Span = Span::seconds(24 * 3600);

/// What an environment has, as far as tasks can name it.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The connectors.
    pub catalog: Vec<Descriptor>,
    /// The agents, inactive ones included.
    pub agents: Vec<AgentFacts>,
    /// The connections.
    pub connections: Vec<ConnectionFacts>,
    /// Its variables.
    pub variables: Map<String, Value>,
}

/// An agent, as far as tasks can see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentFacts {
    /// Its id.
    pub id: AgentId,
    /// Its name.
    pub name: String,
    /// Background or remote.
    pub kind: Kind,
    /// Whether it may log in.
    pub active: bool,
}

/// A connection, as far as tasks can see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// Its id.
    pub id: ConnectionId,
    /// Its name.
    pub name: String,
    /// The connector's kind.
    pub kind: String,
    /// The agent that serves it now.
    pub agent: AgentId,
    /// All that reach it.
    pub agents: Vec<AgentId>,
}

/// A task that can run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The task's name.
    pub task: String,
    /// In the order of the document, inactive and skipped ones included.
    pub steps: Vec<PlannedStep>,
    /// Steps that run together, as indices into `steps`; only steps that run.
    pub pipelines: Vec<Vec<usize>>,
}

/// An agent that reaches a connection for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Through {
    /// Which.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
}

/// A step with everything resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The step's name.
    pub name: String,
    /// What it does.
    pub work: Work,
    /// The agent that runs it; none where it starts another task.
    pub agent: Option<AgentId>,
    /// That agent's name.
    pub agent_name: String,
    /// Those that reach its connection, where its own agent does not: each stream goes through one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<Through>,
    /// The steps whose rows come in, as indices into the plan's steps.
    pub inputs: Vec<usize>,
    /// The steps that must have ended well before it starts: those of `after`, and those whose results it uses.
    #[serde(default)]
    pub after: Vec<usize>,
    /// The condition under which it runs.
    #[serde(default)]
    pub when: Option<String>,
    /// What its failure means for the run.
    #[serde(default)]
    pub on_error: OnError,
    /// The longest one attempt may take.
    pub timeout: Option<Span>,
    /// How long it waits for an offline agent.
    pub deadline: Span,
    /// What to do after a failure that may pass.
    pub retry: Retry,
    /// Whether it runs: it is active and so is everything that it needs.
    pub runs: bool,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Work {
    /// Reads or writes with a connector.
    Connector {
        /// The connector's kind.
        kind: String,
        /// The connection, where it takes one.
        connection: Option<ConnectionId>,
        /// The step's `with`.
        settings: Value,
    },
    /// Runs SQL over the inputs.
    Transform {
        /// One query.
        sql: String,
    },
    /// Starts another task.
    Task {
        /// Its name.
        name: String,
        /// What it is given.
        parameters: Value,
        /// Whether the step ends with its run.
        wait: bool,
    },
}

impl Plan {
    /// The agents of a pipeline, each once, in the order of their first step.
    pub fn agents_of(&self, pipeline: usize) -> Vec<AgentId> {
        let mut agents = Vec::new();
        for agent in self.steps_of(pipeline).filter_map(|step| self.steps[step].agent) {
            if !agents.contains(&agent) {
                agents.push(agent);
            }
        }
        agents
    }

    /// The agents whose coming and going means something to a pipeline: its own, and those that reach connections for
    /// them.
    pub fn agents_needed(&self, pipeline: usize) -> BTreeSet<AgentId> {
        let through = self.steps_of(pipeline).flat_map(|step| &self.steps[step].through);
        self.agents_of(pipeline).into_iter().chain(through.map(|through| through.agent)).collect()
    }

    /// Whether a step of the pipeline reaches its connection through an agent that is not its own.
    pub fn goes_through(&self, pipeline: usize) -> bool {
        self.steps_of(pipeline).any(|step| !self.steps[step].through.is_empty())
    }

    /// The steps of a pipeline.
    pub fn steps_of(&self, pipeline: usize) -> impl Iterator<Item = usize> + '_ {
        self.pipelines.get(pipeline).into_iter().flatten().copied()
    }

    /// The steps outside of a pipeline that must have ended well before it starts.
    pub fn before(&self, pipeline: usize) -> impl Iterator<Item = usize> + '_ {
        self.steps_of(pipeline).flat_map(|step| self.steps[step].after.iter().copied())
    }

    /// The step of a pipeline that starts another task, which is a pipeline by itself, and whether it waits for its run.
    pub fn call_of(&self, pipeline: usize) -> Option<(usize, bool)> {
        self.steps_of(pipeline).find_map(|step| match self.steps[step].work {
            Work::Task { wait, .. } => Some((step, wait)),
            _ => None,
        })
    }

    /// The pipeline of a step that runs.
    pub fn pipeline_of(&self, step: usize) -> Option<usize> {
        self.pipelines.iter().position(|members| members.contains(&step))
    }

    /// Takes a step, and those that need its rows, out of the plan; answers them in the plan's order.
    pub fn skip(&mut self, step: usize) -> Vec<usize> {
        let mut skipped = vec![step];
        let mut next = 0;
        while let Some(&one) = skipped.get(next) {
            let more: Vec<usize> = self.consumers_of(one).filter(|step| !skipped.contains(step)).collect();
            skipped.extend(more);
            next += 1;
        }
        skipped.sort_unstable();
        for &one in &skipped {
            self.steps[one].runs = false;
        }
        self.pipelines.iter_mut().for_each(|members| members.retain(|step| !skipped.contains(step)));
        skipped
    }

    /// The steps that take a step's rows and run.
    pub fn consumers_of(&self, step: usize) -> impl Iterator<Item = usize> + '_ {
        self.steps.iter().enumerate().filter(move |(_, s)| s.runs && s.inputs.contains(&step)).map(|(index, _)| index)
    }

    /// The name of an agent that runs steps of this plan.
    pub fn agent_name(&self, agent: AgentId) -> &str {
        self.steps.iter().find(|step| step.agent == Some(agent)).map_or("", |step| step.agent_name.as_str())
    }
}

impl PlannedStep {
    /// The agents without which the step cannot start, by name: its own, and all that reach its connection for it where
    /// none of them is online.
    pub fn absent(&self, online: &BTreeSet<AgentId>) -> Vec<&str> {
        let own = self.agent.filter(|agent| !online.contains(agent)).map(|_| self.agent_name.as_str());
        let reached = self.through.is_empty() || self.through.iter().any(|one| online.contains(&one.agent));
        let others = if reached { &[][..] } else { &self.through };
        own.into_iter().chain(others.iter().map(|one| one.name.as_str())).collect()
    }
}
