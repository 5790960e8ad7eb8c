//! A run from *scheduled* to its end, as a value: events and the time go in, effects come out.
//!
//! The unit that is tried, retried and cancelled is the pipeline: steps joined by data edges, because a source cannot
//! be read again for one of its consumers alone. Each attempt has a fencing token; reports under an older one are
//! refused, so however events interleave, what has ended stays ended.

mod attempt;
mod call;
mod event;
mod release;
mod rerun;
mod settle;
mod state;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use sallyport_protocol::{AgentId, AttemptKey, Backfill, Failure, RunId, StepCounts, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::plan::Plan;

pub use call::{Caller, Returned};
pub use event::{Effect, Event, Refused};
pub use rerun::Taken;
pub use state::{Order, OrderState, Pipeline, PipelineState, RunState, StepRun, StepState, Stop, Streaming};

/// How long agents may take to say that they have stopped before the run no longer waits for them.
pub const STOP_GRACE: std::time::Duration = std::time::Duration::from_secs(15);

/// How often a pipeline is tried again because an agent or a stream was lost, apart from the step's own retries.
pub const LOSSES_MAX: u32 = 20;

/// The longest wait between two attempts.
pub const BACKOFF_MAX: std::time::Duration = std::time::Duration::from_secs(3600);

/// What a decision may know of the world.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The time.
    pub now: Timestamp,
    /// The agents that are online.
    pub online: &'a BTreeSet<AgentId>,
}

/// One execution of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What it does, as resolved when it started.
    pub plan: Plan,
    /// Where it stands.
    pub state: RunState,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// When it left the queue.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it stands where it stands, in words.
    pub reason: Option<String>,
    /// What made it fail.
    pub failure: Option<Failure>,
    /// One per pipeline of the plan.
    pub pipelines: Vec<Pipeline>,
    /// One per step of the plan.
    pub steps: Vec<StepRun>,
    /// The newest fencing token.
    pub fence: u64,
    /// Why it was told to stop, once it was.
    pub stop: Option<Stop>,
    /// What it was started with.
    #[serde(default)]
    pub given: Given,
    /// The range that it reads again, where that is what it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backfill: Option<Backfill>,
    /// The run that has started it by one of its steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
}

/// What a run is started with, for its expressions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// The task's parameters, defaults included.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// The environment's variables when it left the queue.
    #[serde(default)]
    pub variables: Map<String, Value>,
    /// When it was due, where a schedule started it.
    #[serde(default)]
    pub due_at: Option<Timestamp>,
    /// What an earlier run has done, by step, where this one goes on from it.
    #[serde(default)]
    pub taken: BTreeMap<String, Taken>,
}

impl Run {
    /// A run that waits to be started.
    pub fn scheduled(id: RunId, plan: Plan, now: Timestamp) -> Self {
        let pipelines = plan.pipelines.iter().map(|_| Pipeline::new()).collect();
        let steps = plan.steps.iter().map(|step| StepRun::new(step.runs)).collect();
        Self {
            id,
            plan,
            state: RunState::Scheduled,
            queued_at: now,
            started_at: None,
            ended_at: None,
            reason: None,
            failure: None,
            pipelines,
            steps,
            fence: 0,
            stop: None,
            given: Given::default(),
            backfill: None,
            caller: None,
        }
    }

    /// With what it is started with.
    #[must_use]
    pub fn given(self, given: Given) -> Self {
        Self { given, ..self }
    }

    /// Takes an event; returns what is to be done, or why the event no longer counts.
    pub fn on(&mut self, event: Event, scene: Scene<'_>) -> Result<Vec<Effect>, Refused> {
        if self.state.has_ended() {
            return Err(Refused::Ended);
        }
        let mut effects = Vec::new();
        match event {
            Event::Start => self.start(scene, &mut effects),
            Event::Tick => {}
            Event::Accepted { key, agent } => self.accepted(key, agent)?,
            Event::Progress { key, steps } => return self.progress(key, &steps).map(|()| Vec::new()),
            Event::Finished { agent, report } => self.finished(agent, &report, scene, &mut effects)?,
            Event::Unfit { key, step, failure } => self.unfit(key, &step, &failure, scene)?,
            Event::Lost { agent, key } => self.lost(agent, key, scene, &mut effects),
            Event::Called { key, run } => self.called(key, run, scene, &mut effects)?,
            Event::Uncalled { key, failure } => self.uncalled(key, failure, scene, &mut effects)?,
            Event::Returned { key, returned } => self.returned(key, returned, scene, &mut effects)?,
            Event::Stop(stop) => self.stop(stop, scene, &mut effects),
        }
        self.settle(scene, &mut effects);
        Ok(effects)
    }

    /// Whether an attempt is the one that goes on now.
    pub fn is_current(&self, key: AttemptKey) -> bool {
        self.current(key).is_ok()
    }

    /// The attempts that this run believes an agent is working on.
    pub fn orders_at(&self, agent: AgentId) -> impl Iterator<Item = AttemptKey> + '_ {
        self.pipelines.iter().enumerate().filter_map(move |(index, pipeline)| {
            let open = pipeline.open_orders().any(|order| order.agent == agent);
            open.then(|| self.key(index))
        })
    }

    /// The attempts at work on more than one agent: streams join them.
    pub fn streaming(&self) -> Vec<Streaming> {
        let streaming = |index: usize| match &self.pipelines[index].state {
            PipelineState::Running { orders, .. } if orders.len() > 1 || self.plan.goes_through(index) => {
                let has_ended = |agent| orders.iter().any(|o| Some(o.agent) == agent && o.state == OrderState::Ended);
                let took = |step: &usize| {
                    self.steps[*step].state == StepState::Succeeded && has_ended(self.plan.steps[*step].agent)
                };
                Some(Streaming { key: self.key(index), served: self.plan.steps_of(index).filter(took).collect() })
            }
            _ => None,
        };
        (0..self.pipelines.len()).filter_map(streaming).collect()
    }

    /// The agents that this run waits for or works with.
    pub fn agents(&self) -> BTreeSet<AgentId> {
        (0..self.pipelines.len())
            .filter(|index| !matches!(self.pipelines[*index].state, PipelineState::Ended))
            .flat_map(|index| self.plan.agents_needed(index))
            .collect()
    }

    /// The sum over the steps that nothing takes rows from: what the run has delivered.
    pub fn delivered(&self) -> StepCounts {
        let mut sum = StepCounts::default();
        for (_, step) in self.steps.iter().enumerate().filter(|(index, _)| self.is_last(*index)) {
            sum.rows_in += step.counts.rows_in;
            sum.rows_out += step.counts.rows_out;
            sum.bytes += step.counts.bytes;
        }
        sum.rows_rejected = self.steps.iter().map(|step| step.counts.rows_rejected).sum();
        sum
    }

    fn key(&self, pipeline: usize) -> AttemptKey {
        let at = &self.pipelines[pipeline];
        AttemptKey {
            run: self.id,
            pipeline: u32::try_from(pipeline).unwrap_or(u32::MAX),
            attempt: at.attempt,
            fence: at.fence,
        }
    }

    fn current(&self, key: AttemptKey) -> Result<usize, Refused> {
        let index = usize::try_from(key.pipeline).unwrap_or(usize::MAX);
        let state = self.pipelines.get(index).map(|pipeline| &pipeline.state);
        let running = matches!(state, Some(PipelineState::Running { .. } | PipelineState::Calling { .. }));
        if running && self.key(index) == key { Ok(index) } else { Err(Refused::Stale) }
    }

    fn is_last(&self, step: usize) -> bool {
        self.plan.steps[step].runs && self.plan.consumers_of(step).next().is_none()
    }
}
