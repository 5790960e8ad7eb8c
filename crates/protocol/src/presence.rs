//! What an agent or wrapper tells of the machine and process it is.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// How the process came to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutedBy {
    /// In a terminal, by a person.
    #[default]
    Foreground,
    /// Detached from any terminal.
    Background,
    /// By the service manager.
    Service,
    /// Inside the server.
    Server,
    /// A way this build does not know.
    #[serde(other)]
    Other,
}

/// Facts about the machine and the process, fixed while the process lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The host's name.
    pub machine_name: String,
    /// The address the connection leaves from, as the machine sees it; the server adds the one it sees.
    #[serde(default)]
    pub ip_address: Option<String>,
    /// Operating system with version, such as `Debian GNU/Linux 12`.
    pub os: String,
    /// Processor architecture, such as `x86_64`.
    pub architecture: String,
    /// Version of the agent program; absent from a wrapper that has none installed.
    #[serde(default)]
    pub agent_version: Option<String>,
    /// Version of the wrapper; absent when the agent was started by hand.
    #[serde(default)]
    pub wrapper_version: Option<String>,
    /// The installation's folder.
    pub directory: String,
    /// The operating system's user that runs the process.
    pub user: String,
    /// How it was started.
    #[serde(default)]
    pub executed_by: ExecutedBy,
    /// Process id.
    pub process_id: u32,
    /// Whether the process is a 64-bit one.
    pub is_64_bit: bool,
    /// Whether it may start other programs.
    pub can_execute_process: bool,
    /// Whether it may write to its folder.
    pub can_write: bool,
    /// How the site's policy stands: `none` (no file), `permissive` or `restricted`; absent from a wrapper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The fingerprint of the agent's own key; absent from a wrapper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When the process started.
    pub started_at: Timestamp,
    /// The process's clock when this was said; the server derives the clock offset from it.
    pub said_at: Timestamp,
}
