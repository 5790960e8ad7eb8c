//! A program and what it starts, as a process group.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process_group};

/// All processes of one program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    leader: Option<Pid>,
}

/// Has the program lead a group of its own.
pub(crate) fn prepare(command: &mut Command) {
    command.process_group(0);
}

impl Group {
    pub(crate) fn of(child: &Child) -> Self {
        Self { leader: i32::try_from(child.id()).ok().and_then(Pid::from_raw) }
    }

    /// Asks the processes to end.
    pub(crate) fn terminate(self) {
        self.signal(Signal::TERM);
    }

    /// Ends them.
    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
    }

    fn signal(self, signal: Signal) {
        if let Some(leader) = self.leader {
            // A group that is gone needs no signal.
            let _ = kill_process_group(leader, signal);
        }
    }
}

/// How a program ended, for people.
pub(crate) fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
