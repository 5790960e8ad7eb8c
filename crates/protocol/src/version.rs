//! Versions, capabilities and the paths that agents and wrappers dial.

use serde::{Deserialize, Serialize};

/// The oldest protocol this build speaks.
pub const PROTOCOL_MIN: u32 = 1;
/// The newest protocol this build speaks.
pub const PROTOCOL_MAX: u32 = 1;

/// The largest control message, in bytes; a larger one ends the connection.
pub const CONTROL_MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Where each kind of connection is dialled, below the server's address.
pub mod path {
    /// The agent's control connection.
    pub const AGENT: &str = "/connect/agent";
    /// The wrapper's control connection.
    pub const WRAPPER: &str = "/connect/wrapper";
    /// A data connection: one stream each.
    pub const DATA: &str = "/connect/data";
    /// The control connection of a new agent version that only tries whether it would be let in.
    pub const REHEARSAL: &str = "/connect/rehearsal";
    /// What a login would meet: answers with a [`Checkup`](crate::Checkup) and begins no session.
    pub const CHECKUP: &str = "/connect/checkup";
    /// Where the wrapper sends a support bundle that it was asked for (`?request=`).
    pub const BUNDLE: &str = "/connect/bundle";
    /// The wrapper's download of a release's archive (`?sha256=`), from any byte on.
    pub const ARCHIVE: &str = "/connect/archive";
    /// A tunnel line of an agent: it waits for streams that the server opens.
    pub const TUNNEL: &str = "/connect/tunnel";
    /// A tunnel line of a person (`?connection=NAME&tunnel=ID`), with a login or API token.
    pub const STREAM: &str = "/connect/stream";
    /// A tunnel line of an agent's step whose connection others reach, with the ticket in
    /// [`TICKET_HEADER`](crate::TICKET_HEADER).
    pub const THROUGH: &str = "/connect/through";
    /// The wrapper's download of the agent program for its platform (`?platform=linux-x86_64`).
    pub const RELEASE: &str = "/connect/release";
}

/// Names of what a peer can do beyond the protocol's version.
pub mod capability {
    /// Reads and writes data as record batches.
    pub const DATA: &str = "data";
    /// Runs programs that the site registered.
    pub const PROGRAM: &str = "program";
    /// Reads incrementally: says where to go on, and commits checkpoints with the rows.
    pub const CHECKPOINT: &str = "checkpoint";
    /// Goes on with a stream to another agent after its connection was lost.
    pub const RESUME: &str = "resume";
    /// Seals streams to other agents, see [`crate::Peer`].
    pub const SEAL: &str = "seal";
    /// Opens TCP streams for people, see [`crate::TunnelWord`].
    pub const TUNNEL: &str = "tunnel";
    /// Sends HTTP requests for people, see [`crate::HttpOrder`].
    pub const VIA: &str = "via";
    /// Reaches a connection's target through another agent, see [`crate::Through`].
    pub const THROUGH: &str = "through";
    /// Tests connections stage by stage.
    pub const TEST_CONNECTION: &str = "test_connection";
    /// Shows the first rows that a step would read.
    pub const PREVIEW: &str = "preview";
    /// A wrapper's: examines the installation and makes a support bundle when asked.
    pub const EXAMINE: &str = "examine";
}

/// The protocol versions and capabilities of one side, said first on every control connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Oldest understood.
    pub min: u32,
    /// Newest understood.
    pub max: u32,
    /// Words from [`capability`]; unknown ones are ignored.
    #[serde(default)]
    pub capabilities: Vec<String>,
}

impl Versions {
    /// What this build speaks.
    pub fn ours(capabilities: &[&str]) -> Self {
        Self {
            min: PROTOCOL_MIN,
            max: PROTOCOL_MAX,
            capabilities: capabilities.iter().map(ToString::to_string).collect(),
        }
    }

    /// The newest version both sides understand.
    pub fn agree(&self, other: &Self) -> Option<u32> {
        let version = self.max.min(other.max);
        (version >= self.min && version >= other.min).then_some(version)
    }
}
