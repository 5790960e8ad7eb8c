//! What a connector says of itself, and how a connection is tested.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who made a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Part of the platform.
    BuiltIn,
    /// Made by others; served by remote agents only.
    ThirdParty,
}

/// How far a connector reaches from the agent that runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Nothing but its input and output.
    Nothing,
    /// Files below the agent's root folder.
    Files,
    /// Other hosts.
    Network,
    /// Whatever the program it starts reaches.
    Programs,
}

/// A connector as the catalogue shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Descriptor {
    /// The word in tasks and connections, such as `postgres`.
    pub kind: String,
    /// The name people read, such as `PostgreSQL`.
    pub title: String,
    /// One sentence.
    pub summary: String,
    /// Who made it.
    pub origin: Origin,
    /// How far it reaches.
    pub reach: Reach,
    /// What delivery a sink of this kind promises, in words; absent where it cannot write.
    #[serde(default)]
    pub promise: Option<String>,
    /// Whether a step of this kind needs a connection (else it names an agent).
    pub needs_connection: bool,
    /// JSON Schema of a connection's settings, secrets excluded; absent where it takes no connection.
    #[serde(default)]
    pub connection_schema: Option<Value>,
    /// Names of a connection's secrets.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// JSON Schema of a reading step's `with`; absent where it cannot read.
    #[serde(default)]
    pub read_schema: Option<Value>,
    /// JSON Schema of a writing step's `with`; absent where it cannot write.
    #[serde(default)]
    pub write_schema: Option<Value>,
}

/// One stage of a connection's test: name, port, TLS, login, query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// `settings`, `name`, `port`, `tls`, `login`, `query`, `folder`, ...
    pub stage: String,
    /// Whether it passed.
    pub ok: bool,
    /// What was seen: the address, the server's version, or what went wrong and what to do.
    pub detail: String,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// The stages in the order they were tried; the first failed one is the last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionTest {
    /// At least one.
    pub stages: Vec<Stage>,
}

impl Descriptor {
    /// Whether an agent that does not reach a connection's target itself can use it through one that does.
    pub fn goes_through(&self) -> bool {
        self.origin == Origin::BuiltIn && self.reach == Reach::Network
    }

    /// Why the background agent may not serve this connector, if it may not. With `through` a remote agent reaches the
    /// target.
    pub fn background_refuses(&self, through: bool) -> Option<&'static str> {
        match (self.origin, self.reach) {
            (Origin::ThirdParty, _) => Some("third-party connectors are served by remote agents only"),
            _ if through && self.goes_through() => None,
            (Origin::BuiltIn, Reach::Network | Reach::Programs) => {
                Some("it serves only steps that reach no external or remote resource")
            }
            (Origin::BuiltIn, Reach::Nothing | Reach::Files) => None,
        }
    }
}

impl ConnectionTest {
    /// Whether every stage passed.
    pub fn passed(&self) -> bool {
        !self.stages.is_empty() && self.stages.iter().all(|stage| stage.ok)
    }
}
