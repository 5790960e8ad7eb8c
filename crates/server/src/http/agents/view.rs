//! Agents as the API shows them.

use sallyport_protocol::{AgentExit, ExecutedBy, ExitCause, Levels, LogLevel, Presence, UpdateReport, UpdateStep};
use sallyport_store::{Agent, AgentKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::health::{CrashView, LivenessView};
use crate::app::App;
use crate::http::time::{maybe_rfc3339, rfc3339};

/// Log levels: Trace, Debug, Info, Warning, Error, Fatal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LevelsView {
    /// For the log file and the server.
    #[serde(default)]
    #[schema(value_type = String)]
    pub(crate) file: LogLevel,
    /// For the console.
    #[serde(default)]
    #[schema(value_type = String)]
    pub(crate) console: LogLevel,
}

/// How many agents are online.
#[derive(Serialize, ToSchema)]
pub(crate) struct CountsView {
    /// Active and connected.
    pub(crate) online: u64,
    /// Active and not connected.
    pub(crate) offline: u64,
}

/// An agent.
#[derive(Serialize, ToSchema)]
pub(crate) struct AgentView {
    /// `agent_...`
    id: String,
    /// Unique in the environment, case ignored.
    name: String,
    /// `remote`, or `background` for the platform's own.
    kind: &'static str,
    /// An inactive agent cannot log in.
    active: bool,
    /// `online` or `offline`.
    status: &'static str,
    /// For log file and console.
    levels: LevelsView,
    /// Online since.
    connected_since: Option<String>,
    /// The machine it runs or ran on.
    machine_name: Option<String>,
    /// Where its connection came from.
    address: Option<String>,
    /// When its program's version changed last.
    last_update: Option<String>,
    /// The last sign of life.
    last_seen_at: Option<String>,
    /// The platform its download is made for.
    platform: Option<String>,
    /// Third-party connectors that the site registered.
    programs: Vec<String>,
    /// How far its clock is from the server's, in milliseconds; positive is ahead. Only while online.
    clock_offset_ms: Option<i64>,
    /// What its process said last.
    detail: Option<DetailView>,
    /// Its wrapper.
    wrapper: WrapperView,
    /// How its process ended last.
    last_exit: Option<ExitView>,
    /// Which release it runs, and what its wrapper does about another.
    update: Option<UpdateView>,
    /// Which release its wrapper is, and what it does about another.
    wrapper_update: Option<UpdateView>,
    /// Agent, wrapper and target told apart, and the likely cause; null in lists.
    pub(super) liveness: Option<LivenessView>,
    /// The newest crash; null without one, and in lists.
    pub(super) last_crash: Option<CrashView>,
    /// Grows with every edit; the `ETag`.
    version: i64,
    /// When it was made.
    created_at: String,
    /// When it was edited last.
    updated_at: String,
}

/// The machine and the process.
#[derive(Serialize, ToSchema)]
pub(crate) struct DetailView {
    /// The host's name.
    machine_name: String,
    /// The machine's own address.
    ip_address: Option<String>,
    /// Operating system with version.
    os: String,
    /// Processor architecture.
    architecture: String,
    /// Version of the agent.
    agent_version: Option<String>,
    /// Version of the wrapper.
    wrapper_version: Option<String>,
    /// The installation's folder.
    directory: String,
    /// The operating system's user.
    user: String,
    /// foreground, background, service or server.
    executed_by: &'static str,
    /// Process id.
    process_id: u32,
    /// Whether the process is a 64-bit one.
    is_64_bit: bool,
    /// Whether it may start programs.
    can_execute_process: bool,
    /// Whether it may write to its folder.
    can_write: bool,
    /// How the site's policy stands: none, permissive or restricted.
    policy: Option<String>,
    /// The fingerprint of its key, which seals streams to other agents.
    key: Option<String>,
    /// When the process started.
    started_at: String,
}

/// The supervisor beside the agent.
#[derive(Serialize, ToSchema)]
pub(crate) struct WrapperView {
    /// `online` or `offline`.
    status: &'static str,
    /// Online since.
    connected_since: Option<String>,
    /// Its version.
    version: Option<String>,
    /// The machine's name.
    machine_name: Option<String>,
}

/// Where an update stands, as the wrapper says.
#[derive(Serialize, ToSchema)]
pub(crate) struct UpdateView {
    /// Since when.
    at: String,
    /// idle, fetching, rehearsing, draining, confirming or other.
    step: &'static str,
    /// What is done, or why nothing is.
    text: String,
    /// The platform whose releases fit.
    platform: String,
    /// The version that came as a release and is active; null while the program of the download is.
    active_version: Option<String>,
    /// The SHA-256 of the archive it came in.
    active_sha256: Option<String>,
}

/// How an agent's process ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExitView {
    /// In words: why the agent is offline.
    text: String,
    /// When.
    at: String,
    /// The exit code.
    code: Option<i32>,
    /// The signal that ended it.
    signal: Option<i32>,
    /// hang, panic, out_of_memory, descriptors_exhausted, abort, stack_overflow, bad_memory, killed or other; null
    /// where the wrapper cannot tell.
    cause: Option<&'static str>,
    /// The last lines of its standard error.
    stderr: Vec<String>,
    /// How often it was started again.
    restarts: u32,
    /// Whether it was asked to end.
    expected: bool,
}

impl From<LevelsView> for Levels {
    fn from(levels: LevelsView) -> Self {
        Self { file: levels.file, console: levels.console }
    }
}

impl AgentView {
    pub(crate) fn of(agent: &Agent, app: &App) -> Self {
        let presence = agent.presence.as_ref();
        Self {
            id: agent.id.to_string(),
            name: agent.name.clone(),
            kind: match agent.kind {
                AgentKind::Background => "background",
                AgentKind::Remote => "remote",
            },
            active: agent.active,
            status: status(agent.connected_since.is_some()),
            levels: LevelsView { file: agent.levels.file, console: agent.levels.console },
            connected_since: maybe_rfc3339(agent.connected_since),
            machine_name: presence.map(|presence| presence.machine_name.clone()),
            address: agent.address.clone(),
            last_update: maybe_rfc3339(agent.last_update_at),
            last_seen_at: maybe_rfc3339(agent.last_seen_at),
            platform: agent.platform.clone(),
            programs: agent.programs.clone(),
            clock_offset_ms: app.live.gateway.clock_offset_micros(agent.id).map(|micros| micros / 1000),
            detail: presence.map(DetailView::from),
            wrapper: WrapperView {
                status: status(agent.wrapper_since.is_some()),
                connected_since: maybe_rfc3339(agent.wrapper_since),
                version: agent.wrapper_presence.as_ref().and_then(|presence| presence.wrapper_version.clone()),
                machine_name: agent.wrapper_presence.as_ref().map(|presence| presence.machine_name.clone()),
            },
            last_exit: agent.last_exit.as_ref().map(ExitView::from),
            update: agent.update.as_ref().map(UpdateView::from),
            wrapper_update: agent.wrapper_update.as_ref().map(UpdateView::from),
            liveness: None,
            last_crash: None,
            version: agent.version,
            created_at: rfc3339(agent.created_at),
            updated_at: rfc3339(agent.updated_at),
        }
    }
}

impl From<&Presence> for DetailView {
    fn from(presence: &Presence) -> Self {
        Self {
            machine_name: presence.machine_name.clone(),
            ip_address: presence.ip_address.clone(),
            os: presence.os.clone(),
            architecture: presence.architecture.clone(),
            agent_version: presence.agent_version.clone(),
            wrapper_version: presence.wrapper_version.clone(),
            directory: presence.directory.clone(),
            user: presence.user.clone(),
            executed_by: match presence.executed_by {
                ExecutedBy::Foreground => "foreground",
                ExecutedBy::Background => "background",
                ExecutedBy::Service => "service",
                ExecutedBy::Server => "server",
                ExecutedBy::Other => "other",
            },
            process_id: presence.process_id,
            is_64_bit: presence.is_64_bit,
            policy: presence.policy.clone(),
            key: presence.key.clone(),
            can_execute_process: presence.can_execute_process,
            can_write: presence.can_write,
            started_at: rfc3339(presence.started_at),
        }
    }
}

impl From<&UpdateReport> for UpdateView {
    fn from(report: &UpdateReport) -> Self {
        Self {
            at: rfc3339(report.at),
            step: match report.step {
                UpdateStep::Idle => "idle",
                UpdateStep::Fetching => "fetching",
                UpdateStep::Rehearsing => "rehearsing",
                UpdateStep::Draining => "draining",
                UpdateStep::Confirming => "confirming",
                UpdateStep::Other => "other",
            },
            text: report.text.clone(),
            platform: report.platform.clone(),
            active_version: report.active_version.clone(),
            active_sha256: report.active.clone(),
        }
    }
}

impl From<&AgentExit> for ExitView {
    fn from(exit: &AgentExit) -> Self {
        Self {
            text: crate::gateway::exit_text(exit),
            at: rfc3339(exit.at),
            code: exit.code,
            signal: exit.signal,
            cause: exit.cause.map(ExitCause::word),
            stderr: exit.stderr.clone(),
            restarts: exit.restarts,
            expected: exit.expected,
        }
    }
}

fn status(online: bool) -> &'static str {
    if online { "online" } else { "offline" }
}
