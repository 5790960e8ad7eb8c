//! Runs that leave the queue: the task is resolved again, because agents and connections change while a run waits.

use std::collections::BTreeMap;

use sallyport_domain::plan::{AgentFacts, ConnectionFacts, Plan, World, plan};
use sallyport_domain::queue::{Queued, startable};
use sallyport_domain::run::{Event, Run, RunState, Stop};
use sallyport_domain::task::{Problem, Task};
use sallyport_protocol::{Failure, FailureKind, RunId, TaskId};

use super::Parts;
use super::actor::{Engine, STORE_RETRY};

/// A resolved task, or everything that is wrong with it.
pub(super) type Resolved = Result<Plan, Vec<Problem>>;

impl Engine {
    /// Starts what may start.
    pub(super) async fn start_queued(&mut self) {
        let mut queued = Vec::new();
        let mut running: BTreeMap<TaskId, u32> = BTreeMap::new();
        for (run, entry) in &self.entries {
            if entry.run.state == RunState::Scheduled {
                queued.push(Queued {
                    run: *run,
                    task: entry.task,
                    limit: entry.limit,
                    priority: entry.priority,
                    queued_at: entry.run.queued_at,
                });
            } else {
                *running.entry(entry.task).or_default() += 1;
            }
        }
        for run in startable(queued, running) {
            self.leave_queue(run).await;
        }
    }

    async fn leave_queue(&mut self, run: RunId) {
        let Some(entry) = self.entries.get(&run) else { return };
        let event = match self.resolve_version(entry.environment, entry.task_version).await {
            Ok(Ok(mut plan)) => {
                if let Some(entry) = self.entries.get_mut(&run) {
                    let value = entry.change();
                    let backfill = value.backfill.take();
                    if let Some(backfill) = &backfill {
                        plan.keep_only(&backfill.step);
                    }
                    *value = Run { backfill, ..Run::scheduled(run, plan, value.queued_at) };
                }
                Event::Start
            }
            Ok(Err(problems)) => Event::Stop(Stop::Fail { failure: unfit(&problems) }),
            Err(error) => {
                tracing::error!(%run, %error, "a run could not be read to be started");
                return self.timers.wake(run, self.parts.clock.now().plus(STORE_RETRY));
            }
        };
        // It is in the queue: nothing can have ended it.
        let _ = self.event(run, event);
    }

    async fn resolve_version(
        &self,
        environment: sallyport_protocol::EnvironmentId,
        version: sallyport_protocol::TaskVersionId,
    ) -> Result<Resolved, sallyport_store::Error> {
        let version = self.parts.store.task_version(version).await?;
        match understood(&version) {
            Ok(task) => resolve(&self.parts, environment, &task).await,
            Err(problems) => Ok(Err(problems)),
        }
    }
}

/// Resolves a task in its environment as it is now.
pub(super) async fn resolve(
    parts: &Parts,
    environment: sallyport_protocol::EnvironmentId,
    task: &Task,
) -> Result<Resolved, sallyport_store::Error> {
    let agents = parts.store.environment_agents(environment).await?.into_iter();
    let connections = parts.store.all_connections(environment).await?;
    let world = World {
        catalog: parts.catalog.as_ref().clone(),
        agents: agents.map(|a| AgentFacts { id: a.id, name: a.name, kind: a.kind, active: a.active }).collect(),
        connections: connections
            .into_iter()
            .map(|c| ConnectionFacts { id: c.id, name: c.name, kind: c.kind, agent: c.agent })
            .collect(),
    };
    Ok(plan(task, &world))
}

/// The document of a stored version.
pub(super) fn understood(version: &sallyport_store::TaskVersion) -> Result<Task, Vec<Problem>> {
    serde_json::from_value(version.parsed.clone()).or_else(|_| sallyport_domain::task::parse(&version.document))
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
