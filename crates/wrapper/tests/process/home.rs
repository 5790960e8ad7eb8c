//! An unzipped folder with a stand-in for the agent, and the wrapper's program run in it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

/// Until when things must have happened; far more than they need.
const DEADLINE: Duration = Duration::from_secs(30);

/// What stands in for the agent: it notes its starts and ends in its folder and does what files there say.
pub(crate) const AGENT: &str = r#"#!/bin/sh
[ "$1" = --version ] && { echo "sallyport-agent 9.9.9"; exit 0; }
here=$(dirname "$0")
echo $$ >> "$here/starts"
echo "$@" > "$here/arguments"
if [ -f "$here/exit-with" ]; then
    code=$(cat "$here/exit-with")
    n=0; while [ $n -lt 50 ]; do n=$((n+1)); echo "last words $n" >&2; done
    [ -f "$here/once" ] && { sleep 1.2; rm "$here/exit-with" "$here/once"; }
    exit "$code"
fi
if [ -f "$here/stubborn" ]; then
    sleep 1000 & echo $! > "$here/child"
    while :; do wait; done
fi
while read -r line; do
    [ "$line" = stop ] && { echo stopped >> "$here/ends"; exit 0; }
done
echo orphaned >> "$here/ends"
exit 1
"#;

pub(crate) struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    /// A folder whose server nobody runs.
    pub(crate) fn new() -> Self {
        Self::at("https://127.0.0.1:1", &json!({}))
    }

    pub(crate) fn at(server: &str, changes: &Value) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(home.path("Agent")).unwrap();
        home.install_agent(AGENT);
        home.settings(server, changes);
        home
    }

    pub(crate) fn install_agent(&self, script: &str) {
        let program = self.path("Agent/sallyport-agent");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn settings(&self, server: &str, changes: &Value) {
        let mut settings =
            json!({ "Username": "u", "Password": "hunter2", "ServerAddress": server, "ReconnectTimeoutSeconds": 5 });
        for (key, value) in changes.as_object().unwrap() {
            settings[key] = value.clone();
        }
        self.write("appsettings.json", &json!({ "Settings": settings }).to_string());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The process ids of the agents that were started so far.
    pub(crate) fn starts(&self) -> Vec<u32> {
        self.read("Agent/starts").lines().filter_map(|line| line.parse().ok()).collect()
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.read("state/status.json")).unwrap_or_default()
    }

    pub(crate) fn wrapper_log(&self) -> String {
        let logs = fs::read_dir(self.path("logs")).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
        let logs: Vec<PathBuf> = logs.unwrap_or_default();
        logs.iter().map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sallyport-wrapper"));
        command.arg("--home").arg(self.folder.path()).args(arguments).stdin(Stdio::null());
        for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command to its end: exit code, standard output, standard error.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        (code(status), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// Starts the wrapper.
    pub(crate) fn start(&self) -> Wrapper {
        let child = self.command(&[]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        Wrapper { child }
    }

    /// Starts the wrapper and waits for its first agent.
    pub(crate) fn start_running(&self) -> Wrapper {
        let wrapper = self.start();
        eventually("the agent runs", || self.status()["agent"]["state"]["state"] == "running");
        eventually("the agent noted its start", || !self.starts().is_empty());
        wrapper
    }
}

/// A running wrapper; killed when dropped.
pub(crate) struct Wrapper {
    child: Child,
}

impl Wrapper {
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let process = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(process, signal).unwrap();
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end: exit code and standard output.
    pub(crate) fn end(mut self) -> (i32, String) {
        let mut status = None;
        eventually("the wrapper ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        (code(status.unwrap()), text)
    }
}

impl Drop for Wrapper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "a test's deadline")]
    let now = SystemTime::now;
    let until = now() + DEADLINE;
    while !is_so() {
        assert!(now() < until, "not within {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process with this number exists and is no zombie.
pub(crate) fn lives(process_id: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(process_id.to_string()).join("stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
