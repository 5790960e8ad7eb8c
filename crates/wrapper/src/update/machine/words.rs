//! What the state machine hears and says.

use std::time::Duration;

use sallyport_release::{Digest, Version};

/// A release that may be installed: its signatures are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) folder: String,
    pub(crate) version: Version,
    pub(crate) hash: Digest,
    pub(crate) size: u64,
    pub(crate) sequence: u64,
    pub(crate) floor: Version,
    pub(crate) confirm_seconds: u32,
    pub(crate) drain: Duration,
}

/// What the server wants, after its signatures were looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Nothing was said yet.
    Unknown,
    /// Nothing; the reason.
    Nothing(String),
    /// Something that is not taken; the reason.
    Refused(String),
    /// This.
    Release(Target),
}

/// Who is to blame when a step did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The version: it is not tried again.
    Version(String),
    /// This machine or the way to the server: it is tried again.
    Passing(String),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Tick,
    Wanted(Wanted),
    Fetched(Result<(), Trouble>),
    Rehearsed(Result<(), Trouble>),
    /// The record that a switch needs is on the disk, or is not.
    Saved(Result<(), String>),
    /// What the server sees of the agent.
    Seen {
        process_id: Option<u32>,
        online: Duration,
        runs: u32,
    },
    /// The wrapper has no connection.
    Offline,
    AgentRuns {
        process_id: u32,
    },
    AgentEnded {
        expected: bool,
        how: String,
    },
    /// A person wants a failed version tried again.
    Retry,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Download, check and unpack it; answer with [`Event::Fetched`].
    Fetch(Target),
    /// Have it rehearse; answer with [`Event::Rehearsed`].
    Rehearse(Target),
    /// Write the record; answer with [`Event::Saved`].
    Save,
    /// End the agent, if it runs, and start the active version.
    Restart(String),
    /// Remove the folders that the record does not keep.
    CleanUp,
    /// Tell people, in the log.
    Tell { good: bool, text: String },
}
