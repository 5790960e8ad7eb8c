//! A server, its agents and what a test does with them.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::agent::Installed;
use crate::api::Api;
use crate::binaries::Profile;
use crate::cli::Cli;
use crate::folder::Folder;
use crate::server::{Options, Server};
use crate::wait::{until, within};

/// How long a run of a test may take.
const RUN_MAX: Duration = Duration::from_secs(180);

/// Everything of one test. The order of the fields is the order in which they are stopped.
pub struct System {
    /// The server.
    pub server: Server,
    /// The folder of all.
    pub folder: Folder,
    options: Options,
}

impl System {
    /// Starts a server and lets `work` use it; when that fails the error shows the end of every log.
    pub fn with(options: Options, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let folder = Folder::new()?;
        let server = Server::start(folder.path(), &options).with_context(|| folder.tails())?;
        let mut system = Self { server, folder, options };
        let worked = work(&mut system);
        worked.map_err(|error| {
            let tails = system.folder.tails();
            anyhow::anyhow!("{error:#}\n{tails}")
        })
    }

    /// The administrator's API.
    pub fn api(&self) -> &Api {
        &self.server.api
    }

    /// Which build it runs.
    pub fn profile(&self) -> Profile {
        self.options.profile
    }

    /// The `sallyport` command, logged in as the administrator.
    pub fn cli(&self) -> Result<Cli> {
        let config = self.folder.path().join("config");
        let cli = Cli::new(self.options.profile, &config, self.folder.path())?;
        if !config.join("credentials.json").is_file() {
            let (email, password) = Server::administrator();
            let ca = self.server.ca();
            let arguments = ["login", &self.server.url(), "--email", email, "--password-stdin", "--ca"];
            let mut all: Vec<&str> = arguments.to_vec();
            let ca = ca.to_str().context("the CA's path")?;
            all.push(ca);
            cli.good_with(&all, password)?;
        }
        Ok(cli)
    }

    /// Makes an agent, downloads it and unzips it.
    pub fn install(&self, name: &str) -> Result<Installed> {
        self.api().post("/api/v1/agents", &json!({"name": name}))?;
        self.download(name, name)
    }

    /// Downloads an agent that exists and unzips it into a folder of its own; its site allows everything.
    pub fn download(&self, name: &str, folder: &str) -> Result<Installed> {
        let zip = self.api().download(&format!("/api/v1/agents/{name}/download?policy=permissive"))?;
        Installed::unzip(name, &zip, &self.folder.path().join(folder))
    }

    /// Makes an agent, starts it and waits until it is online.
    pub fn agent(&self, name: &str) -> Result<Installed> {
        let mut agent = self.install(name)?;
        agent.start()?;
        self.online(name)?;
        Ok(agent)
    }

    /// The agent as the platform shows it.
    pub fn show_agent(&self, name: &str) -> Result<Value> {
        self.api().get(&format!("/api/v1/agents/{name}"))
    }

    /// Whether an agent is online.
    pub fn is_online(&self, name: &str) -> Result<bool> {
        Ok(self.show_agent(name)?["status"] == "online")
    }

    /// Waits until an agent is online.
    pub fn online(&self, name: &str) -> Result<()> {
        until(&format!("agent {name} to be online"), || self.is_online(name))
    }

    /// Waits until an agent is offline.
    pub fn offline(&self, name: &str) -> Result<()> {
        until(&format!("agent {name} to be offline"), || Ok(!self.is_online(name)?))
    }

    /// Makes a connection.
    pub fn connection(&self, name: &str, kind: &str, agent: &str, settings: &Value, secrets: &Value) -> Result<()> {
        let body = json!({"name": name, "kind": kind, "agent": agent, "settings": settings, "secrets": secrets});
        self.api().post("/api/v1/connections", &body).map(|_| ())
    }

    /// Makes a task.
    pub fn task(&self, document: &Value) -> Result<()> {
        self.api().post("/api/v1/tasks", document).map(|_| ())
    }

    /// Starts a run; gives its id.
    pub fn start_run(&self, task: &str) -> Result<String> {
        let run = self.api().post(&format!("/api/v1/tasks/{task}/runs"), &json!({}))?;
        Ok(run["id"].as_str().context("the run has no id")?.to_owned())
    }

    /// A run as it stands.
    pub fn show_run(&self, id: &str) -> Result<Value> {
        self.api().get(&format!("/api/v1/runs/{id}"))
    }

    /// Waits for the end of a run; a server that is away for a while is waited for.
    pub fn ended(&self, id: &str) -> Result<Value> {
        within(RUN_MAX, &format!("{id} to end"), || {
            let Ok(run) = self.show_run(id) else { return Ok(None) };
            let over = !matches!(run["state"].as_str(), Some("scheduled" | "waiting_for_agent" | "running"));
            Ok(over.then_some(run))
        })
    }

    /// Waits until a run satisfies `wanted`.
    pub fn run_that(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        within(Duration::from_secs(60), &format!("{id}: {what}"), || {
            let run = self.show_run(id)?;
            Ok(wanted(&run).then_some(run))
        })
    }

    /// Runs a task to its end.
    pub fn run(&self, task: &str) -> Result<Value> {
        self.ended(&self.start_run(task)?)
    }

    /// Runs a task that must succeed; else the error shows the run and its log.
    pub fn run_well(&self, task: &str) -> Result<Value> {
        let run = self.run(task)?;
        self.must_be(&run, "succeeded")?;
        Ok(run)
    }

    /// An error that shows the run and its log unless it stands in `state`.
    pub fn must_be(&self, run: &Value, state: &str) -> Result<()> {
        if run["state"] == state {
            return Ok(());
        }
        let id = run["id"].as_str().unwrap_or_default();
        let log = self.api().get(&format!("/api/v1/runs/{id}/log?limit=200")).unwrap_or_default();
        let lines: Vec<String> = log["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|line| format!("{} {} {}", line["level"], line["step"], line["message"]))
            .collect();
        anyhow::bail!("the run is {}, not {state}: {run:#}\n{}", run["state"], lines.join("\n"))
    }
}
