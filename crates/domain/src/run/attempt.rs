//! What happens within an attempt.

use sallyport_protocol::{AgentId, AttemptKey, Failure, FailureKind, LogLevel, OrderReport, StepCounts, StepOutcome};

use super::{Effect, OrderState, PipelineState, Refused, Run, RunState, STOP_GRACE, Scene, StepState, Stop};

impl Run {
    pub(super) fn start(&mut self, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        if self.state != RunState::Scheduled {
            return;
        }
        self.started_at = Some(scene.now);
        self.state = RunState::Running;
        for pipeline in &mut self.pipelines {
            pipeline.state = PipelineState::Blocked;
        }
        self.take_over(scene, effects);
    }

    pub(super) fn await_agents(&mut self, pipeline: usize, scene: Scene<'_>) {
        let deadline = self.plan.steps_of(pipeline).map(|step| self.plan.steps[step].deadline).min();
        let until = scene.now.plus(deadline.unwrap_or(crate::plan::DEADLINE_DEFAULT).0);
        self.pipelines[pipeline].state = PipelineState::Waiting { until };
    }

    pub(super) fn accepted(&mut self, key: AttemptKey, agent: AgentId) -> Result<(), Refused> {
        let index = self.current(key)?;
        // An acceptance that comes late opens nothing again that has ended or was lost.
        if self.pipelines[index].open_orders().any(|order| order.agent == agent) {
            self.set_order(index, agent, OrderState::Accepted);
        }
        Ok(())
    }

    pub(super) fn progress(&mut self, key: AttemptKey, steps: &[(String, StepCounts)]) -> Result<(), Refused> {
        let pipeline = self.current(key)?;
        for index in self.plan.steps_of(pipeline).collect::<Vec<_>>() {
            if let Some((_, counts)) = steps.iter().find(|(name, _)| *name == self.plan.steps[index].name) {
                self.steps[index].counts = *counts;
            }
        }
        Ok(())
    }

    pub(super) fn finished(
        &mut self,
        agent: AgentId,
        report: &OrderReport,
        scene: Scene<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refused> {
        let pipeline = self.current(report.key)?;
        if !self.pipelines[pipeline].open_orders().any(|order| order.agent == agent) {
            return Err(Refused::Stale);
        }
        let mut failed = false;
        // The report may have waited for the server; a clock that is wrong makes no step end before it began.
        let ended_at = report.ended_at.map_or(scene.now, |at| at.min(scene.now));
        for index in self.steps_at(pipeline, agent) {
            let name = &self.plan.steps[index].name;
            let step = &mut self.steps[index];
            step.ended_at = Some(step.started_at.map_or(ended_at, |began| ended_at.max(began)));
            match report.steps.iter().find(|one| one.step == *name) {
                Some(one) => {
                    step.counts = one.counts;
                    step.committed.clone_from(&one.committed);
                    match &one.outcome {
                        StepOutcome::Succeeded => step.state = StepState::Succeeded,
                        StepOutcome::Failed { failure } => {
                            step.state = StepState::Failed;
                            step.failure = Some(failure.clone());
                        }
                        StepOutcome::Cancelled { reason } => {
                            step.state = StepState::Cancelled;
                            step.reason = Some(reason.clone());
                        }
                    }
                }
                None => {
                    step.state = StepState::Failed;
                    step.failure = Some(unreported(name));
                }
            }
            failed |= step.state != StepState::Succeeded;
        }
        self.set_order(pipeline, agent, OrderState::Ended);
        if failed {
            self.wind_down(pipeline, "another step of the pipeline has failed", scene, effects);
        }
        Ok(())
    }

    /// Nothing was sent: the attempt ends with this one failure.
    pub(super) fn unfit(
        &mut self,
        key: AttemptKey,
        step: &str,
        failure: &Failure,
        scene: Scene<'_>,
    ) -> Result<(), Refused> {
        let pipeline = self.current(key)?;
        for index in self.plan.steps_of(pipeline).collect::<Vec<_>>() {
            let run = &mut self.steps[index];
            run.ended_at = Some(scene.now);
            if self.plan.steps[index].name == step {
                run.state = StepState::Failed;
                run.failure = Some(failure.clone());
            } else {
                run.state = StepState::Cancelled;
                run.reason = Some(format!("step `{step}` has failed"));
            }
        }
        for agent in self.plan.agents_of(pipeline) {
            self.set_order(pipeline, agent, OrderState::Ended);
        }
        Ok(())
    }

    pub(super) fn lost(
        &mut self,
        agent: AgentId,
        key: Option<AttemptKey>,
        scene: Scene<'_>,
        effects: &mut Vec<Effect>,
    ) {
        for pipeline in 0..self.pipelines.len() {
            let meant = key.is_none_or(|key| self.current(key) == Ok(pipeline));
            if !meant || !self.pipelines[pipeline].open_orders().any(|order| order.agent == agent) {
                continue;
            }
            self.give_up_on(pipeline, agent, scene, effects);
            self.wind_down(pipeline, "an agent of the pipeline was lost", scene, effects);
        }
    }

    pub(super) fn give_up_on(&mut self, pipeline: usize, agent: AgentId, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        let failure = lost_failure(self.plan.agent_name(agent));
        let attempt = self.pipelines[pipeline].attempt;
        for index in self.steps_at(pipeline, agent) {
            let step = &mut self.steps[index];
            step.state = StepState::Failed;
            step.failure = Some(failure.clone());
            step.ended_at = Some(scene.now);
            effects.push(Effect::Log {
                step: Some(self.plan.steps[index].name.clone()),
                attempt: Some(attempt),
                level: LogLevel::Warning,
                message: failure.message.clone(),
            });
        }
        self.set_order(pipeline, agent, OrderState::Lost);
    }

    pub(super) fn stop(&mut self, stop: Stop, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        if self.stop.is_some() {
            return;
        }
        let reason = stop.words().to_owned();
        effects.push(Effect::Log { step: None, attempt: None, level: LogLevel::Warning, message: reason.clone() });
        self.stop = Some(stop);
        for pipeline in 0..self.pipelines.len() {
            match self.pipelines[pipeline].state {
                PipelineState::Running { .. } => self.wind_down(pipeline, &reason, scene, effects),
                PipelineState::Calling { run } => self.call_off(pipeline, run, &reason, effects),
                PipelineState::Ended => {}
                _ => self.end_pipeline(pipeline, &reason, scene),
            }
        }
    }

    /// Stops what still runs of an attempt. A pipeline whose last steps have all committed is left to end by itself.
    fn wind_down(&mut self, pipeline: usize, reason: &str, scene: Scene<'_>, effects: &mut Vec<Effect>) {
        let key = self.key(pipeline);
        for order in self.pipelines[pipeline].open_orders() {
            effects.push(Effect::Cancel { agent: order.agent, key, reason: reason.to_owned() });
        }
        if let PipelineState::Running { give_up_at, .. } = &mut self.pipelines[pipeline].state {
            give_up_at.get_or_insert(scene.now.plus(STOP_GRACE));
        }
    }

    /// Ends a pipeline; steps without an end of their own are cancelled.
    pub(super) fn end_pipeline(&mut self, pipeline: usize, reason: &str, scene: Scene<'_>) {
        self.pipelines[pipeline].state = PipelineState::Ended;
        for index in self.plan.steps_of(pipeline).collect::<Vec<_>>() {
            let step = &mut self.steps[index];
            let open = [StepState::Scheduled, StepState::WaitingForAgent, StepState::Running, StepState::Retrying];
            if open.contains(&step.state) {
                step.state = StepState::Cancelled;
                step.reason = Some(reason.to_owned());
                step.ended_at = Some(scene.now);
            }
        }
    }

    fn set_order(&mut self, pipeline: usize, agent: AgentId, state: OrderState) {
        if let PipelineState::Running { orders, .. } = &mut self.pipelines[pipeline].state {
            orders.iter_mut().filter(|order| order.agent == agent).for_each(|order| order.state = state);
        }
    }

    fn steps_at(&self, pipeline: usize, agent: AgentId) -> Vec<usize> {
        self.plan.steps_of(pipeline).filter(|step| self.plan.steps[*step].agent == Some(agent)).collect()
    }
}

fn lost_failure(agent: &str) -> Failure {
    Failure {
        kind: FailureKind::AgentLost,
        code: "agent_lost".to_owned(),
        message: format!("agent `{agent}` was lost while it worked on the step"),
        advice: Some("see the agent's log for why it went away".to_owned()),
        transient: true,
    }
}

fn unreported(step: &str) -> Failure {
    Failure {
        kind: FailureKind::Runtime,
        code: "unreported".to_owned(),
        message: format!("the agent ended its work without a word on step `{step}`"),
        advice: Some("update the agent".to_owned()),
        transient: false,
    }
}
