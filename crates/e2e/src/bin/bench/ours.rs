//! Sallyport as it is shipped: a server and wrapped agents from their downloads.

use anyhow::{Context, Result, bail};
use sallyport_e2e::{Folder, Installed, Options, Postgres, Profile, Server};
use serde_json::{Value, json};

use crate::measure::{Cost, processes};

/// A server with two agents. The order of the fields is the order in which they are stopped.
pub(crate) struct Ours {
    pub(crate) agents: Vec<Installed>,
    pub(crate) server: Server,
}

impl Ours {
    pub(crate) fn start(folder: &Folder) -> Result<Self> {
        let options = Options { profile: Profile::Release, ..Options::default() };
        let server = Server::start(folder.path(), &options)?;
        let mut agents = Vec::new();
        for name in ["near", "far"] {
            server.api.post("/api/v1/agents", &json!({"name": name}))?;
            let zip = server.api.download(&format!("/api/v1/agents/{name}/download?policy=permissive"))?;
            let mut agent = Installed::unzip(name, &zip, &folder.path().join(name))?;
            agent.start()?;
            agents.push(agent);
        }
        for name in ["near", "far"] {
            let path = format!("/api/v1/agents/{name}");
            sallyport_e2e::until(&format!("{name} to be online"), || Ok(server.api.get(&path)?["status"] == "online"))?;
        }
        Ok(Self { agents, server })
    }

    /// Makes the connection to the database, reached by the first agent.
    pub(crate) fn connect(&self, postgres: &Postgres) -> Result<()> {
        let body = json!({"name": "db", "kind": "postgres", "agent": "near",
                          "settings": postgres.settings(), "secrets": postgres.secrets()});
        self.server.api.post("/api/v1/connections", &body).map(|_| ())
    }

    /// Makes a task of two steps.
    pub(crate) fn task(&self, name: &str, read: Value, write: Value) -> Result<()> {
        let body = json!({"task": name, "steps": [read, write]});
        self.server.api.post("/api/v1/tasks", &body).map(|_| ())
    }

    /// Runs a task to its good end.
    pub(crate) fn run(&self, task: &str, postgres: &Postgres) -> Result<Cost> {
        let mut pids = vec![self.server.process.as_ref().context("the server does not run")?.id()];
        for agent in &self.agents {
            pids.push(agent.agent_process().context("an agent does not run")?);
            pids.push(agent.wrapper.as_ref().context("a wrapper does not run")?.id());
        }
        processes(&pids, postgres, || self.to_the_end(task))
    }

    /// The peak of memory of server and agents since it was reset.
    pub(crate) fn peaks(&self) -> Result<Vec<(String, u64)>> {
        let mut all = Vec::new();
        let server = self.server.process.as_ref().context("the server does not run")?.id();
        all.push(("server".to_owned(), sallyport_e2e::usage_of(server)?.peak));
        for agent in &self.agents {
            let pid = agent.agent_process().context("an agent does not run")?;
            all.push((format!("agent {}", agent.name), sallyport_e2e::usage_of(pid)?.peak));
        }
        Ok(all)
    }

    /// Runs a task to its good end, unmeasured.
    pub(crate) fn to_the_end(&self, task: &str) -> Result<()> {
        let run = self.server.api.post(&format!("/api/v1/tasks/{task}/runs"), &json!({}))?;
        let path = format!("/api/v1/runs/{}", run["id"].as_str().context("the run has no id")?);
        let run = sallyport_e2e::within(std::time::Duration::from_secs(900), "the run to end", || {
            let run = self.server.api.get(&path)?;
            Ok((run["ended"] == true).then_some(run))
        })?;
        if run["state"] == "succeeded" { Ok(()) } else { bail!("the run is {}: {run:#}", run["state"]) }
    }
}
