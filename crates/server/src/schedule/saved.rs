//! Triggers of a document as rows, and back.

use sallyport_domain::schedule::Schedule;
use sallyport_domain::task::{Task, Trigger as Definition};
use sallyport_protocol::Timestamp;
use sallyport_store::{NewTrigger, Trigger};

/// The rows of a checked task's triggers.
pub(crate) fn saved(task: &Task, now: Timestamp) -> Result<Vec<NewTrigger>, serde_json::Error> {
    let rows = task.triggers.iter().filter_map(|trigger| {
        let kind = trigger.kind()?;
        let active = task.active && trigger.active;
        let schedule = trigger.schedule().ok().flatten();
        Some(serde_json::to_value(trigger).map(|definition| NewTrigger {
            name: trigger.name.clone(),
            kind,
            definition,
            follows: trigger.after.clone(),
            active,
            due_at: schedule.filter(|_| active).and_then(|schedule| schedule.after(now)),
        }))
    });
    rows.collect()
}

/// A stored trigger's definition and times, or why this build cannot read it.
pub(crate) fn understood(trigger: &Trigger) -> Result<(Definition, Option<Schedule>), String> {
    let definition: Definition = serde_json::from_value(trigger.definition.clone())
        .map_err(|error| format!("the trigger cannot be read: {error}; save its task again"))?;
    let schedule = definition.schedule().map_err(|problems| {
        let said: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
        format!("{}; correct the task", said.join("; "))
    })?;
    Ok((definition, schedule))
}

/// Until when a trigger starts nothing, if that is not over.
pub(crate) fn paused(trigger: &Trigger, now: Timestamp) -> Option<Timestamp> {
    trigger.paused_until.filter(|until| *until > now)
}
