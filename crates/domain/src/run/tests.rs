//! The run's life: told as stories, then however events interleave.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use sallyport_protocol::{
    AgentId, AttemptKey, Failure, FailureKind, OrderReport, RunId, StepCounts, StepOutcome, StepReport, Timestamp,
};
use serde_json::json;

use super::*;

mod call;
mod order;

use crate::plan::{PlannedStep, Through, Work};
use crate::task::{OnError, Retry, Span};

const ONE: AgentId = AgentId::from_uuid(uuid(1));
const TWO: AgentId = AgentId::from_uuid(uuid(2));

const fn uuid(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}

/// A world in which a run lives: who is online, what time it is, what was sent.
struct World {
    run: Run,
    now: Timestamp,
    online: BTreeSet<AgentId>,
    effects: Vec<Effect>,
}

impl World {
    fn new(plan: Plan, online: &[AgentId]) -> Self {
        let now = Timestamp(1_000_000);
        let run = Run::scheduled(RunId::new(), plan, now);
        Self { run, now, online: online.iter().copied().collect(), effects: Vec::new() }
    }

    fn on(&mut self, event: Event) -> Result<(), Refused> {
        let scene = Scene { now: self.now, online: &self.online };
        self.effects = self.run.on(event, scene)?;
        Ok(())
    }

    fn after(&mut self, span: Duration) {
        self.now = self.now.plus(span);
        let _ = self.on(Event::Tick);
    }

    fn key(&self) -> AttemptKey {
        self.run.key(0)
    }

    fn report(&mut self, agent: AgentId, outcome: &StepOutcome) -> Result<(), Refused> {
        self.report_at(agent, outcome, None)
    }

    fn report_at(&mut self, agent: AgentId, outcome: &StepOutcome, at: Option<Timestamp>) -> Result<(), Refused> {
        let steps = self.run.plan.steps.iter().filter(|step| step.agent == Some(agent));
        let counts = StepCounts { rows_in: 10, rows_out: 10, ..StepCounts::default() };
        let steps = steps
            .map(|step| StepReport {
                step: step.name.clone(),
                outcome: outcome.clone(),
                counts,
                already_committed: false,
                committed: None,
            })
            .collect();
        let report = OrderReport { key: self.key(), steps, ended_at: at };
        self.on(Event::Finished { agent, report })
    }

    fn dispatched(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, Effect::Dispatch { .. }))
    }
}

fn step(name: &str, agent: AgentId, inputs: &[usize]) -> PlannedStep {
    PlannedStep {
        name: name.to_owned(),
        work: Work::Connector { kind: "file".to_owned(), connection: None, settings: json!({}) },
        agent: Some(agent),
        agent_name: if agent == ONE { "one" } else { "two" }.to_owned(),
        through: Vec::new(),
        inputs: inputs.to_vec(),
        after: Vec::new(),
        when: None,
        on_error: OnError::Fail,
        timeout: None,
        deadline: Span::seconds(60),
        retry: Retry { attempts: 3, backoff: Span::seconds(5) },
        runs: true,
    }
}

/// Source on agent one, sink on agent two.
fn two_agents() -> Plan {
    let steps = vec![step("read", ONE, &[]), step("write", TWO, &[0])];
    Plan { task: "copy".to_owned(), steps, pipelines: vec![vec![0, 1]] }
}

fn failed(code: &str, kind: FailureKind, transient: bool) -> StepOutcome {
    let failure = Failure { kind, code: code.to_owned(), message: code.to_owned(), advice: None, transient };
    StepOutcome::Failed { failure }
}

#[test]
fn both_agents_finish_and_the_run_succeeds() {
    let mut world = World::new(two_agents(), &[ONE, TWO]);
    world.on(Event::Start).unwrap();
    assert!(world.dispatched());
    world.report(ONE, &StepOutcome::Succeeded).unwrap();
    assert_eq!(world.run.state, RunState::Running);
    world.report(TWO, &StepOutcome::Succeeded).unwrap();
    assert_eq!(world.run.state, RunState::Succeeded);
    assert_eq!(world.effects, [Effect::Ended]);
    assert_eq!(world.on(Event::Tick), Err(Refused::Ended));
}

#[test]
fn a_report_that_waited_for_the_server_tells_when_the_run_ended() {
    let mut world = World::new(two_agents(), &[ONE, TWO]);
    world.on(Event::Start).unwrap();
    let after = |seconds| Timestamp(1_000_000).plus(Duration::from_secs(seconds));
    world.after(Duration::from_secs(600));
    world.report_at(ONE, &StepOutcome::Succeeded, Some(after(20))).unwrap();
    world.report_at(TWO, &StepOutcome::Succeeded, Some(after(30))).unwrap();
    let ends: Vec<_> = world.run.steps.iter().map(|step| step.ended_at.unwrap()).collect();
    assert_eq!((ends, world.run.ended_at), (vec![after(20), after(30)], Some(after(30))));
}

#[test]
fn a_wrong_clock_ends_no_step_before_it_began_or_in_the_future() {
    for (said, believed) in [(0, 1_000_000), (900_000_000_000, 61_000_000)] {
        let mut world = World::new(two_agents(), &[ONE, TWO]);
        world.on(Event::Start).unwrap();
        world.after(Duration::from_secs(60));
        world.report_at(ONE, &StepOutcome::Succeeded, Some(Timestamp(said))).unwrap();
        assert_eq!(world.run.steps[0].ended_at, Some(Timestamp(believed)));
    }
}

#[test]
fn an_offline_agent_is_waited_for_until_the_deadline() {
    let mut world = World::new(two_agents(), &[ONE]);
    world.on(Event::Start).unwrap();
    assert_eq!(world.run.state, RunState::WaitingForAgent);
    assert_eq!(world.run.reason.as_deref(), Some("waiting for agent `two`"));
    world.after(Duration::from_secs(59));
    assert_eq!(world.run.state, RunState::WaitingForAgent);
    world.after(Duration::from_secs(2));
    assert_eq!(world.run.state, RunState::TimedOut);
    assert_eq!(world.run.failure.as_ref().unwrap().code, "agent_offline");
}

#[test]
fn a_producer_is_told_once_its_consumer_has_everything() {
    let mut world = World::new(two_agents(), &[ONE, TWO]);
    assert_eq!(world.run.streaming(), []);
    world.on(Event::Start).unwrap();
    let key = world.key();
    assert_eq!(world.run.streaming(), [Streaming { key, served: vec![] }]);
    world.report(TWO, &StepOutcome::Succeeded).unwrap();
    assert_eq!(world.run.streaming(), [Streaming { key, served: vec![1] }]);
    world.report(ONE, &StepOutcome::Succeeded).unwrap();
    assert_eq!(world.run.streaming(), []);
}

#[test]
fn an_agent_that_comes_online_gets_its_order() {
    let mut world = World::new(two_agents(), &[ONE]);
    world.on(Event::Start).unwrap();
    world.online.insert(TWO);
    world.on(Event::Tick).unwrap();
    assert!(world.dispatched());
    assert_eq!(world.run.state, RunState::Running);
}

#[test]
fn a_lost_agent_is_tried_again_and_the_old_attempt_is_refused() {
    let mut world = World::new(two_agents(), &[ONE, TWO]);
    world.on(Event::Start).unwrap();
    let old = world.key();
    world.on(Event::Lost { agent: ONE, key: None }).unwrap();
    assert!(world.effects.iter().any(|e| matches!(e, Effect::Cancel { agent, .. } if *agent == TWO)));
    world.report(TWO, &failed("stream_lost", FailureKind::Input, true)).unwrap();
    world.after(Duration::from_secs(2));
    assert!(world.dispatched());
    assert_eq!(world.key().attempt, 2);
    assert!(world.key().fence > old.fence);
    let late = OrderReport { key: old, steps: Vec::new(), ended_at: None };
    assert_eq!(world.on(Event::Finished { agent: TWO, report: late }), Err(Refused::Stale));
}

#[test]
fn a_committed_sink_outweighs_a_lost_source() {
    let mut world = World::new(two_agents(), &[ONE, TWO]);
    world.on(Event::Start).unwrap();
    world.report(TWO, &StepOutcome::Succeeded).unwrap();
    world.on(Event::Lost { agent: ONE, key: None }).unwrap();
    assert_eq!(world.run.state, RunState::Succeeded);
}

#[test]
fn a_lasting_failure_is_not_tried_again() {
    let mut world = World::new(two_agents(), &[ONE, TWO]);
    world.on(Event::Start).unwrap();
    world.report(ONE, &failed("wrong_password", FailureKind::Connector, false)).unwrap();
    world.report(TWO, &failed("stream_lost", FailureKind::Input, true)).unwrap();
    assert_eq!(world.run.state, RunState::Failed);
    assert_eq!(world.run.failure.as_ref().unwrap().code, "wrong_password");
    assert_eq!(world.run.steps[1].state, StepState::Cancelled);
}

#[test]
fn retries_end_at_the_limit_and_the_wait_doubles() {
    let mut world = World::new(two_agents(), &[ONE, TWO]);
    world.on(Event::Start).unwrap();
    for wait in [5, 10] {
        world.report(ONE, &failed("connection_lost", FailureKind::Connector, true)).unwrap();
        world.report(TWO, &failed("stream_lost", FailureKind::Input, true)).unwrap();
        world.after(Duration::from_secs(wait - 1));
        assert!(!world.dispatched());
        world.after(Duration::from_secs(1));
        assert!(world.dispatched());
    }
    world.report(ONE, &failed("connection_lost", FailureKind::Connector, true)).unwrap();
    world.report(TWO, &failed("stream_lost", FailureKind::Input, true)).unwrap();
    assert_eq!(world.run.state, RunState::Failed);
    assert_eq!(world.run.steps[0].attempt, 3);
}

#[test]
fn work_that_an_agent_stops_unasked_is_tried_again_but_not_for_ever() {
    for (attempts, tries) in [(1, 1), (3, LOSSES_MAX + 1)] {
        let mut plan = two_agents();
        for step in &mut plan.steps {
            step.retry.attempts = attempts;
        }
        let mut world = World::new(plan, &[ONE, TWO]);
        world.on(Event::Start).unwrap();
        for attempt in 1..=tries {
            assert_eq!((world.run.state, world.key().attempt), (RunState::Running, attempt));
            for agent in [ONE, TWO] {
                world.report(agent, &StepOutcome::Cancelled { reason: "out of order".to_owned() }).unwrap();
            }
            world.after(Duration::from_secs(5));
        }
        assert_eq!(world.run.state, RunState::Failed);
        assert_eq!(world.run.failure.as_ref().unwrap().code, "agent_stopped");
    }
}

#[test]
fn a_late_acceptance_reopens_nothing() {
    let mut world = World::new(two_agents(), &[ONE, TWO]);
    world.on(Event::Start).unwrap();
    let key = world.key();
    world.report(ONE, &StepOutcome::Succeeded).unwrap();
    world.on(Event::Accepted { key, agent: ONE }).unwrap();
    assert_eq!(world.run.orders_at(ONE).count(), 0);
    assert_eq!(world.run.orders_at(TWO).count(), 1);
}

#[test]
fn a_cancelled_run_waits_for_its_agents_but_not_forever() {
    let mut world = World::new(two_agents(), &[ONE, TWO]);
    world.on(Event::Start).unwrap();
    world.on(Event::Stop(Stop::Cancel { reason: "cancelled by ada".to_owned() })).unwrap();
    world.report(ONE, &StepOutcome::Cancelled { reason: "cancelled by ada".to_owned() }).unwrap();
    assert_eq!(world.run.state, RunState::Running);
    world.after(STOP_GRACE);
    assert_eq!(world.run.state, RunState::Cancelled);
    assert_eq!(world.run.reason.as_deref(), Some("cancelled by ada"));
}

#[test]
fn a_run_that_was_never_started_can_be_cancelled() {
    let mut world = World::new(two_agents(), &[]);
    world.on(Event::Stop(Stop::Cancel { reason: "not today".to_owned() })).unwrap();
    assert_eq!(world.run.state, RunState::Cancelled);
}

#[test]
fn no_rows_and_diverted_rows_have_their_own_states() {
    for (counts, state) in [
        (StepCounts::default(), RunState::NoData),
        (StepCounts { rows_in: 2, rows_out: 1, rows_rejected: 1, bytes: 9 }, RunState::FinishedWithErrors),
    ] {
        let plan = Plan { steps: vec![step("only", ONE, &[])], ..two_agents() };
        let mut world = World::new(Plan { pipelines: vec![vec![0]], ..plan }, &[ONE]);
        world.on(Event::Start).unwrap();
        let outcome = StepOutcome::Succeeded;
        let steps =
            vec![StepReport { step: "only".to_owned(), outcome, counts, already_committed: false, committed: None }];
        let report = OrderReport { key: world.key(), steps, ended_at: None };
        world.on(Event::Finished { agent: ONE, report }).unwrap();
        assert_eq!(world.run.state, state);
    }
}

/// Everything that may happen to a run of two agents.
fn any_event() -> impl Strategy<Value = u8> {
    0_u8..12
}

proptest! {
    /// However events interleave: attempts only grow, what has ended stays ended, one dispatch per attempt, and once
    /// agents stay online and answer, the run ends.
    #[test]
    fn finished_stays_finished(events in prop::collection::vec(any_event(), 0..200)) {
        let mut world = World::new(two_agents(), &[ONE, TWO]);
        let mut last = (0, 0);
        let mut ended = None;
        for event in events {
            let agent = if event % 2 == 0 { ONE } else { TWO };
            let key = world.key();
            let _ = match event {
                0 => world.on(Event::Start),
                1 => { world.online.remove(&TWO); world.on(Event::Tick) }
                2 => { world.online.insert(TWO); world.on(Event::Tick) }
                3 | 4 => world.on(Event::Accepted { key, agent }),
                5 => world.on(Event::Lost { agent, key: None }),
                6 | 7 => world.report(agent, &StepOutcome::Succeeded),
                8 => world.report(ONE, &failed("connection_lost", FailureKind::Connector, true)),
                9 => world.report(TWO, &failed("stream_lost", FailureKind::Input, true)),
                10 => { world.after(Duration::from_secs(7)); Ok(()) }
                _ => world.on(Event::Lost { agent, key: Some(AttemptKey { fence: key.fence.saturating_sub(1), ..key }) }),
            };
            let now = (world.key().attempt, world.key().fence);
            prop_assert!(now >= last);
            last = now;
            let stored: Run = serde_json::from_value(serde_json::to_value(&world.run).unwrap()).unwrap();
            prop_assert_eq!(&stored, &world.run);
            match &ended {
                Some(run) => prop_assert_eq!(run, &world.run),
                None if world.run.state.has_ended() => ended = Some(world.run.clone()),
                None => {}
            }
        }
        world.online.insert(TWO);
        let _ = world.on(Event::Start);
        for _ in 0..200 {
            world.after(Duration::from_secs(30));
            let _ = world.report(ONE, &StepOutcome::Succeeded);
            let _ = world.report(TWO, &StepOutcome::Succeeded);
        }
        prop_assert!(world.run.state.has_ended());
    }
}

#[test]
fn a_step_waits_for_one_of_the_agents_that_reach_its_connection() {
    const THREE: AgentId = AgentId::from_uuid(uuid(3));
    let through = |agent, name: &str| Through { agent, name: name.to_owned() };
    let far = PlannedStep { through: vec![through(TWO, "two"), through(THREE, "three")], ..step("read", ONE, &[]) };
    let plan = Plan { task: "away".to_owned(), steps: vec![far], pipelines: vec![vec![0]] };
    let mut world = World::new(plan, &[ONE]);
    world.on(Event::Start).unwrap();
    assert_eq!(world.run.steps[0].reason.as_deref(), Some("waiting for agent `two`, `three`"));
    assert_eq!(world.run.agents(), BTreeSet::from([ONE, TWO, THREE]));
    assert!(world.run.streaming().is_empty());
    world.online.insert(THREE);
    world.on(Event::Tick).unwrap();
    assert!(world.dispatched());
    // Its way through the server is open as long as it is at work.
    assert_eq!(world.run.streaming(), [Streaming { key: world.key(), served: Vec::new() }]);
}
