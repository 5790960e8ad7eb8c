//! Runs that leave the queue: the task is resolved again, because agents and connections change while a run waits.

use std::collections::{BTreeMap, BTreeSet};

use sallyport_domain::plan::Work;
use sallyport_domain::queue::{Decision, Place, Queued, decide};
use sallyport_domain::run::{Event, Given, Run, RunState, Stop};
use sallyport_domain::task::Problem;
use sallyport_protocol::{EnvironmentId, Failure, FailureKind, RunId};

use super::actor::{Engine, STORE_RETRY};
use super::entry::Entry;

impl Engine {
    /// Starts what may start.
    pub(super) async fn start_queued(&mut self) {
        if !self.entries.values().any(Entry::waits) {
            return;
        }
        if let Err(error) = self.read_limits().await {
            tracing::error!(%error, "the limits of runs could not be read");
            // Asked again with the next change, at the latest then.
            let again = self.parts.clock.now().plus(STORE_RETRY);
            let queued = self.entries.iter().filter(|(_, entry)| entry.waits());
            return queued.for_each(|(run, _)| self.timers.wake(*run, again));
        }
        for run in self.decide().start {
            self.leave_queue(run).await;
        }
    }

    /// Who may start and why the others wait, by the limits as they were read last.
    fn decide(&self) -> Decision {
        let mut queued = Vec::new();
        let mut running = Vec::new();
        for (run, entry) in &self.entries {
            if entry.waits() {
                queued.push(Queued {
                    run: *run,
                    needs: self.needs(entry),
                    priority: entry.priority,
                    queued_at: entry.run.queued_at,
                });
            }
            running.push((*run, held(entry)));
        }
        decide(queued, running)
    }

    /// The places that a run needs and that have a limit.
    fn needs(&self, entry: &Entry) -> Vec<(Place, u32)> {
        let limits = self.limits.get(&entry.environment);
        let held = held(entry);
        places(entry)
            .into_iter()
            .filter(|place| !held.contains(place))
            .filter_map(|place| match place {
                Place::Task(_) => Some((place, entry.limit)),
                place => Some((place, limits?.iter().find(|limit| limit.place == place)?.at_once)),
            })
            .collect()
    }

    /// Why each of these runs waits in the queue.
    pub(super) fn why(&self, runs: &[RunId]) -> BTreeMap<RunId, String> {
        let decision = self.decide();
        let words = runs.iter().filter_map(|run| {
            let (reason, entry) = (decision.wait.get(run)?, self.entries.get(run)?);
            let limits = self.limits.get(&entry.environment).into_iter().flatten();
            let named = limits.into_iter().find(|limit| limit.place == reason.place);
            let name = named.map_or(entry.run.plan.task.as_str(), |limit| limit.name.as_str());
            Some((*run, reason.words(name)))
        });
        words.collect()
    }

    /// Reads the limits of environments in which runs wait, where they are not known.
    async fn read_limits(&mut self) -> Result<(), sallyport_store::Error> {
        let queued = self.entries.values().filter(|entry| entry.waits());
        let unknown: BTreeSet<EnvironmentId> =
            queued.map(|entry| entry.environment).filter(|one| !self.limits.contains_key(one)).collect();
        for environment in unknown {
            let limits = self.parts.store.run_limits(environment).await?;
            self.limits.insert(environment, limits);
        }
        Ok(())
    }

    async fn leave_queue(&mut self, run: RunId) {
        let Some(entry) = self.entries.get(&run) else { return };
        if entry.run.state != RunState::Scheduled {
            return self.go_on(run);
        }
        let resolved = match self.parts.knowledge.resolved(entry.environment, entry.task_version).await {
            Ok(resolved) => resolved,
            Err(error) => {
                tracing::error!(%run, %error, "a run could not be read to be started");
                return self.timers.wake(run, self.parts.clock.now().plus(STORE_RETRY));
            }
        };
        let event = match &resolved.plan {
            Ok(plan) => {
                if let Some(entry) = self.entries.get_mut(&run) {
                    let mut plan = plan.clone();
                    let value = entry.change();
                    let given = Given { variables: resolved.variables.clone(), ..value.given.clone() };
                    let backfill = value.backfill.take();
                    if let Some(backfill) = &backfill {
                        plan.keep_only(&backfill.step);
                    }
                    let caller = value.caller.take();
                    *value = Run { backfill, caller, ..Run::scheduled(run, plan, value.queued_at).given(given) };
                }
                Event::Start
            }
            Err(problems) => Event::Stop(Stop::Fail { failure: unfit(problems) }),
        };
        // It is in the queue: nothing can have ended it.
        let _ = self.event(run, event);
    }
}

/// What a run holds now. One that only waits for runs that it has started keeps its task's place alone; one that is being
/// stopped needs none to end.
fn held(entry: &Entry) -> Vec<Place> {
    match entry.run.state {
        RunState::Scheduled => Vec::new(),
        _ if entry.run.only_waits() && entry.run.stop.is_none() => vec![Place::Task(entry.task)],
        _ => places(entry),
    }
}

/// Everything that a run holds while it goes on.
fn places(entry: &Entry) -> Vec<Place> {
    let mut places = vec![Place::Task(entry.task), Place::Environment(entry.environment)];
    for step in entry.run.plan.steps.iter().filter(|step| step.runs) {
        let connection = match &step.work {
            Work::Connector { connection, .. } => *connection,
            Work::Transform { .. } | Work::Task { .. } => None,
        };
        for place in [step.agent.map(Place::Agent), connection.map(Place::Connection)].into_iter().flatten() {
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    places
}

/// The failure of a run whose task no longer fits its environment.
fn unfit(problems: &[Problem]) -> Failure {
    let said: Vec<String> = problems
        .iter()
        .map(|problem| match &problem.step {
            Some(step) if !problem.message.contains(step.as_str()) => format!("step `{step}`: {}", problem.message),
            _ => problem.message.clone(),
        })
        .collect();
    Failure {
        kind: FailureKind::Runtime,
        code: problems.first().map_or_else(|| "unfit".to_owned(), |problem| problem.code.clone()),
        message: said.join("; "),
        advice: Some("correct the task, its connections or its agents, then run it again".to_owned()),
        transient: false,
    }
}
