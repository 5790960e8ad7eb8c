//! `state/status.json`: what the wrapper and its agent do, for `status` and for whoever looks after the machine.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sallyport_protocol::{AgentExit, ExecutedBy, Timestamp, UpdateStep};
use sallyport_site::durable::{self, Readers};
use serde::{Deserialize, Serialize};

/// The file's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) wrapper: Wrapper,
    pub(crate) agent: AgentStatus,
    pub(crate) server: Server,
    #[serde(default)]
    pub(crate) update: UpdateStatus,
    /// The same of the wrapper itself.
    #[serde(default)]
    pub(crate) wrapper_update: UpdateStatus,
    /// Whether agent or wrapper have crashed since this wrapper was started.
    #[serde(default, rename = "uncaughtExceptionHappenedOnService")]
    pub(crate) uncaught_exception: bool,
    /// The newest crash file of this time.
    #[serde(default)]
    pub(crate) last_crash: Option<String>,
}

/// Which version is active, and what is done about another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UpdateStatus {
    /// Absent while the program of the download is the active one.
    pub(crate) version: Option<String>,
    pub(crate) step: UpdateStep,
    /// What is done, or why nothing is.
    pub(crate) text: String,
}

/// The wrapper's process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wrapper {
    pub(crate) version: String,
    pub(crate) process_id: u32,
    pub(crate) executed_by: ExecutedBy,
    pub(crate) since: Timestamp,
}

/// The agent's process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AgentStatus {
    pub(crate) state: AgentState,
    pub(crate) restarts: u32,
    pub(crate) last_exit: Option<AgentExit>,
}

/// What it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum AgentState {
    Starting,
    Running { process_id: u32, since: Timestamp },
    Ending { process_id: u32 },
    Waiting { until: Timestamp },
    Stopped,
}

/// The wrapper's connection to the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) online: bool,
    /// The agent's name on the platform, once the server has said it.
    pub(crate) name: Option<String>,
    /// Why it is not online.
    pub(crate) problem: Option<String>,
}

/// The status and its file; written whenever it changes.
pub(crate) struct Board {
    path: PathBuf,
    status: Mutex<Status>,
}

impl Board {
    /// Puts the first status up.
    pub(crate) fn new(path: &Path, status: Status) -> Self {
        let board = Self { path: path.to_owned(), status: Mutex::new(status) };
        board.save(&board.status.lock().unwrap_or_else(PoisonError::into_inner));
        board
    }

    /// Changes the status.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let before = status.clone();
        change(&mut status);
        if *status != before {
            self.save(&status);
        }
    }

    fn save(&self, status: &Status) {
        let saved = serde_json::to_vec_pretty(status)
            .map_err(Into::into)
            .and_then(|bytes| durable::replace(&self.path, &bytes, Readers::Anyone));
        if let Err(error) = saved {
            tracing::warn!(%error, "the status file could not be written");
        }
    }
}

/// Reads the status; `None` when there is none that can be understood.
pub(crate) fn read(path: &Path) -> Option<Status> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

impl Status {
    /// What the agent's process does, for people.
    pub(crate) fn agent_for_people(&self, now: Timestamp) -> String {
        match &self.agent.state {
            AgentState::Starting => "starting".to_owned(),
            AgentState::Running { process_id, since } => {
                format!("running, process {process_id}, for {}", span(now.since(*since).as_secs()))
            }
            AgentState::Ending { process_id } => format!("ending, process {process_id}"),
            AgentState::Waiting { until } => format!("down, started again in {}", span(until.since(now).as_secs())),
            AgentState::Stopped => "stopped".to_owned(),
        }
    }

    /// The status for people.
    pub(crate) fn for_people(&self, now: Timestamp) -> String {
        let mut text = String::new();
        let server = &self.server;
        let name = server.name.as_deref().unwrap_or("agent");
        let online = match (&server.problem, server.online) {
            (_, true) => format!("online as \"{name}\" at {}", server.address),
            (Some(problem), false) => format!("offline: {problem}"),
            (None, false) => format!("connecting to {}", server.address),
        };
        let agent = self.agent_for_people(now);
        let wrapper = &self.wrapper;
        let ran = span(now.since(wrapper.since).as_secs());
        // Writing to a text cannot fail.
        let _ = writeln!(text, "Wrapper  {} running, process {}, for {ran}", wrapper.version, wrapper.process_id);
        let _ = writeln!(text, "Server   {online}");
        let _ = writeln!(text, "Agent    {agent}");
        if self.agent.restarts > 0 {
            let _ = writeln!(text, "         restarted {} times", self.agent.restarts);
        }
        if let Some(exit) = &self.agent.last_exit {
            let _ = writeln!(text, "         last end: {}", describe(exit));
            for line in exit.stderr.iter().rev().take(3).rev() {
                let _ = writeln!(text, "           {line}");
            }
        }
        if let Some(file) = &self.last_crash {
            let _ = writeln!(text, "Crash    logs/{file}");
        }
        if !self.update.text.is_empty() {
            let active = self.update.version.as_deref().unwrap_or("as downloaded");
            let _ = writeln!(text, "Version  {active}: {}", self.update.text);
        }
        if !self.wrapper_update.text.is_empty() {
            let active = self.wrapper_update.version.as_deref().unwrap_or("as downloaded");
            let _ = writeln!(text, "         of the wrapper {active}: {}", self.wrapper_update.text);
        }
        text.trim_end().to_owned()
    }
}

/// How the agent ended, in words: why, where that is known, and how.
pub(crate) fn describe(exit: &AgentExit) -> String {
    match exit.cause {
        Some(cause) => format!("it {} ({})", cause.words(), ended_by(exit)),
        None => ended_by(exit),
    }
}

/// What ended the agent, in words.
pub(crate) fn ended_by(exit: &AgentExit) -> String {
    match (exit.code, exit.signal) {
        (_, Some(signal)) => format!("signal {signal}"),
        (Some(0), _) => "exit code 0".to_owned(),
        (Some(75), _) => "exit code 75 (it asked to be restarted)".to_owned(),
        (Some(78), _) => "exit code 78 (its settings are not usable)".to_owned(),
        (Some(code), _) => format!("exit code {code}"),
        (None, None) => "it could not be started".to_owned(),
    }
}

/// A time, as far as people care.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn status() -> Status {
        Status {
            wrapper: Wrapper {
                version: "1.0.0".to_owned(),
                process_id: 7,
                executed_by: ExecutedBy::Foreground,
                since: Timestamp(0),
            },
            agent: AgentStatus {
                state: AgentState::Running { process_id: 8, since: Timestamp(0) },
                restarts: 0,
                last_exit: None,
            },
            server: Server {
                address: "https://s".to_owned(),
                online: true,
                name: Some("lab".to_owned()),
                problem: None,
            },
            update: UpdateStatus::default(),
            wrapper_update: UpdateStatus::default(),
            uncaught_exception: false,
            last_crash: None,
        }
    }

    #[test]
    fn people_read_what_runs_and_whether_it_is_online() {
        let now = Timestamp(0).plus(Duration::from_secs(180));
        let text = status().for_people(now);
        assert_eq!(
            text,
            "Wrapper  1.0.0 running, process 7, for 3 min\n\
             Server   online as \"lab\" at https://s\n\
             Agent    running, process 8, for 3 min"
        );
    }

    #[test]
    fn people_read_why_it_is_down() {
        let mut down = status();
        down.agent.state = AgentState::Waiting { until: Timestamp(0).plus(Duration::from_secs(4)) };
        down.agent.restarts = 2;
        let stderr = ["one", "two", "three", "four"].map(str::to_owned).to_vec();
        down.agent.last_exit = Some(AgentExit { code: Some(1), stderr, ..AgentExit::default() });
        down.update = UpdateStatus {
            version: Some("1.2.0".to_owned()),
            step: UpdateStep::Idle,
            text: "1.3.0 failed here".to_owned(),
        };
        down.server = Server { online: false, problem: Some("no route".to_owned()), ..down.server };
        let text = down.for_people(Timestamp(0));
        for expected in [
            "offline: no route",
            "down, started again in 4 s",
            "restarted 2 times",
            "exit code 1",
            "two",
            "1.2.0: 1.3.0 failed",
        ] {
            assert!(text.contains(expected), "{text}");
        }
        assert!(!text.contains("one"), "{text}");
    }

    #[test]
    fn the_file_reads_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        let board = Board::new(&path, status());
        board.update(|status| status.agent.restarts = 5);
        assert_eq!(read(&path).map(|status| status.agent.restarts), Some(5));
    }
}
