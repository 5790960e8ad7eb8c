//! What server, agent and wrapper say to each other.
//!
//! Invariant: types and serde only. Nothing here opens a socket, a file or a database; the one reading of the
//! machine's time is [`Clock::system`], so that everything else can take a clock as an argument.
//!
//! Compatibility: fields are only added, with `#[serde(default)]`; enums carry a catch-all variant where an older
//! reader may meet a newer word. No `flatten`, no `untagged`.

mod agent;
mod checkpoint;
mod connector;
mod data;
mod health;
mod id;
mod level;
mod log;
mod order;
mod outcome;
mod presence;
mod preview;
mod refusal;
mod secret;
mod time;
mod tunnel;
mod update;
mod version;
mod wrapper;

pub use agent::{AgentMessage, Levels, ServerToAgent};
pub use checkpoint::{Backfill, CHECKPOINT_BYTES_MAX, Checkpoint, Committed, Incremental};
pub use connector::{ConnectionTest, Descriptor, Origin, Reach, Stage};
pub use data::{DataReply, DataRequest, Side, TICKET_HEADER, Ticket};
pub use health::{CRASH_BYTES_MAX, Checkup, Crash, Examination, ExitCause, Finding, Verdict};
pub use id::{
    AgentId, ChannelId, CompanyId, ConnectionId, EnvironmentId, InstallationId, InstanceId, NoticeId, ParseIdError,
    RequestId, RunId, TaskId, TaskVersionId, TokenId, TunnelId, UserId,
};
pub use level::{LogLevel, ParseLevelError};
pub use log::{LINE_BYTES_MAX, LINES_PER_BATCH_MAX, LogBatch, LogLine, RunRef, event, shorten};
pub use order::{Action, AttemptKey, ConnectionOrder, Inlet, Outlet, Peer, StepOrder, Through, Via, WorkOrder};
pub use outcome::{Failure, FailureKind, OrderReport, StepCounts, StepOutcome, StepReport};
pub use presence::{ExecutedBy, Presence};
pub use preview::{Preview, PreviewColumn, PreviewOrder};
pub use refusal::{Refusal, RefusalCode};
pub use secret::Secret;
pub use time::{Clock, Timestamp};
pub use tunnel::{HttpOrder, TUNNEL_WORD_BYTES_MAX, TunnelOrder, TunnelRefusal, TunnelRefusalCode, TunnelWord};
pub use update::{ReleaseOffer, ReleaseSignature, UpdateReport, UpdateStep};
pub use version::{CONTROL_MESSAGE_BYTES_MAX, PROTOCOL_MAX, PROTOCOL_MIN, Versions, capability, path};
pub use wrapper::{AgentExit, ServerToWrapper, WrapperMessage};
