//! The start of a run: stored as *scheduled* exactly once for a key, then handed to the queue.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sallyport_domain::plan::Plan;
use sallyport_domain::run::{Run, RunState};
use sallyport_protocol::{Backfill, RunId};
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
    answer: oneshot::Sender<Result<Started, StartError>>,
    result: Result<(Started, Option<Entry>), StartError>,
}

impl Engine {
    pub(super) fn start(&mut self, start: Box<StartRun>, answer: oneshot::Sender<Result<Started, StartError>>) {
        let parts = Arc::clone(&self.parts);
        self.starting.spawn(async move { Begun { answer, result: store_run(&parts, *start).await } });
    }

    pub(super) fn begun(&mut self, begun: Result<Begun, JoinError>) {
        let Begun { answer, result } = match begun {
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
        // Whoever asked may have gone; the run stands.
        let _ = answer.send(answered);
    }
}

async fn store_run(parts: &Parts, start: StartRun) -> Result<(Started, Option<Entry>), StartError> {
    let StartRun { environment, task, trigger, who, key, priority, reads } = start;
    let task = parts.store.task(environment, &task.to_string()).await.map_err(|error| match error {
        Error::NotFound => StartError::NotFound,
        error => StartError::Store(error),
    })?;
    if !task.active {
        return Err(StartError::Inactive(task.name));
    }
    let document = understood(&task.current);
    let plan = match &document {
        Ok(document) => resolve(parts, environment, document).await?,
        Err(problems) => Err(problems.clone()),
    };
    // One that does not fit gets its run as well: it fails when its turn comes, and says why.
    let mut plan = plan.unwrap_or_else(|_| Plan { task: task.name.clone(), steps: Vec::new(), pipelines: Vec::new() });
    let backfill = only(&mut plan, &reads)?;
    let (limit, own) = document.as_ref().map_or((1, 0), |document| (document.limit, document.priority));
    let priority = priority.unwrap_or(own);
    let run = Run { backfill, ..Run::scheduled(RunId::new(), plan, parts.clock.now()) };
    let new = NewRun {
        id: run.id,
        environment,
        task: task.id,
        task_version: task.current.id,
        task_name: task.name,
        start_key: key,
        state: RunState::Scheduled.word().to_owned(),
        trigger,
        who,
        priority,
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
        task_version: task.current.id,
        limit,
        priority,
        version: started.run.version,
        before: None,
        effects: Vec::new(),
        progressed: false,
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
