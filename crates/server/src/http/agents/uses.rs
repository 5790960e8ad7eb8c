//! Which steps of which tasks an agent serves.

use sallyport_domain::agent::Use;
use sallyport_domain::task::{Step, Task};
use sallyport_protocol::AgentId;
use sallyport_store::{Agent, AgentUse, Connection, Error, TaskVersion};

/// The active steps of active tasks, each with its agent. What else a task says is of no account here, so that a task
/// that no longer fits its environment counts as well.
pub(super) fn of(use_: &AgentUse<'_>) -> Result<Vec<Use>, Error> {
    let names = Names { agents: use_.agents()?, connections: use_.connections()? };
    let active = use_.tasks()?.iter().filter_map(task).filter(|task| task.active).collect::<Vec<_>>();
    Ok(active.iter().flat_map(|task| names.steps(task)).collect())
}

/// The first task, active or not, with a step that names the agent itself.
pub(super) fn naming_task(use_: &AgentUse<'_>) -> Result<Option<(String, String)>, Error> {
    let name = &use_.agent.name;
    let names = |step: &&Step| step.agent.as_ref().is_some_and(|agent| agent.eq_ignore_ascii_case(name));
    Ok(use_.tasks()?.iter().filter_map(task).find_map(|task| {
        let step = task.steps.iter().find(names)?;
        Some((task.task.clone(), step.name.clone()))
    }))
}

fn task(version: &TaskVersion) -> Option<Task> {
    serde_json::from_value(version.parsed.clone()).ok()
}

struct Names {
    agents: Vec<Agent>,
    connections: Vec<Connection>,
}

impl Names {
    fn steps(&self, task: &Task) -> Vec<Use> {
        let active = task.steps.iter().filter(|step| step.active);
        active
            .flat_map(|step| {
                let one = |agent| Use { task: task.task.clone(), step: step.name.clone(), agent };
                self.agents_of(task, step).into_iter().map(one)
            })
            .collect()
    }

    /// The agent that a step names and those that reach its connection, or those of a transform's first input.
    fn agents_of(&self, task: &Task, step: &Step) -> Vec<AgentId> {
        let mut step = step;
        // Inputs in a circle, which no saved task has, end here too.
        for _ in 0..task.steps.len() {
            let named = self.named(step);
            if !named.is_empty() {
                return named;
            }
            let input = step.transform.as_ref().and(step.input.first());
            let Some(from) = input.and_then(|input| task.steps.iter().find(|step| step.name == *input)) else { break };
            step = from;
        }
        Vec::new()
    }

    fn named(&self, step: &Step) -> Vec<AgentId> {
        let own = step.agent.as_ref().and_then(|name| {
            self.agents.iter().find(|agent| agent.name.eq_ignore_ascii_case(name)).map(|agent| agent.id)
        });
        let named = |connection: &&Connection| {
            step.connection.as_ref().is_some_and(|name| connection.name.eq_ignore_ascii_case(name))
        };
        let reach =
            self.connections.iter().find(named).map_or_else(Vec::new, |connection| connection.agents().collect());
        match own {
            None => reach,
            // One of several that reach it, or one that goes through them.
            Some(own) if reach.contains(&own) => vec![own],
            Some(own) => std::iter::once(own).chain(reach).collect(),
        }
    }
}
