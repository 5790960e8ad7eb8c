//! The wrapper's control connection: how the platform hears why an agent is down.

use serde::{Deserialize, Serialize};

use crate::{
    Crash, Examination, ExitCause, InstallationId, InstanceId, LogBatch, Presence, Refusal, ReleaseOffer, RequestId,
    Timestamp, UpdateReport, Versions,
};

/// How an agent process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentExit {
    /// When, by the wrapper's clock.
    pub at: Timestamp,
    /// The exit code, if it exited.
    #[serde(default)]
    pub code: Option<i32>,
    /// The signal's number, if one ended it (Unix).
    #[serde(default)]
    pub signal: Option<i32>,
    /// The last lines it wrote to its standard error, at most 40.
    #[serde(default)]
    pub stderr: Vec<String>,
    /// How often it was started again since the wrapper started.
    pub restarts: u32,
    /// How long until it is started again, in milliseconds.
    pub next_start_ms: u64,
    /// Whether it was asked to end.
    #[serde(default)]
    pub expected: bool,
    /// Why it ended, where the wrapper can tell.
    #[serde(default)]
    pub cause: Option<ExitCause>,
}

/// What a wrapper says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WrapperMessage {
    /// First on every connection.
    Hello {
        /// Protocol versions and capabilities.
        versions: Versions,
        /// The machine and the wrapper's process.
        presence: Presence,
        /// The unzipped folder.
        installation: InstallationId,
        /// The process.
        instance: InstanceId,
    },
    /// Sent every `heartbeat_seconds`.
    Heartbeat {
        /// Grows by one.
        seq: u64,
        /// The wrapper's clock.
        said_at: Timestamp,
    },
    /// The agent process was started.
    AgentStarted {
        /// When, by the wrapper's clock.
        at: Timestamp,
        /// Process id.
        process_id: u32,
    },
    /// The agent process ended; repeated after a reconnect if it was not delivered.
    AgentExited {
        /// How.
        exit: AgentExit,
    },
    /// An agent or wrapper left a crash file; repeated after a reconnect if it was not delivered.
    Crashed {
        /// What the file says, [`Crash::bounded`].
        crash: Crash,
    },
    /// The answer to [`ServerToWrapper::Examine`].
    Examined {
        /// The question's id.
        request: RequestId,
        /// What was found.
        examination: Examination,
    },
    /// Where an update stands; said first after the welcome and whenever it changes. The last one counts.
    Update {
        /// How it stands.
        report: UpdateReport,
    },
    /// As [`WrapperMessage::Update`], for the wrapper's own program.
    WrapperUpdate {
        /// How it stands.
        report: UpdateReport,
    },
    /// Log lines of the wrapper.
    Logs {
        /// In order, acknowledged by number.
        batch: LogBatch,
    },
    /// The wrapper leaves on purpose.
    Leaving {
        /// Why, in words.
        reason: String,
    },
    /// A message this build does not know.
    #[serde(other)]
    Unknown,
}

/// What the server says to a wrapper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerToWrapper {
    /// The wrapper is known.
    Welcome {
        /// The protocol version in use.
        version: u32,
        /// The agent's name on the platform.
        name: String,
        /// How often to send heartbeats.
        heartbeat_seconds: u32,
        /// The server's clock, to measure the offset.
        server_time: Timestamp,
    },
    /// The wrapper is not let in; the connection ends.
    Refused {
        /// Why.
        refusal: Refusal,
    },
    /// A heartbeat arrived.
    HeartbeatAck {
        /// Its number.
        seq: u64,
        /// The server's clock.
        server_time: Timestamp,
    },
    /// The server has stored the lines up to this batch.
    LogsAck {
        /// The batch's number.
        seq: u64,
    },
    /// End the agent and start it again.
    RestartAgent {
        /// Why, for the log.
        reason: String,
    },
    /// Which version the agent is to run; the last one counts.
    Offer {
        /// A release, or nothing to do.
        release: Option<ReleaseOffer>,
        /// Why there is nothing to do, or why this release: one sentence.
        reason: String,
    },
    /// Which version the wrapper itself is to be; the last one counts.
    OfferWrapper {
        /// A release, or nothing to do.
        release: Option<ReleaseOffer>,
        /// Why there is nothing to do, or why this release: one sentence.
        reason: String,
    },
    /// What the server sees of the agent; follows each acknowledged heartbeat.
    AgentSeen {
        /// The agent process that is online, by its id on its machine; absent while none is.
        #[serde(default)]
        process_id: Option<u32>,
        /// For how long it has been.
        #[serde(default)]
        online_seconds: u32,
        /// How many runs it works on.
        #[serde(default)]
        runs: u32,
    },
    /// Try a version of agent or wrapper again that has failed on this machine.
    RetryUpdate {
        /// Who wants it, for the log.
        reason: String,
    },
    /// Examine the installation. Only to a wrapper with the capability `examine`.
    Examine {
        /// To answer with.
        request: RequestId,
    },
    /// Make a support bundle and send it to [`path::BUNDLE`](crate::path::BUNDLE). Only to a wrapper with the capability
    /// `examine`.
    Bundle {
        /// To send it under.
        request: RequestId,
    },
    /// The server stops: reconnect after a random part of `spread_ms`.
    GoAway {
        /// So that a restart is no stampede.
        spread_ms: u64,
    },
    /// A message this build does not know.
    #[serde(other)]
    Unknown,
}
