//! What is asked of a world: tasks of every shape, and how many runs its places serve at one time.

use std::time::Duration;

use sallyport_domain::plan::{Plan, PlannedStep, Work};
use sallyport_domain::queue::Place;
use sallyport_domain::task::{OnError, Retry, Span};
use sallyport_protocol::{AgentId, EnvironmentId, TaskId};
use serde_json::Value;
use uuid::Uuid;

use crate::random::Random;

pub(crate) const ENVIRONMENT: EnvironmentId = EnvironmentId::from_uuid(Uuid::from_u128(1));

/// Conditions: some hold, some do not, one cannot be evaluated.
const WHEN: [&str; 4] = ["true", "run.attempt > 5", "1 < 2", "nobody.knows > 1"];

/// By step of a pipeline, from which others of it take rows.
const SHAPES: [&[&[usize]]; 5] = [&[&[]], &[&[], &[0]], &[&[], &[0]], &[&[], &[0], &[1]], &[&[], &[0], &[0]]];

/// A task: its plan as every run of it begins with it.
pub(crate) struct Story {
    pub(crate) id: TaskId,
    pub(crate) plan: Plan,
    /// Runs at one time.
    pub(crate) limit: u32,
    pub(crate) priority: i32,
    /// What each step writes or passes on; by step.
    pub(crate) rows: Vec<u64>,
}

impl Story {
    pub(crate) fn invent(number: u64, agents: &[AgentId], random: &mut Random) -> Self {
        let mut plan = Plan { task: format!("task {number}"), steps: Vec::new(), pipelines: Vec::new() };
        for _ in 0..random.between(1, 4) {
            add_pipeline(&mut plan, agents, random);
        }
        let empty = random.once_in(10);
        let rows = plan.steps.iter().map(|_| if empty { 0 } else { random.between(1, 1000) }).collect();
        Self {
            id: TaskId::from_uuid(Uuid::from_u128(u128::from(number) + 1)),
            plan,
            limit: u32::try_from(random.between(1, 4)).unwrap_or(1),
            priority: random.one_of(&[-1, 0, 0, 5]),
            rows,
        }
    }
}

/// A source alone, with one or two sinks, perhaps a transform between; each step on any agent. It may come after one of
/// the pipelines before it.
fn add_pipeline(plan: &mut Plan, agents: &[AgentId], random: &mut Random) {
    let first = plan.steps.len();
    let inputs = random.one_of(&SHAPES);
    let retry = Retry { attempts: random.one_of(&[1, 2, 3, 5]), backoff: Span(random.millis(10, 5_000)) };
    let on_error = if random.once_in(5) { OnError::Continue } else { OnError::Fail };
    let together = random.once_in(2).then(|| random.one_of(agents));
    for (index, inputs) in inputs.iter().enumerate() {
        let agent = together.unwrap_or_else(|| random.one_of(agents));
        let after = if index == 0 && first > 0 && random.once_in(2) {
            let before = random.below(first as u64);
            vec![usize::try_from(before).unwrap_or(0)]
        } else {
            Vec::new()
        };
        plan.steps.push(PlannedStep {
            name: format!("step {}", first + index),
            work: Work::Connector { kind: "plain".to_owned(), connection: None, settings: Value::Null },
            agent: Some(agent),
            agent_name: agent.to_string(),
            through: Vec::new(),
            inputs: inputs.iter().map(|input| first + input).collect(),
            after,
            when: random.once_in(10).then(|| random.one_of(&WHEN).to_owned()),
            on_error,
            timeout: None,
            deadline: Span(Duration::from_secs(random.one_of(&[5, 60, 300]))),
            retry,
            runs: true,
        });
    }
    plan.pipelines.push((first..plan.steps.len()).collect());
}

/// Limits of some agents and perhaps of the environment.
pub(crate) fn limits(agents: &[AgentId], random: &mut Random) -> Vec<(Place, u32)> {
    let mut limits = Vec::new();
    for agent in agents {
        if random.once_in(3) {
            limits.push((Place::Agent(*agent), u32::try_from(random.between(1, 6)).unwrap_or(1)));
        }
    }
    if random.once_in(2) {
        limits.push((Place::Environment(ENVIRONMENT), u32::try_from(random.between(3, 20)).unwrap_or(3)));
    }
    limits
}
