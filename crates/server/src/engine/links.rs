//! Agents that come and go, and what that means for the attempts they work on.

use sallyport_domain::run::{Event, PipelineState, RunState};
use sallyport_protocol::{AgentId, AttemptKey, Failure, FailureKind, RunId, ServerToAgent, capability};

use super::actor::Engine;
use super::entry::Entry;
use super::link::Link;
use super::order::Can;

impl Engine {
    /// Compares what the agent works on with what the runs believe, then lets waiting runs go on.
    pub(super) fn came_online(&mut self, agent: AgentId, link: Link<ServerToAgent>, running: &[AttemptKey]) {
        if self.links.get(&agent).is_some_and(|standing| standing.epoch() > link.epoch()) {
            return link.close();
        }
        if let Some(replaced) = self.links.insert(agent, link) {
            replaced.close();
        }
        self.online.insert(agent);
        self.timers.back(agent);
        let believed: Vec<AttemptKey> = self.entries.values().flat_map(|entry| entry.run.orders_at(agent)).collect();
        for key in believed.into_iter().filter(|key| !running.contains(key)) {
            tracing::info!(%agent, run = %key.run, attempt = key.attempt, "the agent no longer has an order");
            // One that has ended meanwhile is past losing.
            let _ = self.event(key.run, Event::Lost { agent, key: Some(key) });
        }
        for key in running {
            match self.stopping(*key) {
                Some(None) => {}
                Some(Some(reason)) => self.tell(agent, ServerToAgent::Cancel { key: *key, reason }),
                None => self.cancel_stale(agent, *key),
            }
        }
        let concerned: Vec<RunId> =
            self.entries.iter().filter(|(_, entry)| entry.run.agents().contains(&agent)).map(|(run, _)| *run).collect();
        for run in concerned {
            let _ = self.event(run, Event::Tick);
        }
    }

    /// A connection is gone; its agent has until the end of the grace to come back.
    pub(super) fn went_offline(&mut self, agent: AgentId, epoch: i64) {
        if self.links.get(&agent).is_none_or(|link| link.epoch() != epoch) {
            return;
        }
        self.links.remove(&agent);
        self.online.remove(&agent);
        self.timers.give_until(agent, self.parts.clock.now().plus(self.parts.reconnect_grace));
    }

    pub(super) fn gave_up_on(&mut self, agent: AgentId) {
        if self.online.contains(&agent) {
            return;
        }
        for run in self.runs_at(agent) {
            tracing::warn!(%agent, %run, "the agent was away for too long");
            let _ = self.event(run, Event::Lost { agent, key: None });
        }
    }

    /// The runs that an agent works on.
    pub(super) fn runs_at(&self, agent: AgentId) -> Vec<RunId> {
        let at_work = self.entries.iter().filter(|(_, entry)| entry.run.orders_at(agent).next().is_some());
        at_work.map(|(run, _)| *run).collect()
    }

    /// What the agents of a pipeline can do with streams between them.
    pub(super) fn can(&self, entry: &Entry, pipeline: usize) -> Can {
        let agents = entry.run.plan.agents_of(pipeline);
        let can = |agent: &AgentId, word: &str| self.links.get(agent).is_some_and(|link| link.can(word));
        Can {
            resume: agents.iter().all(|agent| can(agent, capability::RESUME)),
            seal: agents.into_iter().filter(|agent| can(agent, capability::SEAL)).collect(),
        }
    }

    /// Why a pipeline's agents cannot do what it asks for: an incremental read needs all of them to know of checkpoints,
    /// a step that goes through another agent needs its own to know how.
    pub(super) fn too_old(&self, entry: &Entry, pipeline: usize) -> Option<Failure> {
        let plan = &entry.run.plan;
        let lacks = |agent: &AgentId, word| self.links.get(agent).is_some_and(|link| !link.can(word));
        let reads = plan.incremental(pipeline).is_some();
        let no_reader =
            plan.agents_of(pipeline).into_iter().find(|agent| reads && lacks(agent, capability::CHECKPOINT));
        let far = plan.steps_of(pipeline).map(|step| &plan.steps[step]).filter(|step| !step.through.is_empty());
        let no_way = far.filter_map(|step| step.agent).find(|agent| lacks(agent, capability::THROUGH));
        let (agent, what) = match (no_reader, no_way) {
            (Some(agent), _) => (agent, "does not read incrementally"),
            (None, Some(agent)) => (agent, "reaches no connection through another agent"),
            (None, None) => return None,
        };
        let name = plan.agent_name(agent).to_owned();
        Some(Failure {
            kind: FailureKind::Runtime,
            code: "agent_too_old".to_owned(),
            message: format!("agent `{name}` is of a version that {what}"),
            advice: Some(format!("update agent `{name}`")),
            transient: false,
        })
    }

    /// Stops an attempt that is over.
    pub(super) fn cancel_stale(&self, agent: AgentId, key: AttemptKey) {
        let reason = "the attempt is over".to_owned();
        self.tell(agent, ServerToAgent::Cancel { key, reason });
    }

    /// `None`: the attempt is over. Otherwise why it is being stopped, if it is.
    fn stopping(&self, key: AttemptKey) -> Option<Option<String>> {
        let run = &self.entries.get(&key.run)?.run;
        if !run.is_current(key) || run.state == RunState::Scheduled {
            return None;
        }
        let pipeline = run.pipelines.get(usize::try_from(key.pipeline).ok()?)?;
        let stopping = matches!(pipeline.state, PipelineState::Running { give_up_at: Some(_), .. });
        Some(stopping.then(|| "the attempt is being stopped".to_owned()))
    }
}
