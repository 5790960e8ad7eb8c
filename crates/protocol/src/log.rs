//! Log lines on their way from a site to the server.

use serde::{Deserialize, Serialize};

use crate::{LogLevel, RunId, Timestamp};

/// The longest message of one line, in bytes; what is longer is cut and ends in `…`.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// Cuts a text that is longer than `most` bytes at a character's edge; it then ends in `…`.
pub fn shorten(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most.saturating_sub('…'.len_utf8())));
        text.push('…');
    }
}

/// The most lines in one batch.
pub const LINES_PER_BATCH_MAX: usize = 200;

/// Names of events that stay the same across versions, so that people can search and alarm on them (`logName=`).
pub mod event {
    /// A data connection or tunnel was opened.
    pub const TUNNEL_CREATED: &str = "tunnelCreated";
    /// A data connection or tunnel is ready to carry bytes.
    pub const TUNNEL_READY_FOR_USE: &str = "tunnelReadyForUse";
    /// A heartbeat was sent and acknowledged.
    pub const HEARTBEAT_SENT: &str = "heartbeatSent";
    /// A heartbeat was not acknowledged, or the connection to the server failed.
    pub const HEARTBEAT_FAILED: &str = "heartbeatFailed";
    /// The server's name cannot be resolved or no route leads there.
    pub const NO_INTERNET: &str = "noInternet";
    /// A data connection or tunnel was asked for.
    pub const REQUEST_TUNNEL: &str = "requestTunnel";
    /// Bytes could not be forwarded.
    pub const FORWARD_IN_ERROR: &str = "forwardInError";
    /// The program met a bug in itself.
    pub const UNCAUGHT_EXCEPTION: &str = "uncaughtException";
}

/// The attempt of a step that a line belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRef {
    /// The run.
    pub run: RunId,
    /// The step's name; absent for lines about the run as a whole.
    #[serde(default)]
    pub step: Option<String>,
    /// The attempt, from 1; absent for lines about the run as a whole.
    #[serde(default)]
    pub attempt: Option<u32>,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written, by the writer's clock.
    pub at: Timestamp,
    /// How serious it is.
    pub level: LogLevel,
    /// The part of the program that wrote it.
    pub target: String,
    /// A name from [`event`], where the line has one.
    #[serde(default)]
    pub event: Option<String>,
    /// The constant message, then its fields as `name=value`.
    pub message: String,
    /// The run it belongs to, if any.
    #[serde(default)]
    pub run: Option<RunRef>,
}

/// Lines in the order of their writing; repeated until the server has acknowledged `seq`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBatch {
    /// Grows by one with every batch of one process, from 1.
    pub seq: u64,
    /// How many lines were lost before this batch because the spool was full.
    #[serde(default)]
    pub dropped: u64,
    /// At most [`LINES_PER_BATCH_MAX`].
    pub lines: Vec<LogLine>,
}
