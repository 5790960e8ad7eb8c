//! What follows from where things stand: waiting, dispatching, retrying, ending.

use std::time::Duration;

use sallyport_protocol::{AgentId, Failure, FailureKind, LogLevel, Timestamp};

use crate::task::OnError;

use super::{BACKOFF_MAX, Effect, LOSSES_MAX, Order, OrderState, PipelineState, Run, RunState, Scene, StepState, Stop};

/// The wait after a loss: the agent is on its way back.
const LOSS_BACKOFF: Duration = Duration::from_secs(1);

impl Run {
    pub(super) fn settle(&mut self, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        if self.state == RunState::Scheduled && self.stop.is_none() {
            return;
        }
        for pipeline in 0..self.pipelines.len() {
            self.settle_pipeline(pipeline, scene, effects);
        }
        while let Some(pipeline) = self.unblocked() {
            self.release(pipeline, scene, effects);
            self.settle_pipeline(pipeline, scene, effects);
        }
        self.explain_blocked();
        self.settle_run(scene, effects);
    }

    fn settle_pipeline(&mut self, pipeline: usize, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        if let PipelineState::Running { give_up_at, .. } = self.pipelines[pipeline].state {
            self.settle_running(pipeline, give_up_at, scene, effects);
        }
        if let PipelineState::Backoff { until } = self.pipelines[pipeline].state {
            if until > scene.now {
                effects.push(Effect::WakeAt(until));
            } else {
                self.await_agents(pipeline, scene);
            }
        }
        if let PipelineState::Waiting { until } = self.pipelines[pipeline].state {
            self.settle_waiting(pipeline, until, scene, effects);
        }
    }

    fn settle_waiting(&mut self, pipeline: usize, until: Timestamp, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        let absent = |step: usize| self.plan.steps[step].absent(scene.online);
        let mut names: Vec<&str> = Vec::new();
        for name in self.plan.steps_of(pipeline).flat_map(absent) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return self.dispatch(pipeline, scene, effects);
        }
        let names = format!("`{}`", names.join("`, `"));
        if until <= scene.now {
            let failure = Failure {
                kind: FailureKind::TimedOut,
                code: "agent_offline".to_owned(),
                message: format!("agent {names} did not come online before the step's deadline"),
                advice: Some("start the agent, then run the task again".to_owned()),
                transient: false,
            };
            let mut tolerated = true;
            for index in self.plan.steps_of(pipeline).collect::<Vec<_>>() {
                let planned = &self.plan.steps[index];
                let waits = !planned.absent(scene.online).is_empty();
                tolerated &= planned.on_error == OnError::Continue || !waits;
                self.steps[index].state = StepState::TimedOut;
                self.steps[index].failure = Some(failure.clone());
                self.steps[index].ended_at = Some(scene.now);
            }
            self.pipelines[pipeline].tolerated = tolerated;
            effects.push(log(LogLevel::Error, failure.message));
            return self.end_pipeline(pipeline, "", scene);
        }
        effects.push(Effect::WakeAt(until));
        for index in self.plan.steps_of(pipeline).collect::<Vec<_>>() {
            let step = &mut self.steps[index];
            if step.state != StepState::WaitingForAgent {
                step.state = StepState::WaitingForAgent;
                effects.push(Effect::Log {
                    step: Some(self.plan.steps[index].name.clone()),
                    attempt: None,
                    level: LogLevel::Info,
                    message: format!("waiting for agent {names}, which is offline"),
                });
            }
            step.reason = Some(format!("waiting for agent {names}"));
        }
    }

    fn dispatch(&mut self, pipeline: usize, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        self.fence += 1;
        let orders = self.plan.agents_of(pipeline).into_iter();
        let orders = orders.map(|agent| Order { agent, state: OrderState::Sent }).collect();
        let fence = self.fence;
        let at = &mut self.pipelines[pipeline];
        at.attempt += 1;
        at.fence = fence;
        let calls = self.plan.call_of(pipeline).is_some();
        at.state = if calls {
            PipelineState::Calling { run: None }
        } else {
            PipelineState::Running { orders, give_up_at: None }
        };
        let attempt = at.attempt;
        for index in self.plan.steps_of(pipeline).collect::<Vec<_>>() {
            let step = &mut self.steps[index];
            *step = super::StepRun::new(true);
            step.state = StepState::Running;
            step.attempt = attempt;
            step.started_at = Some(scene.now);
        }
        let key = self.key(pipeline);
        effects.push(if calls { Effect::Call { pipeline, key } } else { Effect::Dispatch { pipeline, key } });
    }

    fn settle_running(
        &mut self,
        pipeline: usize,
        give_up_at: Option<Timestamp>,
        scene: Scene<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let open: Vec<AgentId> = self.pipelines[pipeline].open_orders().map(|order| order.agent).collect();
        if !open.is_empty() {
            match give_up_at {
                Some(at) if at <= scene.now => {
                    for agent in open {
                        self.give_up_on(pipeline, agent, scene, effects);
                    }
                }
                Some(at) => return effects.push(Effect::WakeAt(at)),
                None => return,
            }
        }
        self.conclude(pipeline, scene, effects);
    }

    /// Every order of the attempt has ended: it succeeded, is tried again, or is over.
    pub(super) fn conclude(&mut self, pipeline: usize, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        let members: Vec<usize> = self.plan.steps_of(pipeline).collect();
        let delivered =
            |run: &Self, step: &usize| !run.is_last(*step) || run.steps[*step].state == StepState::Succeeded;
        if members.iter().all(|step| delivered(self, step)) {
            // What the last steps have committed was complete, whatever became of the agents before them.
            for index in members {
                self.steps[index].state = StepState::Succeeded;
                self.steps[index].failure = None;
            }
            return self.end_pipeline(pipeline, "", scene);
        }
        if self.stop.is_some() {
            for index in members {
                let step = &mut self.steps[index];
                let lost = step.failure.as_ref().is_some_and(is_loss);
                if step.state == StepState::Failed && lost {
                    step.state = StepState::Cancelled;
                }
            }
            return self.end_pipeline(pipeline, "the run was stopped", scene);
        }
        let Some((step, failure)) = self.cause(&members).or_else(|| self.stopped_unasked(&members)) else {
            return self.end_pipeline(pipeline, "the pipeline delivered nothing", scene);
        };
        let name = self.plan.steps[step].name.clone();
        let retry = self.plan.steps[step].retry;
        let at = &mut self.pipelines[pipeline];
        let lost = is_loss(&failure);
        if lost {
            at.losses += 1;
        } else {
            at.failures += 1;
        }
        let more = if lost { at.losses <= LOSSES_MAX && retry.attempts > 1 } else { at.failures < retry.attempts };
        if failure.transient && more {
            let wait = if lost { LOSS_BACKOFF.min(retry.backoff.0) } else { backoff(retry.backoff.0, at.failures) };
            effects.push(Effect::Log {
                step: Some(name),
                attempt: Some(at.attempt),
                level: LogLevel::Warning,
                message: format!("{}; trying again in {} ms", failure.message, wait.as_millis()),
            });
            return self.retry(pipeline, wait, scene, effects);
        }
        if failure.kind == FailureKind::TimedOut {
            self.steps[step].state = StepState::TimedOut;
        }
        effects.push(Effect::Log {
            step: Some(name.clone()),
            attempt: Some(self.pipelines[pipeline].attempt),
            level: LogLevel::Error,
            message: failure.message,
        });
        self.pipelines[pipeline].tolerated = self.plan.steps[step].on_error == OnError::Continue;
        self.end_pipeline(pipeline, &format!("step `{name}` has failed"), scene);
        self.forget_consequences(&members, step);
    }

    fn retry(&mut self, pipeline: usize, wait: Duration, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        let until = scene.now.plus(wait);
        self.pipelines[pipeline].state = PipelineState::Backoff { until };
        for index in self.plan.steps_of(pipeline).collect::<Vec<_>>() {
            self.steps[index].state = StepState::Retrying;
        }
        effects.push(Effect::WakeAt(until));
    }

    /// The step whose failure explains the others: a failure of its own before a stream that broke before an agent
    /// that was lost; a lasting one before one that may pass.
    fn cause(&self, members: &[usize]) -> Option<(usize, Failure)> {
        members
            .iter()
            .filter_map(|step| Some((*step, self.steps[*step].failure.clone()?)))
            .min_by_key(|(_, failure)| (is_stream(failure), is_loss(failure), failure.transient))
    }

    /// Cancelled on the agent's side without anybody having asked: that counts like a loss of the agent.
    fn stopped_unasked(&mut self, members: &[usize]) -> Option<(usize, Failure)> {
        let step = *members.iter().find(|step| self.steps[**step].state == StepState::Cancelled)?;
        let failure = Failure {
            kind: FailureKind::AgentLost,
            code: "agent_stopped".to_owned(),
            message: format!("agent `{}` stopped the step by itself", self.plan.steps[step].agent_name),
            advice: Some("see the agent's log for why it stopped".to_owned()),
            transient: true,
        };
        self.steps[step].state = StepState::Failed;
        self.steps[step].failure = Some(failure.clone());
        Some((step, failure))
    }

    /// Broken streams that follow from another step's failure are that step's story.
    fn forget_consequences(&mut self, members: &[usize], cause: usize) {
        let name = self.plan.steps[cause].name.clone();
        for &index in members.iter().filter(|index| **index != cause) {
            let step = &mut self.steps[index];
            if step.failure.as_ref().is_some_and(is_loss) {
                step.state = StepState::Cancelled;
                step.failure = None;
                step.reason = Some(format!("step `{name}` has failed"));
            }
        }
    }

    fn settle_run(&mut self, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        let ended = self.pipelines.iter().all(|pipeline| pipeline.state == PipelineState::Ended);
        if !ended {
            let waits = |run: &Self, state| run.steps.iter().any(|step| step.state == state);
            let working = waits(self, StepState::Running) || waits(self, StepState::Retrying);
            let waiting = waits(self, StepState::WaitingForAgent);
            self.state = if waiting && !working { RunState::WaitingForAgent } else { RunState::Running };
            self.reason = (self.state == RunState::WaitingForAgent)
                .then(|| self.steps.iter().filter(|step| step.state == StepState::WaitingForAgent))
                .and_then(|mut steps| steps.find_map(|step| step.reason.clone()));
            return;
        }
        // Its last step may have ended while the server was away.
        self.ended_at = self.steps.iter().filter_map(|step| step.ended_at).max().or(Some(scene.now));
        self.failure = self.cause(&self.counted(false)).map(|(_, failure)| failure);
        (self.state, self.reason) = self.verdict();
        if let Some(Stop::Fail { failure }) = &self.stop {
            self.failure = Some(failure.clone());
        }
        effects.push(Effect::Ended);
    }

    /// The steps whose failures count for the run, or (`tolerated`) those whose do not.
    fn counted(&self, tolerated: bool) -> Vec<usize> {
        let of = |step: &usize| self.plan.pipeline_of(*step).is_some_and(|index| self.pipelines[index].tolerated);
        (0..self.steps.len()).filter(|step| of(step) == tolerated).collect()
    }

    fn verdict(&self) -> (RunState, Option<String>) {
        let counted = self.counted(false);
        let any = |state| counted.iter().any(|step| self.steps[*step].state == state);
        let failure = self.failure.as_ref().map(|failure| failure.message.clone());
        match &self.stop {
            Some(Stop::Fail { failure }) => return (RunState::Failed, Some(failure.message.clone())),
            Some(Stop::Cancel { reason }) if any(StepState::Cancelled) => {
                return (RunState::Cancelled, Some(reason.clone()));
            }
            _ => {}
        }
        if any(StepState::TimedOut) {
            return (RunState::TimedOut, failure);
        }
        if any(StepState::Failed) || any(StepState::Cancelled) {
            return (RunState::Failed, failure);
        }
        self.delivery()
    }

    /// How well a run ended in which nothing failed that counts.
    fn delivery(&self) -> (RunState, Option<String>) {
        if let Some((step, failure)) = self.cause(&self.counted(true)) {
            let text = format!("step `{}` has failed: {}", self.plan.steps[step].name, failure.message);
            return (RunState::FinishedWithErrors, Some(text));
        }
        let delivered = self.delivered();
        if delivered.rows_rejected > 0 {
            let text = format!("{} rows were diverted to the reject file", delivered.rows_rejected);
            return (RunState::FinishedWithErrors, Some(text));
        }
        if self.pipelines.is_empty() {
            return (RunState::NoData, Some("the task has no active step".to_owned()));
        }
        if self.steps.iter().all(|step| step.state == StepState::Skipped) {
            return (RunState::NoData, Some("every step was skipped".to_owned()));
        }
        if delivered.rows_in == 0 && delivered.rows_out == 0 && !self.has_called() {
            return (RunState::NoData, None);
        }
        (RunState::Succeeded, None)
    }
}

fn is_loss(failure: &Failure) -> bool {
    failure.kind == FailureKind::AgentLost || is_stream(failure)
}

fn is_stream(failure: &Failure) -> bool {
    failure.code == "stream_lost"
}

fn backoff(base: Duration, failures: u32) -> Duration {
    base.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX)).min(BACKOFF_MAX)
}

fn log(level: LogLevel, message: String) -> Effect {
    Effect::Log { step: None, attempt: None, level, message }
}
