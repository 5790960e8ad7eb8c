//! Steps that start another task. The started run is stored under the attempt's key, so that a start which is repeated
//! after a stop of the process finds it; its end is handed back to the run that waits for it.
//!
//! A run that does nothing but wait has given its places back, all but its task's: what it waits for may need them. Before
//! it goes on it takes them again, in its turn.

use std::sync::Arc;
use std::time::Duration;

use sallyport_domain::plan::{CALL_DEPTH_MAX, Work};
use sallyport_domain::run::{Caller, Event, Returned, Run};
use sallyport_protocol::{AttemptKey, EnvironmentId, Failure, FailureKind, RunId};
use sallyport_store::{Error, Started};
use serde_json::{Map, Value};

use super::Parts;
use super::actor::{Engine, STORE_RETRY};
use super::entry::Entry;
use super::handle::{Reads, StartError, StartRun};
use super::start::{Begun, Ready, Whose, prepare};

/// What a step starts.
struct Call {
    environment: EnvironmentId,
    task: String,
    parameters: Map<String, Value>,
    caller: Caller,
}

impl Engine {
    /// Starts what a step names, once for the attempt.
    pub(super) fn call(&mut self, run: RunId, pipeline: usize, key: AttemptKey) {
        self.call_after(Duration::ZERO, run, pipeline, key);
    }

    fn call_after(&mut self, pause: Duration, run: RunId, pipeline: usize, key: AttemptKey) {
        let Some(entry) = self.entries.get(&run).filter(|entry| entry.run.is_current(key)) else { return };
        match prepared(&self.parts, entry, pipeline, key) {
            Ok(call) => {
                let parts = Arc::clone(&self.parts);
                self.starting.spawn(async move {
                    tokio::time::sleep(pause).await;
                    Begun { whose: Whose::Step(key), result: start(&parts, &call).await }
                });
            }
            // The attempt has only just begun: it takes it.
            Err(failure) => drop(self.event(run, Event::Uncalled { key, failure })),
        }
        // What only waits needs no place any more.
        self.queue_changed = true;
    }

    /// Starts again what runs wait for: the answer to the first time may be lost.
    pub(super) fn call_again(&mut self, run: RunId) {
        let calls: Vec<_> = self.entries.get(&run).into_iter().flat_map(|entry| entry.run.calls()).collect();
        for (pipeline, key) in calls {
            self.call(run, pipeline, key);
        }
    }

    /// A step's start is stored, or has failed for good. An attempt that is over needs no answer.
    pub(super) fn called(&mut self, key: AttemptKey, started: Result<Started, StartError>) {
        match started {
            Ok(started) => {
                let child = started.run.id;
                let _ = self.event(key.run, Event::Called { key, run: child });
                if started.run.finished_at.is_some() {
                    self.hand_back(key, ended(&started.run));
                }
            }
            Err(StartError::Store(error)) => {
                tracing::error!(run = %key.run, %error, "a step could not start its task yet");
                let entry = self.entries.get(&key.run);
                let call = entry.and_then(|entry| entry.run.calls().find(|(_, called)| *called == key));
                if let Some((pipeline, _)) = call {
                    self.call_after(STORE_RETRY, key.run, pipeline, key);
                }
            }
            Err(error) => drop(self.event(key.run, Event::Uncalled { key, failure: not_started(&error) })),
        }
    }

    /// A run that a step has started has ended.
    pub(super) fn hand_back(&mut self, key: AttemptKey, returned: Returned) {
        if let Some(entry) = self.entries.get_mut(&key.run).filter(|entry| entry.run.is_current(key)) {
            entry.returned.push((key, returned));
            self.queue_changed = true;
        }
    }

    /// A run has its places again: it hears what it waited for.
    pub(super) fn go_on(&mut self, run: RunId) {
        let Some(entry) = self.entries.get_mut(&run) else { return };
        let returned = std::mem::take(&mut entry.returned);
        entry.heard.extend(returned.iter().cloned());
        for (key, returned) in returned {
            // One that was heard before is past it.
            let _ = self.event(run, Event::Returned { key, returned });
        }
    }
}

fn prepared(parts: &Parts, entry: &Entry, pipeline: usize, key: AttemptKey) -> Result<Call, Failure> {
    let run = &entry.run;
    let step = run.plan.call_of(pipeline).map(|(step, _)| &run.plan.steps[step]);
    let step = step.ok_or_else(|| failure("call", "the step starts no task".to_owned()))?;
    let Work::Task { name, parameters, .. } = step.evaluated(&run.values(pipeline), &parts.catalog)? else {
        return Err(failure("call", format!("step `{}` starts no task", step.name)));
    };
    let parameters = parameters.as_object().cloned().unwrap_or_default();
    let mut tasks = run.caller.as_ref().map(|caller| caller.tasks.clone()).unwrap_or_default();
    tasks.push(entry.task);
    if tasks.len() >= CALL_DEPTH_MAX {
        let text = format!("step `{}`: at most {CALL_DEPTH_MAX} tasks may start each other in a row", step.name);
        return Err(failure("too_deep", text));
    }
    let caller = Caller { key, step: step.name.clone(), tasks };
    Ok(Call { environment: entry.environment, task: name, parameters, caller })
}

/// Makes the run ready, or finds it.
async fn start(parts: &Parts, call: &Call) -> Result<Ready, StartError> {
    let Call { environment, task, parameters, caller } = call;
    let Caller { key, step, tasks } = caller;
    let start_key = format!("step:{}:{step}:{}", key.run, key.attempt);
    // Before anything else: the task may have changed since.
    if let Some(run) = parts.store.run_of_key(*environment, &start_key).await? {
        return Ok(Ready::Found(Box::new(run)));
    }
    let found = parts.store.task(*environment, task).await.map_err(|error| match error {
        Error::NotFound => StartError::NotFound,
        error => StartError::Store(error),
    })?;
    if tasks.contains(&found.id) {
        return Err(StartError::Circle(found.name));
    }
    let order = StartRun {
        environment: *environment,
        task: found.id,
        trigger: "task".to_owned(),
        who: format!("step `{step}` of {}", key.run),
        key: Some(start_key),
        priority: None,
        parameters: parameters.clone(),
        rerun: None,
        fired: None,
        reads: Reads::New,
        caller: Some(caller.clone()),
    };
    prepare(parts, order).await
}

/// The end of a run as its row tells it.
fn ended(row: &sallyport_store::Run) -> Returned {
    match serde_json::from_str::<Run>(&row.machine) {
        Ok(run) => run.returns(),
        Err(_) => Returned {
            run: row.id,
            state: sallyport_domain::run::RunState::Failed,
            reason: row.reason.clone(),
            counts: sallyport_protocol::StepCounts::default(),
        },
    }
}

fn not_started(error: &StartError) -> Failure {
    let code = match error {
        StartError::NotFound => "unknown_task",
        StartError::Inactive(_) => "task_inactive",
        StartError::Circle(_) => "circle",
        StartError::Parameters(_) => "bad_parameter",
        StartError::NotIncremental(_) | StartError::Store(_) | StartError::Stopped => "not_started",
    };
    failure(code, format!("the task was not started: {error}"))
}

fn failure(code: &str, message: String) -> Failure {
    let advice = Some("correct the step, or the task that it names".to_owned());
    Failure { kind: FailureKind::Runtime, code: code.to_owned(), message, advice, transient: false }
}
