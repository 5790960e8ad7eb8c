//! A program and what it starts, as a process tree.

use std::process::{Child, Command, ExitStatus, Stdio};

/// All processes of one program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    leader: u32,
}

/// A tree needs no preparation.
pub(crate) fn prepare(_command: &mut Command) {}

impl Group {
    pub(crate) fn of(child: &Child) -> Self {
        Self { leader: child.id() }
    }

    /// There is no signal that a console program must obey: the tree is ended. Does not wait for that.
    pub(crate) fn terminate(self) {
        // A tree that is gone needs no end.
        let _ = self.taskkill().spawn();
    }

    /// Ends the tree.
    pub(crate) fn kill(self) {
        let _ = self.taskkill().status();
    }

    fn taskkill(self) -> Command {
        let mut command = Command::new("taskkill");
        command.args(["/T", "/F", "/PID", &self.leader.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

/// How a program ended, for people.
pub(crate) fn ending(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => "ended".to_owned(),
    }
}
