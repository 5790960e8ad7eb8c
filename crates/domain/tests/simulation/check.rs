//! What must hold in every world, from books of its own: what was dispatched, and what lies in the targets.

use std::collections::{BTreeMap, BTreeSet};

use sallyport_domain::run::{Effect, Event, PipelineState, Refused, Run, RunState, StepState, Stop};
use sallyport_protocol::{AgentId, AttemptKey, RunId};

use crate::agent::Attempt;
use crate::world::World;

/// A promise that was not kept.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

#[derive(Default)]
pub(crate) struct Book {
    /// What agents have done in each attempt.
    pub(crate) attempts: BTreeMap<AttemptKey, Attempt>,
    /// Which sinks of which runs have written, by their ledgers: a second write finds the first.
    pub(crate) targets: BTreeSet<(RunId, usize)>,
    /// The newest attempt of each pipeline.
    newest: BTreeMap<(RunId, u32), AttemptKey>,
    /// The newest fence of each run.
    fences: BTreeMap<RunId, u64>,
    /// Runs that have said that they ended.
    ended: BTreeSet<RunId>,
}

/// What must be known of a run and an event before the run takes it.
pub(crate) struct Before {
    ended: bool,
    stopped: bool,
    /// The attempt of which the end is reported.
    pub(crate) reported: Option<AttemptKey>,
}

impl Before {
    pub(crate) fn of(run: &Run, event: &Event) -> Self {
        let reported = match event {
            Event::Finished { report, .. } => Some(report.key),
            _ => None,
        };
        Self { ended: run.state.has_ended(), stopped: run.stop.is_some(), reported }
    }
}

fn holds(holds: bool, run: &Run, what: &str) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken(format!("{what}: {run:#?}"))) }
}

impl Book {
    /// Whether another attempt has taken the place of this one.
    pub(crate) fn is_old(&self, key: AttemptKey) -> bool {
        self.newest.get(&(key.run, key.pipeline)).is_some_and(|newest| newest.fence > key.fence)
    }

    /// After every event.
    pub(crate) fn judge(
        &mut self,
        before: &Before,
        run: &Run,
        taken: &Result<Vec<Effect>, Refused>,
        online: &BTreeSet<AgentId>,
    ) -> Result<(), Broken> {
        let Ok(effects) = taken else { return Ok(()) };
        holds(!before.ended, run, "a run that has ended takes an event")?;
        if let Some(key) = before.reported {
            let newest = self.newest.get(&(run.id, key.pipeline));
            holds(
                newest == Some(&key),
                run,
                &format!("a report of {key:?} is taken, which is not the newest attempt"),
            )?;
        }
        for effect in effects {
            if let Effect::Dispatch { pipeline, key } = effect {
                holds(!before.stopped && run.stop.is_none(), run, "a run that was stopped begins an attempt")?;
                self.judge_dispatch(run, *pipeline, *key, online)?;
            }
        }
        let told = effects.iter().filter(|effect| **effect == Effect::Ended).count();
        holds(told == usize::from(run.state.has_ended()), run, "the end is told not at the end")?;
        if run.state.has_ended() {
            holds(self.ended.insert(run.id), run, "a run ends twice")?;
            self.judge_ended(run)?;
        }
        Ok(())
    }

    fn judge_dispatch(
        &mut self,
        run: &Run,
        pipeline: usize,
        key: AttemptKey,
        online: &BTreeSet<AgentId>,
    ) -> Result<(), Broken> {
        let fence = self.fences.insert(run.id, key.fence).unwrap_or(0);
        holds(key.fence > fence, run, "a fence is used twice")?;
        let newest = self.newest.insert((run.id, key.pipeline), key);
        let attempt = newest.map_or(0, |newest| newest.attempt);
        holds(key.attempt == attempt + 1, run, "an attempt is left out")?;
        let plan = &run.plan;
        holds(plan.agents_of(pipeline).iter().all(|agent| online.contains(agent)), run, "an agent is offline")?;
        let ended_well = |step: usize| {
            let ended = plan.pipeline_of(step).is_none_or(|at| run.pipelines[at].state == PipelineState::Ended);
            let tolerated = plan.pipeline_of(step).is_some_and(|at| run.pipelines[at].tolerated);
            let well = matches!(run.steps[step].state, StepState::Succeeded | StepState::Skipped);
            ended && (well || tolerated)
        };
        holds(plan.before(pipeline).all(ended_well), run, "a pipeline starts before those it comes after")
    }

    fn judge_ended(&self, run: &Run) -> Result<(), Broken> {
        let any = |state| run.steps.iter().any(|step| step.state == state);
        holds(run.pipelines.iter().all(|at| at.state == PipelineState::Ended), run, "a pipeline has not ended")?;
        let open = [StepState::Scheduled, StepState::WaitingForAgent, StepState::Running, StepState::Retrying];
        holds(!open.into_iter().any(any), run, "a step has not ended")?;
        for (index, step) in run.steps.iter().enumerate() {
            let last = run.plan.steps[index].runs && run.plan.consumers_of(index).next().is_none();
            if step.state == StepState::Succeeded && last {
                let by = run.given.taken.get(&run.plan.steps[index].name).filter(|_| step.attempt == 0);
                let by = by.map_or(run.id, |taken| taken.run);
                holds(self.targets.contains(&(by, index)), run, "a step has succeeded whose target is empty")?;
            }
        }
        let counted = |step: usize| run.plan.pipeline_of(step).is_none_or(|at| !run.pipelines[at].tolerated);
        let bad = (0..run.steps.len()).filter(|step| counted(*step)).any(|step| {
            matches!(run.steps[step].state, StepState::Failed | StepState::TimedOut | StepState::Cancelled)
        });
        match run.state {
            RunState::Succeeded | RunState::NoData => {
                let tolerated = run.pipelines.iter().any(|pipeline| pipeline.tolerated);
                holds(!bad && !tolerated, run, "a run has succeeded and has not")
            }
            RunState::FinishedWithErrors => holds(!bad, run, "a failure that counts was passed over"),
            RunState::Cancelled => {
                let asked = matches!(run.stop, Some(Stop::Cancel { .. }));
                holds(asked && any(StepState::Cancelled), run, "a run is cancelled of which nothing was")
            }
            RunState::Failed | RunState::TimedOut => {
                let stopped = matches!(run.stop, Some(Stop::Fail { .. }));
                holds(bad || stopped, run, "a run has failed and nothing in it has")?;
                holds(run.failure.is_some() || stopped, run, "a run has failed and does not say why")
            }
            RunState::Scheduled | RunState::WaitingForAgent | RunState::Running => holds(false, run, "no end"),
        }
    }

    /// What a run says that it has delivered is what its sinks have written.
    fn judge_counts(&self, run: &Run, rows: &[u64]) -> Result<(), Broken> {
        if !run.state.is_good() {
            return Ok(());
        }
        let delivering = (0..run.steps.len())
            .filter(|step| run.plan.steps[*step].runs && run.plan.consumers_of(*step).next().is_none());
        let written: u64 = delivering.map(|step| rows[step]).sum();
        let said = run.delivered().rows_out;
        holds(said == written, run, &format!("the run says {said} rows, its targets hold {written}"))
    }
}

impl World<'_> {
    /// When nothing comes any more.
    pub(crate) fn judge_end(&self) -> Result<(), Broken> {
        if let Some(run) = self.server.open.first() {
            return holds(false, &self.server.runs[run].run, "a run goes on for ever");
        }
        for (id, agent) in self.agents.iter().filter(|(_, agent)| agent.alive) {
            if !agent.is_idle() {
                return Err(Broken(format!("agent {id} still has {:?}", agent.known())));
            }
        }
        for record in self.server.runs.values() {
            self.book.judge_counts(&record.run, &self.stories[record.story].rows)?;
        }
        for (run, step) in &self.book.targets {
            let record = &self.server.runs[run].run;
            let sent = record.plan.pipeline_of(*step).is_some_and(|at| record.pipelines[at].attempt > 0);
            holds(sent, record, "a sink has written that was never sent")?;
        }
        Ok(())
    }
}
