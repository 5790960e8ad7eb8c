//! Tasks that follow others: the end of one's run starts the next.

use sallyport_domain::run::RunState;
use sallyport_domain::task::Trigger as Definition;
use sallyport_domain::trigger::circle;
use sallyport_store::{Happening, RunNews, Trigger};

use super::{Cause, Handle, lasts, paused, understood};
use crate::engine::StartError;

/// Starts what follows an ended run. Told again, it finds the runs that it has started.
pub(super) async fn ended(schedule: Handle, news: RunNews) -> Result<(), StartError> {
    let state = RunState::ALL.into_iter().find(|state| state.word() == news.state);
    let Some(state) = state.filter(|_| news.what == Happening::Ended) else { return Ok(()) };
    let store = &schedule.parts.store;
    let followers = store.following_triggers(news.environment, news.task).await?;
    if followers.is_empty() {
        return Ok(());
    }
    let tasks = store.task_facts(news.environment).await?;
    for trigger in followers {
        let now = schedule.parts.clock.now();
        let outcome = match understood(&trigger) {
            Ok((definition, _)) if !definition.follows_end(state) || paused(&trigger, now).is_some() => continue,
            Ok((definition, _)) => match circle(&trigger.task_name, &tasks) {
                None => schedule.next(&trigger, &definition, &news).await?,
                // Two tasks that were saved at the same time can miss it when they are checked.
                Some(way) => Err(format!("the tasks would start each other for ever: {}", way.join(" -> "))),
            },
            Err(problem) => Err(problem),
        };
        if let Err(problem) = &outcome {
            tracing::error!(task = trigger.task_name, trigger = trigger.name, problem, "a trigger is out of use");
        }
        store.note_trigger(trigger.task, &trigger.name, outcome, now).await?;
    }
    Ok(())
}

impl Handle {
    async fn next(
        &self,
        trigger: &Trigger,
        definition: &Definition,
        news: &RunNews,
    ) -> Result<Result<sallyport_protocol::RunId, String>, StartError> {
        let key = format!("after:{}:{}:{}", trigger.task, trigger.name, news.run);
        let due_at = news.finished_at.unwrap_or_else(|| self.parts.clock.now());
        match self.start_run(trigger, definition, Cause { key: Some(key), due_at, by: None, body: None }).await {
            Ok(started) => Ok(Ok(started.run.id)),
            Err(error) if lasts(&error) => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }
}
