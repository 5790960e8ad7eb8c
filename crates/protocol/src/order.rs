//! Work orders: the part of a run that one agent does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AgentId, Incremental, RunId, Secret, Ticket};

/// Names one attempt at one pipeline of a run. Steps joined by data edges form a pipeline and are tried together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttemptKey {
    /// The run.
    pub run: RunId,
    /// The pipeline's number in the run, from 0.
    pub pipeline: u32,
    /// From 1.
    pub attempt: u32,
    /// Fencing token: grows with every attempt; reports and commits under an older one are refused.
    pub fence: u64,
}

/// All steps of one attempt that one agent runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkOrder {
    /// The attempt.
    pub key: AttemptKey,
    /// The task's name, for logs.
    pub task: String,
    /// In the order of the task's document.
    pub steps: Vec<StepOrder>,
    /// Given where a step of the pipeline reads incrementally.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incremental: Option<Incremental>,
    /// Whether its streams to other agents go on after a lost connection: every agent of the attempt can do that.
    #[serde(default)]
    pub resumes: bool,
    /// Who asked for the run: a person's e-mail address, or what started it. For the site's ledger.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub who: String,
}

/// One step to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepOrder {
    /// The step's name, unique in the task.
    pub name: String,
    /// What to do.
    pub action: Action,
    /// Where rows come from; empty for a source.
    #[serde(default)]
    pub inputs: Vec<Inlet>,
    /// Streams to steps on other agents; steps on this agent name this step in their inputs.
    #[serde(default)]
    pub outputs: Vec<Outlet>,
    /// The longest this attempt may take, in milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Given where other agents than this one reach the connection's target. Only to an agent with the capability
    /// `through`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Through>,
}

/// The way to a connection's target that goes through the server and another agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Through {
    /// Opens tunnel lines at [`path::THROUGH`](crate::path::THROUGH).
    pub ticket: Ticket,
    /// The names of the agents, one of which opens each stream.
    pub agents: Vec<String>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Action {
    /// Reads (no inputs) or writes (one input) with a connector.
    Connector {
        /// The connector's kind.
        kind: String,
        /// Address and credentials, where the connector takes a connection.
        #[serde(default)]
        connection: Option<ConnectionOrder>,
        /// The step's `with`.
        settings: Value,
    },
    /// Runs SQL over the inputs, each a table with the input step's name.
    Transform {
        /// One query.
        sql: String,
    },
    /// An action this build does not know; the step fails.
    #[serde(other)]
    Unknown,
}

/// A connection with its secrets opened; sent only to the agent that needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionOrder {
    /// The connection's name, for errors.
    pub name: String,
    /// As the connector's connection schema says.
    pub settings: Value,
    /// By the names in the connector's descriptor.
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
}

/// An input of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inlet {
    /// The step whose rows come in.
    pub from: String,
    /// How they come.
    pub via: Via,
}

/// An output to a step on another agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlet {
    /// The step that takes the rows.
    pub to: String,
    /// Opens the stream at the relay.
    pub ticket: Ticket,
    /// Given where the stream is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Peer>,
}

/// The agent at the other end of a sealed stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Which.
    pub agent: AgentId,
    /// Its name, for people.
    pub name: String,
}

/// How rows pass from one step to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Via {
    /// In the process.
    Local,
    /// Through the server's relay.
    Relay {
        /// Opens the stream.
        ticket: Ticket,
        /// Given where the stream is sealed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<Peer>,
    },
    /// A way this build does not know; the step fails.
    #[serde(other)]
    Unknown,
}
