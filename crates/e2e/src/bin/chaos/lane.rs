//! One kind of task that runs again and again while faults come, and what became of each run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use sallyport_e2e::{Api, within};
use serde_json::{Value, json};

use crate::kind::Kind;
use crate::random::Random;

/// How long a request may be repeated: the server may be down, stopped, or starting.
const ANSWER_MAX: Duration = Duration::from_secs(150);
/// How long a run may take: an agent may be lost after 65 s of silence, and what then follows may break too.
const RUN_MAX: Duration = Duration::from_secs(330);
/// How often a run is looked at.
const LOOK: Duration = Duration::from_millis(120);
/// How long the slow reads take.
const SLOW: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(2500));

/// A run that has ended, as the platform tells it.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// The number that its rows carry.
    pub(crate) number: u64,
    /// Its id.
    pub(crate) id: String,
    /// Its state.
    pub(crate) state: String,
    /// Rows that have come to the writing step.
    pub(crate) rows: u64,
    /// The newest attempt.
    pub(crate) attempts: u64,
    /// Why it failed.
    pub(crate) failure: String,
}

impl Ended {
    /// Whether all its rows are where they belong; one that goes on behind the last commit may find nothing new.
    pub(crate) fn went_well(&self) -> bool {
        self.state == "succeeded" || self.state == "no_data"
    }
}

/// What the lanes and the driver tell each other.
#[derive(Default)]
pub(crate) struct Signals {
    over: AtomicBool,
    going: Mutex<BTreeMap<Kind, String>>,
}

impl Signals {
    /// No run is started any more.
    pub(crate) fn finish(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// The ids of the runs that go on.
    pub(crate) fn going(&self) -> Vec<String> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn set(&self, kind: Kind, id: Option<&str>) {
        let mut going = self.going.lock().unwrap_or_else(PoisonError::into_inner);
        match id {
            Some(id) => going.insert(kind, id.to_owned()),
            None => going.remove(&kind),
        };
    }
}

/// The runs of one kind.
pub(crate) struct Lane {
    pub(crate) kind: Kind,
    random: Random,
    /// How many were started.
    pub(crate) started: u64,
    /// The run whose rows a target holds that keeps the newest run's only.
    pub(crate) newest: Option<u64>,
    /// Runs of an incremental task that did not succeed: the next that does delivers their rows.
    pub(crate) owed: BTreeSet<u64>,
    /// The first run whose rows its target still holds.
    pub(crate) since: u64,
}

impl Lane {
    /// Nothing has run yet.
    pub(crate) fn new(kind: Kind, seed: u64) -> Self {
        Self {
            kind,
            random: Random::new(seed, u64::MAX - kind as u64),
            started: 0,
            newest: None,
            owed: BTreeSet::new(),
            since: 1,
        }
    }

    /// Runs the task until the round is over and the last run has ended.
    pub(crate) fn run(&mut self, api: &Api, signals: &Signals) -> Result<Vec<Ended>> {
        let mut ended = Vec::new();
        while !signals.over.load(Ordering::SeqCst) {
            self.started += 1;
            let slow = self.random.between(SLOW.0, SLOW.1);
            let id = self.start(api, slow)?;
            signals.set(self.kind, Some(&id));
            let run = wait(api, &id);
            signals.set(self.kind, None);
            ended.push(of(self.started, &run?));
        }
        Ok(ended)
    }

    /// Saves the task for the next run and starts it; both may be repeated without doing it twice.
    fn start(&self, api: &Api, slow: Duration) -> Result<String> {
        let (name, number) = (self.kind.name(), self.started);
        let document = self.kind.document(number, slow);
        let path = format!("/api/v1/tasks/{name}");
        insist(&format!("saving task {name} for run {number}"), || api.edit("PUT", &path, &document))?;
        let key = [("idempotency-key", format!("{name}-{number}"))];
        let key: Vec<(&str, &str)> = key.iter().map(|(name, value)| (*name, value.as_str())).collect();
        insist(&format!("starting run {number} of {name}"), || {
            let reply = api.send("POST", &format!("{path}/runs"), Some(&json!({})), &key)?;
            match reply.body["id"].as_str() {
                Some(id) if reply.status < 300 => Ok(id.to_owned()),
                _ => bail!("{}: {:#}", reply.status, reply.body),
            }
        })
    }
}

/// Waits for the end of a run, through everything that happens to the server.
fn wait(api: &Api, id: &str) -> Result<Value> {
    let mut last = Value::Null;
    let path = format!("/api/v1/runs/{id}");
    let ended = within(RUN_MAX, &format!("{id} to end"), || {
        std::thread::sleep(LOOK);
        let Ok(reply) = api.send("GET", &path, None, &[]) else { return Ok(None) };
        if reply.status == 404 {
            bail!("{id} was answered to its starter and is gone");
        }
        last = reply.body;
        Ok((last["ended"] == true).then(|| last.clone()))
    });
    ended.with_context(|| format!("the run as it stands: {last:#}"))
}

/// Asks until it is answered.
fn insist<T>(what: &str, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    let mut last = anyhow!("never asked");
    let answered = within(ANSWER_MAX, what, || match ask() {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => {
            last = error;
            Ok(None)
        }
    });
    answered.map_err(|error| anyhow!("{error:#}; the last answer: {last:#}"))
}

fn of(number: u64, run: &Value) -> Ended {
    let steps = run["steps"].as_array().into_iter().flatten();
    let write = steps.filter(|step| step["step"] == "write").max_by_key(|step| step["attempt"].as_u64());
    let count = |field: &str| write.and_then(|step| step[field].as_u64()).unwrap_or(0);
    // A step that starts a task has what that has delivered.
    let rows = count("rows_in").max(count("rows_out"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ended {
        number,
        id: text(&run["id"]),
        state: text(&run["state"]),
        rows,
        attempts: count("attempt"),
        failure: text(&run["reason"]),
    }
}
