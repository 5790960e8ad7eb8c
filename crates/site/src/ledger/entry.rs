//! What one entry says.

use sallyport_protocol::{RunId, Timestamp, TunnelId};
use serde::{Deserialize, Serialize};

/// One use of a connection: a step's, or that of streams of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it ended.
    pub at: Timestamp,
    /// What it was for.
    pub cause: Cause,
    /// Who asked: a person's e-mail address, or what started the run. Empty where the server does not say.
    #[serde(default)]
    pub who: String,
    /// The connection's name, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The connector's kind.
    pub kind: String,
    /// Host and port, or what the connector touched on this machine.
    pub target: String,
    /// Seen from this machine.
    pub direction: Direction,
    /// Rows that were read or written; 0 for streams.
    #[serde(default)]
    pub rows: u64,
    /// Bytes to the target.
    #[serde(default)]
    pub bytes_to: u64,
    /// Bytes from the target.
    #[serde(default)]
    pub bytes_from: u64,
}

/// What connections are used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Cause {
    /// One attempt of a step.
    Step {
        /// The run.
        run: RunId,
        /// The task's name.
        task: String,
        /// The step's name.
        step: String,
        /// From 1.
        attempt: u32,
    },
    /// A person's look at the first rows of a step.
    Preview {
        /// The step's name.
        step: String,
    },
    /// Streams of a tunnel that ended together.
    Streams {
        /// The tunnel.
        tunnel: TunnelId,
        /// How many.
        streams: u64,
    },
    /// A cause this build does not know.
    #[serde(other)]
    Unknown,
}

/// Where data went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Read from the target.
    From,
    /// Written to the target.
    To,
    /// A tunnel's.
    Both,
    /// One this build does not know.
    #[serde(other)]
    Unknown,
}

impl Entry {
    /// Bytes both ways.
    pub fn bytes(&self) -> u64 {
        self.bytes_to.saturating_add(self.bytes_from)
    }

    /// Adds `later` where both are streams of one tunnel to one target.
    fn absorbs(&mut self, later: &Self) -> bool {
        let same = (&self.who, &self.connection, &self.target) == (&later.who, &later.connection, &later.target);
        match (&mut self.cause, &later.cause) {
            (Cause::Streams { tunnel, streams }, Cause::Streams { tunnel: other, streams: more })
                if same && tunnel == other =>
            {
                *streams += more;
            }
            _ => return false,
        }
        self.at = later.at;
        self.bytes_to += later.bytes_to;
        self.bytes_from += later.bytes_from;
        true
    }
}

/// Joins streams of one tunnel that ended together: thousands of short ones are one line.
pub fn merge(entries: Vec<Entry>) -> Vec<Entry> {
    let mut merged: Vec<Entry> = Vec::new();
    for entry in entries {
        if !merged.iter_mut().any(|before| before.absorbs(&entry)) {
            merged.push(entry);
        }
    }
    merged
}
