//! The agent's control connection, both directions, on one page.

use serde::{Deserialize, Serialize};

use crate::{
    AttemptKey, ConnectionOrder, ConnectionTest, InstallationId, InstanceId, LogBatch, LogLevel, OrderReport, Presence,
    Preview, PreviewOrder, Refusal, RequestId, StepCounts, Timestamp, TunnelId, Versions, WorkOrder,
};

/// Log levels of an agent, set apart for file and console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// For the log file and the server.
    pub file: LogLevel,
    /// For the console.
    pub console: LogLevel,
}

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AgentMessage {
    /// First on every connection.
    Hello {
        /// Protocol versions and capabilities.
        versions: Versions,
        /// The machine and the process.
        presence: Presence,
        /// The unzipped folder.
        installation: InstallationId,
        /// The process.
        instance: InstanceId,
        /// Attempts that it is running; those that the server thinks it runs and that are not here are lost.
        #[serde(default)]
        running: Vec<AttemptKey>,
        /// Programs that the site registered as third-party connectors, by name.
        #[serde(default)]
        programs: Vec<String>,
    },
    /// Sent every `heartbeat_seconds`.
    Heartbeat {
        /// Grows by one.
        seq: u64,
        /// The agent's clock.
        said_at: Timestamp,
    },
    /// A work order arrived and will be executed.
    Accepted {
        /// Its attempt.
        key: AttemptKey,
    },
    /// What passed through the steps of an attempt so far; about once a second while something moves.
    Progress {
        /// The attempt.
        key: AttemptKey,
        /// By step name.
        steps: Vec<(String, StepCounts)>,
    },
    /// A work order ended; repeated after a reconnect until acknowledged.
    Finished {
        /// How.
        report: OrderReport,
    },
    /// Log lines.
    Logs {
        /// In order, acknowledged by number.
        batch: LogBatch,
    },
    /// The answer to [`ServerToAgent::TestConnection`].
    ConnectionTested {
        /// The question's id.
        request: RequestId,
        /// Stage by stage.
        test: ConnectionTest,
    },
    /// The answer to [`ServerToAgent::Preview`].
    Previewed {
        /// The question's id.
        request: RequestId,
        /// What was seen.
        preview: Preview,
    },
    /// The agent leaves on purpose: this is not a loss.
    Leaving {
        /// Why, in words.
        reason: String,
    },
    /// A message this build does not know.
    #[serde(other)]
    Unknown,
}

/// What the server says to an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerToAgent {
    /// The agent is online.
    Welcome {
        /// The protocol version in use.
        version: u32,
        /// The agent's name on the platform.
        name: String,
        /// How often to send heartbeats.
        heartbeat_seconds: u32,
        /// The server's clock, to measure the offset.
        server_time: Timestamp,
        /// Log levels as set on the platform.
        levels: Levels,
    },
    /// The agent is not let in; the connection ends.
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
    /// Do this.
    Start {
        /// The order; a repeat of one that runs or ran is answered, not executed again.
        order: WorkOrder,
    },
    /// Stop an attempt and remove what it has half written.
    Cancel {
        /// The attempt.
        key: AttemptKey,
        /// Why, for the step's log.
        reason: String,
    },
    /// The server has stored the report.
    FinishedAck {
        /// Its attempt.
        key: AttemptKey,
    },
    /// The server has stored the lines up to this batch.
    LogsAck {
        /// The batch's number.
        seq: u64,
    },
    /// Log at these levels from now on.
    SetLevels {
        /// For file and console.
        levels: Levels,
    },
    /// Try a connection from where the agent is.
    TestConnection {
        /// To answer with.
        request: RequestId,
        /// The connector's kind.
        kind: String,
        /// What to try.
        connection: ConnectionOrder,
    },
    /// Show the first rows that a step would read.
    Preview {
        /// To answer with.
        request: RequestId,
        /// What to look at.
        order: PreviewOrder,
    },
    /// Open tunnel lines to the server, which wait there for streams.
    DialTunnels {
        /// How many.
        count: u32,
    },
    /// A tunnel has ended: nothing more comes for it.
    TunnelEnded {
        /// Which.
        tunnel: TunnelId,
        /// Why, for the log.
        reason: String,
    },
    /// Cancel everything, end, and be started again by the wrapper.
    Restart {
        /// Why, for the log.
        reason: String,
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
