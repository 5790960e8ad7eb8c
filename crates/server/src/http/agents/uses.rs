//! Which steps of which tasks an agent serves.

use sallyport_domain::agent::Use;
use sallyport_domain::plan::{AgentFacts, World, plan};
use sallyport_domain::task::Task;
use sallyport_protocol::{AgentId, Descriptor};
use sallyport_store::AgentUse;

use crate::app::facts;

/// The active steps of active tasks, each with its agent.
pub(super) fn of(use_: &AgentUse, catalog: &[Descriptor]) -> Vec<Use> {
    let world = World {
        catalog: catalog.to_vec(),
        agents: use_
            .agents
            .iter()
            .map(|agent| AgentFacts { id: agent.id, name: agent.name.clone(), kind: agent.kind, active: agent.active })
            .collect(),
        connections: use_.connections.iter().map(facts).collect(),
    };
    tasks(use_).filter(|task| task.active).flat_map(|task| steps(&task, &world)).collect()
}

/// The first task, active or not, with a step that names the agent itself.
pub(super) fn naming_task(use_: &AgentUse) -> Option<(String, String)> {
    let name = &use_.agent.name;
    tasks(use_).find_map(|task| {
        let step =
            task.steps.iter().find(|step| step.agent.as_ref().is_some_and(|agent| agent.eq_ignore_ascii_case(name)))?;
        Some((task.task.clone(), step.name.clone()))
    })
}

fn tasks(use_: &AgentUse) -> impl Iterator<Item = Task> + '_ {
    use_.tasks.iter().filter_map(|version| serde_json::from_value(version.parsed.clone()).ok())
}

fn steps(task: &Task, world: &World) -> Vec<Use> {
    let agents: Vec<Option<AgentId>> = match plan(task, world) {
        Ok(plan) => plan.steps.iter().map(|step| Some(step.agent)).collect(),
        // A task that no longer fits its environment: what its steps name themselves.
        Err(_) => task.steps.iter().map(|step| named(step, world)).collect(),
    };
    let active = task.steps.iter().zip(agents).filter(|(step, _)| step.active);
    active
        .filter_map(|(step, agent)| Some(Use { task: task.task.clone(), step: step.name.clone(), agent: agent? }))
        .collect()
}

fn named(step: &sallyport_domain::task::Step, world: &World) -> Option<AgentId> {
    let by_connection = step.connection.as_ref().and_then(|name| {
        world.connections.iter().find(|connection| connection.name.eq_ignore_ascii_case(name)).map(|found| found.agent)
    });
    by_connection.or_else(|| {
        let name = step.agent.as_ref()?;
        world.agents.iter().find(|agent| agent.name.eq_ignore_ascii_case(name)).map(|agent| agent.id)
    })
}
