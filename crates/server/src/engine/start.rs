//! The start of a run: stored as *scheduled* exactly once for a key, then handed to the queue.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sallyport_domain::plan::Plan;
use sallyport_domain::run::{Given, Run, RunState};
use sallyport_domain::task::parameter::arguments;
use sallyport_protocol::{AttemptKey, Backfill, RunId};
use sallyport_store::{Error, NewRun, Started};
use tokio::sync::oneshot;
use tokio::task::JoinError;

use super::Parts;
use super::actor::Engine;
use super::entry::{Entry, rows};
use super::handle::{Reads, StartError, StartRun};
use super::queue::{resolve, understood};

/// A start that has been stored, or has failed.
pub(super) struct Begun {
    pub(super) whose: Whose,
    pub(super) result: Result<(Started, Option<Entry>), StartError>,
}

/// Who hears of a start.
pub(super) enum Whose {
    /// Somebody who asked.
    Asked(oneshot::Sender<Result<Started, StartError>>),
    /// The step of a run.
    Step(AttemptKey),
}

impl Engine {
    pub(super) fn start(&mut self, start: Box<StartRun>, answer: oneshot::Sender<Result<Started, StartError>>) {
        let parts = Arc::clone(&self.parts);
        self.starting
            .spawn(async move { Begun { whose: Whose::Asked(answer), result: store_run(&parts, *start).await } });
    }

    pub(super) fn begun(&mut self, begun: Result<Begun, JoinError>) {
        let Begun { whose, result } = match begun {
            Ok(begun) => begun,
            Err(error) => return tracing::error!(%error, "starting a run met a bug"),
        };
        let answered = result.map(|(started, entry)| {
            if let Some(entry) = entry {
                let run = entry.run.id;
                tracing::info!(%run, task = started.run.task_name, who = started.run.who, "run scheduled");
                self.entries.insert(run, entry);
                self.queue_changed = true;
                self.counters.started.fetch_add(1, Ordering::Relaxed);
            }
            started
        });
        match whose {
            // Whoever asked may have gone; the run stands.
            Whose::Asked(answer) => drop(answer.send(answered)),
            Whose::Step(key) => self.called(key, answered),
        }
    }
}

pub(super) async fn store_run(parts: &Parts, start: StartRun) -> Result<(Started, Option<Entry>), StartError> {
    let StartRun { environment, task, trigger, who, key, priority, parameters, rerun, fired, reads, caller } = start;
    let task = parts.store.task(environment, &task.to_string()).await.map_err(|error| match error {
        Error::NotFound => StartError::NotFound,
        error => StartError::Store(error),
    })?;
    if !task.active {
        return Err(StartError::Inactive(task.name));
    }
    let version = match &rerun {
        Some(rerun) => parts.store.task_version(rerun.task_version).await?,
        None => task.current,
    };
    let document = understood(&version);
    let declared = document.as_ref().map_or(&[][..], |document| document.parameters.as_slice());
    let parameters = arguments(declared, &parameters).map_err(StartError::Parameters)?;
    let resolved = match &document {
        Ok(document) => resolve(parts, environment, document).await?.plan,
        Err(problems) => Err(problems.clone()),
    };
    // One that does not fit gets its run as well: it fails when its turn comes, and says why.
    let mut plan =
        resolved.unwrap_or_else(|_| Plan { task: task.name.clone(), steps: Vec::new(), pipelines: Vec::new() });
    let backfill = only(&mut plan, &reads)?;
    let (limit, own) = document.as_ref().map_or((1, 0), |document| (document.limit, document.priority));
    let priority = priority.unwrap_or(own);
    let rerun_of = rerun.as_ref().map(|rerun| rerun.of);
    let taken = rerun.map(|rerun| rerun.taken).unwrap_or_default();
    let due_at = fired.as_ref().map(|fired| fired.due_at);
    let given = Given { parameters: parameters.clone(), due_at, taken, ..Given::default() };
    let run = Run { backfill, caller, ..Run::scheduled(RunId::new(), plan, parts.clock.now()).given(given) };
    let new = NewRun {
        id: run.id,
        environment,
        task: task.id,
        task_version: version.id,
        task_name: task.name,
        start_key: key,
        state: RunState::Scheduled.word().to_owned(),
        trigger,
        who,
        trigger_name: fired.as_ref().map(|fired| fired.trigger.clone()),
        due_at,
        late_at: fired.and_then(|fired| fired.late_at),
        priority,
        parameters,
        rerun_of,
        queued_at: run.queued_at,
        machine: serde_json::to_string(&run).map_err(Error::Json)?,
        steps: rows(&run),
        full_refresh: reads == Reads::Everything,
    };
    let started = parts.store.start_run(new).await?;
    let entry = started.created.then(|| Entry {
        run,
        environment,
        task: task.id,
        task_version: version.id,
        limit,
        priority,
        version: started.run.version,
        before: None,
        effects: Vec::new(),
        progressed: false,
        returned: Vec::new(),
        heard: Vec::new(),
        unsure: false,
    });
    Ok((started, entry))
}

/// A back-fill runs the pipeline of its step alone.
fn only(plan: &mut Plan, reads: &Reads) -> Result<Option<Backfill>, StartError> {
    let Reads::Range(backfill) = reads else { return Ok(None) };
    if !plan.streams().any(|stream| plan.steps[stream.source].name == backfill.step) {
        return Err(StartError::NotIncremental(backfill.step.clone()));
    }
    plan.keep_only(&backfill.step);
    Ok(Some(backfill.clone()))
}
