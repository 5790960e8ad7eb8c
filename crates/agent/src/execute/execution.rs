//! The handle of a running order: its counts, and the one reason why it stops early.

use std::sync::{Arc, OnceLock};

use sallyport_connectors::Checkpointing;
use sallyport_dataplane::stream::Ending;
use sallyport_dataplane::{Cancel, Cause, Progress};
use sallyport_protocol::{Action, AttemptKey, Committed, Failure, LINE_BYTES_MAX, StepCounts, WorkOrder};

use sallyport_site::policy::Refused;

use crate::egress::{Egress, Meter};
use crate::journal::OpenStep;

/// Why an order ends before its time; the first reason counts, the others are its consequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Somebody asked for it.
    Asked(String),
    /// A step failed.
    Failed { step: usize, failure: Failure },
    /// A step on another agent ended and said why.
    Elsewhere(String),
}

/// A step of the order.
struct Step {
    name: String,
    progress: Arc<Progress>,
    /// Whether it is a sink.
    writes: bool,
    /// Of steps that use a connector.
    meter: Option<Meter>,
}

/// One running order. Clones are the same execution.
#[derive(Clone)]
pub struct Execution {
    shared: Arc<Shared>,
}

struct Shared {
    key: AttemptKey,
    task: String,
    who: String,
    steps: Vec<Step>,
    checkpointing: Option<Checkpointing>,
    cancel: Cancel,
    cause: Cause,
    stop: OnceLock<Stop>,
}

impl Execution {
    /// Before its start.
    pub fn new(order: &WorkOrder, egress: &Arc<Egress>) -> Self {
        let steps = order.steps.iter().map(|step| Step {
            name: step.name.clone(),
            progress: Arc::default(),
            writes: matches!(step.action, Action::Connector { .. }) && !step.inputs.is_empty(),
            meter: matches!(step.action, Action::Connector { .. }).then(|| egress.meter()),
        });
        let steps = steps.collect();
        let shared = Shared {
            key: order.key,
            task: order.task.clone(),
            who: order.who.clone(),
            steps,
            checkpointing: order.incremental.clone().map(Checkpointing::new),
            cancel: Cancel::new(),
            cause: Cause::default(),
            stop: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The attempt.
    pub fn key(&self) -> AttemptKey {
        self.shared.key
    }

    /// The task's name.
    pub(super) fn task(&self) -> &str {
        &self.shared.task
    }

    /// Who asked for the run.
    pub(super) fn who(&self) -> &str {
        &self.shared.who
    }

    /// Counts what a step's connection has moved; an error where the site allows no more today.
    pub(super) fn measure(&self, step: usize) -> Result<(), Refused> {
        let Some(step) = self.shared.steps.get(step) else { return Ok(()) };
        step.meter.as_ref().map_or(Ok(()), |meter| meter.at(step.progress.counts().bytes))
    }

    /// How many steps it has.
    pub(super) fn steps(&self) -> usize {
        self.shared.steps.len()
    }

    /// What passed through the steps so far, by name, in the order of the order.
    pub fn counts(&self) -> Vec<(String, StepCounts)> {
        self.shared.steps.iter().map(|step| (step.name.clone(), step.progress.counts())).collect()
    }

    /// How far every step is, for the journal.
    pub(crate) fn so_far(&self) -> Vec<OpenStep> {
        let steps = self.shared.steps.iter().enumerate().map(|(index, step)| OpenStep {
            name: step.name.clone(),
            counts: step.progress.counts(),
            committed: self.committed(index),
        });
        steps.collect()
    }

    /// How far a sink has committed the pipeline's incremental read.
    pub(super) fn committed(&self, step: usize) -> Option<Committed> {
        let writes = self.shared.steps.get(step).is_some_and(|step| step.writes);
        self.checkpointing().filter(|_| writes)?.committed()
    }

    /// Stops every step, within 5 s; sinks remove what they have half written.
    pub fn cancel(&self, reason: &str) {
        self.stop(Stop::Asked(reason.to_owned()), reason);
    }

    pub(super) fn fail(&self, step: usize, mut failure: Failure) {
        failure.shorten(LINE_BYTES_MAX);
        let name = self.shared.steps.get(step).map_or("", |step| &step.name);
        let words = format!("step `{name}` failed: {}", failure.message);
        self.stop(Stop::Failed { step, failure }, &words);
    }

    pub(super) fn ended_elsewhere(&self, why: &str) {
        self.stop(Stop::Elsewhere(why.to_owned()), why);
    }

    pub(super) fn stopped(&self) -> bool {
        self.shared.cancel.is_cancelled()
    }

    pub(super) async fn cancelled(&self) {
        self.shared.cancel.cancelled().await;
    }

    /// The first reason.
    pub(super) fn first(&self) -> Option<&Stop> {
        self.shared.stop.get()
    }

    /// The first reason in words.
    pub(super) fn words(&self) -> Option<&str> {
        self.shared.cause.get()
    }

    pub(super) fn progress(&self, step: usize) -> Arc<Progress> {
        self.shared.steps.get(step).map(|step| Arc::clone(&step.progress)).unwrap_or_default()
    }

    /// The checkpoint that passes through the steps, where one of them reads incrementally.
    pub(super) fn checkpointing(&self) -> Option<&Checkpointing> {
        self.shared.checkpointing.as_ref()
    }

    pub(super) fn ending(&self) -> Ending {
        Ending { cancel: self.shared.cancel.clone(), cause: self.shared.cause.clone() }
    }

    fn stop(&self, stop: Stop, words: &str) {
        if self.shared.stop.set(stop).is_ok() {
            self.shared.cause.set(words);
        }
        self.shared.cancel.cancel();
    }
}
