//! The start of a run: made ready beside the engine's task, which stores it, exactly once for a key, together with its
//! way out of the queue where nothing holds it there.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sallyport_domain::plan::Plan;
use sallyport_domain::run::{Given, Run, RunState};
use sallyport_domain::task::parameter::arguments;
use sallyport_protocol::{AttemptKey, Backfill, RunId};
use sallyport_store::{Error, NewRun, RunStand, Started};
use tokio::sync::oneshot;
use tokio::task::JoinError;

use super::Parts;
use super::actor::Engine;
use super::entry::Entry;
use super::handle::{Reads, StartError, StartRun};

/// A run that is not in the store yet, and who waits for it.
pub(super) struct Unstored {
    /// What its row says besides where it stands.
    pub(super) new: Box<NewRun>,
    pub(super) whose: Whose,
}

pub(super) type Answer = oneshot::Sender<Result<Started, StartError>>;

/// A start that is ready to be stored, or has failed.
pub(super) struct Begun {
    pub(super) whose: Whose,
    pub(super) result: Result<Ready, StartError>,
}

/// What a start has come to.
pub(super) enum Ready {
    /// A run that the store has.
    Found(Box<sallyport_store::Run>),
    /// One that it is to take.
    New(Box<NewRun>, Box<Entry>),
}

/// Who hears of a start.
pub(super) enum Whose {
    /// Somebody who asked.
    Asked(Answer),
    /// The step of a run.
    Step(AttemptKey),
}

impl Engine {
    pub(super) fn start(&mut self, start: Box<StartRun>, answer: Answer) {
        let parts = Arc::clone(&self.parts);
        self.starting
            .spawn(async move { Begun { whose: Whose::Asked(answer), result: prepare(&parts, *start).await } });
    }

    pub(super) fn begun(&mut self, begun: Result<Begun, JoinError>) {
        let Begun { whose, result } = match begun {
            Ok(begun) => begun,
            Err(error) => return tracing::error!(%error, "starting a run met a bug"),
        };
        match result {
            Ok(Ready::New(new, mut entry)) => {
                let run = new.id;
                entry.unstored = Some(Unstored { new, whose });
                self.entries.insert(run, *entry);
                self.dirty.insert(run);
                self.queue_changed = true;
            }
            Ok(Ready::Found(run)) => self.tell_start(whose, Ok(Started { run: *run, created: false })),
            Err(error) => self.tell_start(whose, Err(error)),
        }
    }

    /// What has become of a new run in the store; a run that was not stored, or is there already, is none of ours.
    pub(super) fn stored(&mut self, run: RunId, whose: Whose, result: Result<Started, Error>) {
        match &result {
            Ok(started) if started.created => {
                tracing::info!(%run, task = started.run.task_name, who = started.run.who, "run scheduled");
                self.counters.started.fetch_add(1, Ordering::Relaxed);
            }
            _ => {
                self.entries.remove(&run);
                self.queue_changed = true;
            }
        }
        self.tell_start(whose, result.map_err(StartError::Store));
    }

    fn tell_start(&mut self, whose: Whose, result: Result<Started, StartError>) {
        match whose {
            // Whoever asked may have gone; the run stands.
            Whose::Asked(answer) => drop(answer.send(result)),
            Whose::Step(key) => self.called(key, result),
        }
    }
}

pub(super) async fn prepare(parts: &Parts, start: StartRun) -> Result<Ready, StartError> {
    let StartRun { environment, task, trigger, who, key, priority, parameters, rerun, fired, reads, caller } = start;
    let task = parts.knowledge.task(environment, &task.to_string()).await.map_err(|error| match error {
        Error::NotFound => StartError::NotFound,
        error => StartError::Store(error),
    })?;
    if !task.active {
        return Err(StartError::Inactive(task.name.clone()));
    }
    let version = rerun.as_ref().map_or(task.current.id, |rerun| rerun.task_version);
    let resolved = parts.knowledge.resolved(environment, version).await?;
    let document = resolved.document.as_ref();
    let declared = document.map_or(&[][..], |document| document.parameters.as_slice());
    let parameters = arguments(declared, &parameters).map_err(StartError::Parameters)?;
    // One that does not fit gets its run as well: it fails when its turn comes, and says why.
    let nothing = || Plan { task: task.name.clone(), steps: Vec::new(), pipelines: Vec::new() };
    let mut plan = resolved.plan.clone().unwrap_or_else(|_| nothing());
    let backfill = only(&mut plan, &reads)?;
    let (limit, own) = document.map_or((1, 0), |document| (document.limit, document.priority));
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
        task_version: version,
        task_name: task.name.clone(),
        start_key: key,
        state: RunState::Scheduled.word().to_owned(),
        trigger,
        who: who.clone(),
        trigger_name: fired.as_ref().map(|fired| fired.trigger.clone()),
        due_at,
        late_at: fired.and_then(|fired| fired.late_at),
        priority,
        parameters,
        rerun_of,
        queued_at: run.queued_at,
        machine: String::new(),
        steps: Vec::new(),
        stand: RunStand::default(),
        full_refresh: reads == Reads::Everything,
    };
    let entry = Entry {
        run,
        environment,
        task: task.id,
        task_version: version,
        limit,
        priority,
        who,
        version: 0,
        unstored: None,
        before: None,
        effects: Vec::new(),
        progressed: false,
        returned: Vec::new(),
        heard: Vec::new(),
        unsure: false,
    };
    Ok(Ready::New(Box::new(new), Box::new(entry)))
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
