//! Asking for runs over the HTTP API, and when they started.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sallyport_e2e::{Api, Server, within};
use sallyport_protocol::{Clock, Timestamp};
use serde_json::json;

use super::CLIENTS;

/// The file without rows that the step reads.
pub(crate) const FILE: &str = "empty.csv";

/// How long a number of runs may take.
const RUNS_MAX: Duration = Duration::from_secs(300);

/// Between two runs that are asked for one after the other.
const PAUSE: Duration = Duration::from_millis(10);

/// What the agent says when a step starts.
const STARTED: &str = "work order accepted";

/// Tasks, one an agent, and who asks for their runs.
pub(crate) struct Asking {
    api: Api,
    tasks: Vec<String>,
}

/// A run that was asked for, and when.
pub(crate) struct Asked {
    run: String,
    at: Timestamp,
}

/// Knows when runs started on their agents.
pub(crate) trait StartTimes {
    /// How long each of these took until it started.
    fn waits(&self, asked: &[Asked]) -> Result<Vec<Duration>>;
}

impl Asking {
    pub(crate) fn new(server: &Server, agents: &[String]) -> Result<Self> {
        let tasks: Vec<String> = agents.iter().map(|agent| format!("{agent}-of-{}", agents.len())).collect();
        for (task, agent) in tasks.iter().zip(agents) {
            let step = json!({"name": "nothing", "connector": "file", "agent": agent, "with": {"path": FILE}});
            server.api.post("/api/v1/tasks", &json!({"task": task, "limit": 1000, "steps": [step]}))?;
        }
        let token = server.api.post("/api/v1/tokens", &json!({"name": format!("bench {}", agents.len())}))?;
        let token = token["secret"].as_str().context("the token has no secret")?;
        Ok(Self { api: server.api.clone().with_token(token), tasks })
    }

    /// Asks for runs one after the other.
    pub(crate) fn paced(&self, runs: usize) -> Result<Vec<Asked>> {
        let clock = Clock::system();
        let mut asked = Vec::with_capacity(runs);
        for number in 0..runs {
            let at = clock.now();
            asked.push(Asked { run: self.ask(&self.api, number)?, at });
            std::thread::sleep(PAUSE);
        }
        self.all_ended()?;
        Ok(asked)
    }

    /// Asks for runs as fast as they are taken; answers how long it took until the last has ended.
    pub(crate) fn flat_out(&self, runs: usize) -> Result<Duration> {
        let clock = Clock::system();
        let next = AtomicUsize::new(0);
        let began = clock.now();
        let done: Result<Vec<()>> = std::thread::scope(|scope| {
            let client = || {
                let api = self.api.clone();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= runs {
                        return Ok(());
                    }
                    self.ask(&api, number)?;
                }
            };
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
            clients.into_iter().map(|one| one.join().unwrap_or_else(|_| bail!("a client has panicked"))).collect()
        });
        done?;
        self.all_ended()?;
        Ok(clock.now().since(began))
    }

    fn ask(&self, api: &Api, number: usize) -> Result<String> {
        let task = &self.tasks[number % self.tasks.len()];
        let run = api.post(&format!("/api/v1/tasks/{task}/runs"), &json!({}))?;
        Ok(run["id"].as_str().context("the run has no id")?.to_owned())
    }

    /// Waits until no run is open; one that has not ended well is an error.
    fn all_ended(&self) -> Result<()> {
        within(RUNS_MAX, "all runs to end", || {
            let open = self.api.get("/api/v1/runs?open=true&limit=1")?;
            Ok(open["items"].as_array().is_some_and(Vec::is_empty).then_some(()))
        })?;
        let failed = self.api.get("/api/v1/runs?state=failed&limit=1")?;
        match failed["items"].as_array().and_then(|items| items.first()) {
            None => Ok(()),
            Some(run) => bail!("a run has failed: {run:#}"),
        }
    }
}

/// From the agents' own logs, as the server has them.
pub(crate) struct LogTimes {
    pub(crate) api: Api,
    pub(crate) agents: Vec<String>,
}

impl StartTimes for LogTimes {
    fn waits(&self, asked: &[Asked]) -> Result<Vec<Duration>> {
        within(RUNS_MAX, "the agents' logs", || {
            let started = self.started()?;
            Ok(waits(asked, &started))
        })
    }
}

impl LogTimes {
    fn started(&self) -> Result<HashMap<String, Timestamp>> {
        let mut started = HashMap::new();
        for agent in &self.agents {
            let mut after = 0;
            loop {
                let search = STARTED.replace(' ', "%20");
                let path = format!("/api/v1/agents/{agent}/log?search={search}&sort=seq&limit=200&after={after}");
                let page = self.api.get(&path)?;
                let Some(last) = page["items"].as_array().and_then(|items| items.last()) else { break };
                after = last["seq"].as_i64().context("a line has no number")?;
                for line in page["items"].as_array().into_iter().flatten() {
                    let (Some(run), Some(at)) = (line["run_id"].as_str(), line["at"].as_str()) else { continue };
                    let at: jiff::Timestamp = at.parse()?;
                    started.insert(run.to_owned(), Timestamp(at.as_microsecond()));
                }
            }
        }
        Ok(started)
    }
}

/// How long each run took until its start, once every start is known.
pub(crate) fn waits(asked: &[Asked], started: &HashMap<String, Timestamp>) -> Option<Vec<Duration>> {
    asked.iter().map(|asked| Some(started.get(&asked.run)?.since(asked.at))).collect()
}
