//! Triggers at work: starts runs at their times, after other tasks, and when asked from outside.
//!
//! A run is inserted under the trigger's key first, the trigger moved on afterwards: a stop of the process in between
//! repeats the insert, which finds the run. So each key has exactly one run, whatever happens.

mod chain;
mod saved;
#[cfg(test)]
mod tests;
mod timer;

use std::sync::Arc;

use sallyport_domain::task::Trigger as Definition;
use sallyport_protocol::{Clock, Timestamp};
use sallyport_store::{Started, Store, Trigger};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::{self, Fired, Reads, StartError, StartRun};
use crate::outbox;

pub(crate) use saved::{paused, saved, understood};

/// What the schedule works with.
pub(crate) struct Parts {
    /// The truth.
    pub(crate) store: Store,
    /// The time.
    pub(crate) clock: Clock,
    /// Starts runs.
    pub(crate) engine: engine::Handle,
    /// Wakes those who follow runs.
    pub(crate) news: watch::Sender<()>,
}

/// Who starts a run by a trigger, and under which key.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    /// The same key finds the same run.
    pub(crate) key: Option<String>,
    /// When it was due.
    pub(crate) due_at: Timestamp,
    /// The run's trigger word and who starts it, where it is not the trigger by itself.
    pub(crate) by: Option<(String, String)>,
    /// What a webhook was sent, where the trigger reads it.
    pub(crate) body: Option<serde_json::Value>,
}

/// Asks the schedule. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle {
    parts: Arc<Parts>,
    changed: Arc<Notify>,
}

impl Handle {
    /// Starts to watch the times and the runs that others follow, until `stop`.
    pub(crate) fn start(parts: Parts, tasks: &TaskTracker, stop: &CancellationToken) -> Self {
        let handle = Self { parts: Arc::new(parts), changed: Arc::new(Notify::new()) };
        tasks.spawn(timer::run(handle.clone(), stop.clone()));
        let place = (handle.parts.store.clone(), outbox::CHAINS);
        let (news, chains) = (handle.parts.news.subscribe(), handle.clone());
        let act = move |news| chain::ended(chains.clone(), news);
        tasks.spawn(outbox::follow(place, news, stop.clone(), act));
        handle
    }

    /// Triggers were saved, removed, paused or resumed.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Starts a run by a trigger.
    pub(crate) async fn start_run(
        &self,
        trigger: &Trigger,
        definition: &Definition,
        cause: Cause,
    ) -> Result<Started, StartError> {
        let late_at = definition.late_after.map(|span| cause.due_at.plus(span.0));
        let own = || (trigger.kind.run_trigger().to_owned(), format!("trigger `{}`", trigger.name));
        let (word, who) = cause.by.unwrap_or_else(own);
        let start = StartRun {
            environment: trigger.environment,
            task: trigger.task,
            trigger: word,
            who,
            key: cause.key,
            priority: None,
            parameters: definition.given(cause.body.as_ref()),
            rerun: None,
            fired: Some(Fired { trigger: trigger.name.clone(), due_at: cause.due_at, late_at }),
            reads: Reads::New,
            caller: None,
        };
        let started = self.parts.engine.start_run(start).await?;
        if late_at.is_some() {
            self.changed();
        }
        Ok(started)
    }
}

/// Whether a failed start fails again until somebody changes the task.
fn lasts(error: &StartError) -> bool {
    matches!(error, StartError::NotFound | StartError::Inactive(_) | StartError::Parameters(_))
}
