//! Sleeps until something is due: a trigger's time, or a run that becomes late.

use std::time::Duration;

use futures_util::future::join_all;
use sallyport_domain::schedule::fire;
use sallyport_protocol::Timestamp;
use sallyport_store::Trigger;
use tokio_util::sync::CancellationToken;

use super::{Cause, Handle, lasts, understood};
use crate::engine::StartError;

/// Triggers dealt with at once: their runs share a flush to disk.
const BATCH: u32 = 64;

/// How long to wait after the store has failed.
const STORE_RETRY: Duration = Duration::from_secs(5);

/// The machine's clock may jump, or the machine sleep: the time is looked at, without asking anybody, this often.
const CLOCK_LOOK: Duration = Duration::from_secs(15);

/// A clock that goes back further was set; less is its ordinary correction.
const CLOCK_SET: Duration = Duration::from_secs(60);

pub(super) async fn run(schedule: Handle, stop: CancellationToken) {
    let mut look_anew = true;
    while !stop.is_cancelled() {
        let now = schedule.parts.clock.now();
        let turn = async {
            if look_anew {
                schedule.look_anew(now).await?;
            }
            schedule.turn(now).await
        };
        let next = match turn.await {
            Ok(next) => {
                look_anew = false;
                next
            }
            Err(error) => {
                tracing::warn!(%error, "triggers could not be dealt with; trying again");
                Some(now.plus(STORE_RETRY))
            }
        };
        look_anew |= schedule.sleep(now, next, &stop).await;
    }
}

impl Handle {
    /// Returns when something is due, something has changed, or the server stops; answers whether the clock was set
    /// back.
    async fn sleep(&self, began: Timestamp, next: Option<Timestamp>, stop: &CancellationToken) -> bool {
        loop {
            let now = self.parts.clock.now();
            if now.plus(CLOCK_SET) < began {
                return true;
            }
            let left = next.map_or(CLOCK_LOOK, |next| next.since(now));
            if left.is_zero() {
                return false;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(CLOCK_LOOK)) => {}
                () = self.changed.notified() => return false,
                () = stop.cancelled() => return false,
            }
        }
    }

    /// After a start or when the clock was set back: no trigger waits for a later time than its next one. Starting a
    /// time again does no harm: its run is there.
    async fn look_anew(&self, now: Timestamp) -> Result<(), StartError> {
        for trigger in self.parts.store.waiting_triggers(now).await? {
            let from = super::paused(&trigger, now).map_or(now, |until| Timestamp(until.0.saturating_sub(1)));
            match understood(&trigger) {
                Ok((_, schedule)) => {
                    let next = schedule.and_then(|schedule| schedule.after(from));
                    if next != trigger.due_at || trigger.problem.is_some() {
                        self.parts.store.rearm_trigger(trigger.task, &trigger.name, trigger.due_at, next).await?;
                    }
                }
                Err(problem) => {
                    tracing::error!(
                        task = trigger.task_name,
                        trigger = trigger.name,
                        problem,
                        "a trigger is out of use"
                    );
                    self.parts.store.note_trigger(trigger.task, &trigger.name, Err(problem), now).await?;
                }
            }
        }
        Ok(())
    }

    /// Deals with everything that is due; answers when to look again.
    async fn turn(&self, now: Timestamp) -> Result<Option<Timestamp>, StartError> {
        loop {
            let due = self.parts.store.due_triggers(now, BATCH).await?;
            if due.is_empty() {
                break;
            }
            let fired = join_all(due.iter().map(|trigger| self.fire_due(trigger, now))).await;
            fired.into_iter().collect::<Result<(), _>>()?;
        }
        let late = self.parts.store.mark_late(now).await?;
        for run in &late {
            tracing::warn!(%run, "a run is late");
            self.parts.engine.hint(*run);
        }
        if !late.is_empty() {
            self.parts.news.send_replace(());
        }
        Ok(self.parts.store.next_due().await?)
    }

    async fn fire_due(&self, trigger: &Trigger, now: Timestamp) -> Result<(), StartError> {
        let Some(due_at) = trigger.due_at else { return Ok(()) };
        let mut fired = sallyport_store::Fired { due_at, next: None, run: None, problem: None };
        let (task, name) = (trigger.task, trigger.name.as_str());
        match understood(trigger) {
            Ok((definition, Some(schedule))) => {
                let firing = fire(&schedule, definition.missed.unwrap_or_default(), due_at, trigger.paused_until, now);
                if firing.left_out {
                    tracing::info!(%task, trigger = name, "times that have passed get no run of their own");
                }
                fired.next = firing.next;
                for at in firing.start {
                    let key = Some(format!("at:{task}:{name}:{}", at.0));
                    let cause = Cause { key, due_at: at, by: None, body: None };
                    match self.start_run(trigger, &definition, cause).await {
                        Ok(started) => fired.run = Some((started.run.id, now)),
                        Err(error) if lasts(&error) => fired.problem = Some(error.to_string()),
                        Err(error) => return Err(error),
                    }
                }
            }
            Ok((_, None)) => {}
            Err(problem) => {
                tracing::error!(task = trigger.task_name, trigger = name, problem, "a trigger is out of use");
                fired.problem = Some(problem);
            }
        }
        Ok(self.parts.store.trigger_fired(task, name, fired).await?)
    }
}
