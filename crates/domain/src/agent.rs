//! Rules about agents: names, who may be deactivated.

use sallyport_protocol::AgentId;
use serde::{Deserialize, Serialize};

/// The platform's own agent or one that a site installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Inside the server; always online.
    Background,
    /// Installed next to the resources.
    Remote,
}

/// The background agent's name; no other agent may have it.
pub const BACKGROUND_NAME: &str = "background";

/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 64;

/// Why something may not be done to an agent. The text is for the person who asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The name cannot be used.
    #[error("{0}")]
    Name(String),
    /// Online agents are not deactivated.
    #[error("agent `{0}` is online; stop it on its machine first, then deactivate it")]
    Online(String),
    /// The agent is in use.
    #[error(
        "agent `{agent}` is configured on active step `{step}` of active task `{task}`; deactivate the step or the task, or move the step to another agent"
    )]
    InUse {
        /// The agent's name.
        agent: String,
        /// The task's name.
        task: String,
        /// The step's name.
        step: String,
    },
    /// The background agent belongs to the platform.
    #[error("the background agent is part of the platform and cannot be {0}")]
    Background(&'static str),
}

/// Whether a name may be given to a remote agent. It becomes part of a file's name, so nothing that a file system
/// takes for a path or refuses is let through.
pub fn check_name(name: &str) -> Result<(), Refused> {
    let refuse = |why: &str| Err(Refused::Name(format!("agent name `{name}` {why}")));
    if name.trim() != name || name.is_empty() {
        return refuse("must not be empty or start or end with a space");
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return refuse(&format!("is longer than {NAME_CHARS_MAX} characters"));
    }
    if name.chars().any(|c| c.is_control() || r#"/\:*?"<>|"#.contains(c)) {
        return refuse(r#"must not contain control characters or any of / \ : * ? " < > |"#);
    }
    if name.ends_with('.') || name.starts_with('.') {
        return refuse("must not start or end with a dot");
    }
    if name.eq_ignore_ascii_case(BACKGROUND_NAME) {
        return refuse("is the platform's own; choose another");
    }
    Ok(())
}

/// An active step of an active task that names an agent, directly or through its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The task's name.
    pub task: String,
    /// The step's name.
    pub step: String,
    /// The agent that serves it.
    pub agent: AgentId,
}

/// Whether an agent may be deactivated now. `uses` may hold other agents' too.
pub fn may_deactivate(agent: AgentId, name: &str, kind: Kind, online: bool, uses: &[Use]) -> Result<(), Refused> {
    if kind == Kind::Background {
        return Err(Refused::Background("deactivated"));
    }
    if online {
        return Err(Refused::Online(name.to_owned()));
    }
    match uses.iter().find(|used| used.agent == agent) {
        Some(used) => Err(Refused::InUse { agent: name.to_owned(), task: used.task.clone(), step: used.step.clone() }),
        None => Ok(()),
    }
}
