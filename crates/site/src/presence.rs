//! Facts about the machine and the process, gathered once.

use std::fs;
use std::net::IpAddr;
use std::process::Stdio;

use sallyport_protocol::{ExecutedBy, Presence, Timestamp};

use crate::config::Environment;
use crate::layout::Layout;
use crate::platform;

/// What does not change while the process lives.
#[derive(Clone, Debug)]
pub struct Machine {
    facts: Presence,
}

impl Machine {
    /// Looks around. Starts a trivial program to see whether that is allowed, and writes to `state/` for the same
    /// reason: takes some milliseconds.
    pub fn gather(layout: &Layout, environment: &Environment, started_at: Timestamp) -> Self {
        Self {
            facts: Presence {
                machine_name: platform::host_name(environment),
                os: platform::os_name(),
                architecture: std::env::consts::ARCH.to_owned(),
                directory: layout.home().display().to_string(),
                user: platform::user_name(environment),
                process_id: std::process::id(),
                is_64_bit: cfg!(target_pointer_width = "64"),
                can_execute_process: can_execute(),
                can_write: can_write(layout),
                started_at,
                ..Presence::default()
            },
        }
    }

    /// The facts, with those that may differ from one connection to the next. `ip_address` is the local address of the
    /// connection.
    pub fn presence(
        &self,
        now: Timestamp,
        ip_address: Option<IpAddr>,
        agent_version: Option<&str>,
        wrapper_version: Option<&str>,
        executed_by: ExecutedBy,
    ) -> Presence {
        Presence {
            ip_address: ip_address.map(|address| address.to_string()),
            agent_version: agent_version.map(str::to_owned),
            wrapper_version: wrapper_version.map(str::to_owned),
            executed_by,
            said_at: now,
            ..self.facts.clone()
        }
    }
}

fn can_execute() -> bool {
    platform::trivial_program()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn can_write(layout: &Layout) -> bool {
    let probe = layout.state().join(format!("write-{}.tmp", std::process::id()));
    let written = fs::write(&probe, b"").is_ok();
    written && fs::remove_file(&probe).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_those_of_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let environment = Environment::default();
        let without = Machine::gather(&layout, &environment, Timestamp(1));
        layout.create_folders().unwrap();
        let with = Machine::gather(&layout, &environment, Timestamp(1));
        let now = Timestamp(7);
        let presence = with.presence(now, Some([127, 0, 0, 1].into()), Some("1.2.3"), None, ExecutedBy::Service);
        assert!(!without.presence(now, None, None, None, ExecutedBy::Service).can_write);
        assert!(presence.can_write && presence.can_execute_process);
        assert!(!presence.machine_name.is_empty() && !presence.os.is_empty() && !presence.user.is_empty());
        assert_eq!((presence.process_id, presence.said_at), (std::process::id(), now));
        assert_eq!(presence.ip_address.as_deref(), Some("127.0.0.1"));
    }
}
