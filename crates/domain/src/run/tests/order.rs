//! Pipelines that wait for others, conditions, and failures that do not count.

use super::*;
use crate::task::OnError;

/// A pipeline of one step on agent one for each name.
fn alone(steps: Vec<PlannedStep>) -> Plan {
    let pipelines = (0..steps.len()).map(|index| vec![index]).collect();
    Plan { task: "ordered".to_owned(), steps, pipelines }
}

fn after(name: &str, before: &[usize]) -> PlannedStep {
    PlannedStep { after: before.to_vec(), ..step(name, ONE, &[]) }
}

impl World {
    fn end(&mut self, pipeline: usize, outcome: &StepOutcome, rows: u64) {
        let counts = StepCounts { rows_out: rows, ..StepCounts::default() };
        let steps = self.run.plan.steps_of(pipeline).map(|index| &self.run.plan.steps[index]);
        let steps = steps
            .map(|step| StepReport {
                step: step.name.clone(),
                outcome: outcome.clone(),
                counts,
                already_committed: false,
                committed: None,
            })
            .collect();
        let report = OrderReport { key: self.run.key(pipeline), steps, ended_at: None };
        self.on(Event::Finished { agent: ONE, report }).unwrap();
    }

    fn states(&self) -> Vec<&'static str> {
        self.run.steps.iter().map(|step| step.state.word()).collect()
    }

    fn started(&self) -> Vec<usize> {
        self.effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Dispatch { pipeline, .. } => Some(*pipeline),
                _ => None,
            })
            .collect()
    }
}

fn lasting() -> StepOutcome {
    failed("wrong_password", FailureKind::Connector, false)
}

#[test]
fn a_pipeline_starts_when_all_before_it_have_ended_well() {
    let mut world = World::new(alone(vec![after("a", &[]), after("b", &[]), after("c", &[0, 1])]), &[ONE]);
    world.on(Event::Start).unwrap();
    assert_eq!(world.started(), [0, 1]);
    assert_eq!(world.run.steps[2].reason.as_deref(), Some("waits for the end of step `a`, `b`"));
    world.end(0, &StepOutcome::Succeeded, 1);
    assert!(world.started().is_empty());
    world.end(1, &StepOutcome::Succeeded, 1);
    assert_eq!(world.started(), [2]);
    assert_eq!(world.run.steps[2].reason, None);
    world.end(2, &StepOutcome::Succeeded, 1);
    assert_eq!(world.run.state, RunState::Succeeded);
}

#[test]
fn what_comes_after_a_failure_does_not_start() {
    let mut world = World::new(alone(vec![after("a", &[]), after("b", &[0]), after("c", &[1])]), &[ONE]);
    world.on(Event::Start).unwrap();
    world.end(0, &lasting(), 0);
    assert_eq!(world.states(), ["failed", "cancelled", "cancelled"]);
    assert_eq!(world.run.steps[1].reason.as_deref(), Some("step `a`, which comes before, has not ended well"));
    assert_eq!(world.run.state, RunState::Failed);
    assert_eq!(world.run.failure.as_ref().unwrap().code, "wrong_password");
}

#[test]
fn a_retry_is_not_the_end_that_others_wait_for() {
    let mut world = World::new(alone(vec![after("a", &[]), after("b", &[0])]), &[ONE]);
    world.on(Event::Start).unwrap();
    world.end(0, &failed("connection_lost", FailureKind::Connector, true), 0);
    world.after(Duration::from_secs(5));
    assert_eq!(world.started(), [0]);
    world.end(0, &StepOutcome::Succeeded, 1);
    assert_eq!(world.started(), [1]);
}

#[test]
fn a_failure_that_does_not_count_lets_the_run_go_on() {
    let tolerant = PlannedStep { on_error: OnError::Continue, ..after("a", &[]) };
    let mut world = World::new(alone(vec![tolerant, after("b", &[0])]), &[ONE]);
    world.on(Event::Start).unwrap();
    world.end(0, &lasting(), 0);
    assert_eq!(world.started(), [1]);
    world.end(1, &StepOutcome::Succeeded, 1);
    assert_eq!(world.run.state, RunState::FinishedWithErrors);
    assert_eq!(world.run.reason.as_deref(), Some("step `a` has failed: wrong_password"));
    assert_eq!(world.run.failure, None);
}

#[test]
fn the_step_that_caused_it_decides_whether_a_failure_counts() {
    let mut plan = two_agents();
    plan.steps[1].on_error = OnError::Continue;
    let broken = failed("stream_lost", FailureKind::Input, true);
    for (one, two, state) in
        [(&lasting(), &broken, RunState::Failed), (&broken, &lasting(), RunState::FinishedWithErrors)]
    {
        let mut world = World::new(plan.clone(), &[ONE, TWO]);
        world.on(Event::Start).unwrap();
        world.report(ONE, one).unwrap();
        world.report(TWO, two).unwrap();
        assert_eq!(world.run.state, state);
    }
    for (online, state) in [(ONE, RunState::FinishedWithErrors), (TWO, RunState::TimedOut)] {
        let mut world = World::new(plan.clone(), &[online]);
        world.on(Event::Start).unwrap();
        world.after(Duration::from_secs(61));
        assert_eq!(world.run.state, state);
    }
}

#[test]
fn a_condition_that_does_not_hold_skips_the_step_and_what_needs_its_rows() {
    let when = |condition: &str, one| PlannedStep { when: Some(condition.to_owned()), ..one };
    let steps = vec![
        after("first-read", &[]),
        when("steps.first_read.rows_out > 5", PlannedStep { after: vec![0], ..step("read", ONE, &[]) }),
        step("write", ONE, &[1]),
        PlannedStep { after: vec![2], ..step("last", ONE, &[]) },
    ];
    let plan = Plan { task: "t".to_owned(), steps, pipelines: vec![vec![0], vec![1, 2], vec![3]] };
    for (rows, states, started) in [
        (5, ["succeeded", "skipped", "skipped", "running"], 2),
        (6, ["succeeded", "running", "running", "scheduled"], 1),
    ] {
        let mut world = World::new(plan.clone(), &[ONE]);
        world.on(Event::Start).unwrap();
        world.end(0, &StepOutcome::Succeeded, rows);
        assert_eq!(world.states(), states);
        assert_eq!(world.started(), [started]);
        if started == 2 {
            let reasons: Vec<_> = world.run.steps[1..3].iter().map(|step| step.reason.as_deref().unwrap()).collect();
            insta::assert_snapshot!(reasons.join("\n"), @r"
            its condition `steps.first_read.rows_out > 5` does not hold
            needs the rows of step `read`, which is skipped
            ");
        }
    }
}

#[test]
fn a_run_of_which_nothing_is_left_has_no_data() {
    let never = PlannedStep { when: Some("run.attempt > 1".to_owned()), ..after("a", &[]) };
    let mut world = World::new(alone(vec![never]), &[]);
    world.on(Event::Start).unwrap();
    assert_eq!((world.run.state, world.run.reason.as_deref()), (RunState::NoData, Some("every step was skipped")));
}

#[test]
fn a_condition_without_an_answer_fails_its_step() {
    let odd = |on_error| PlannedStep { when: Some("run.attempt + 1".to_owned()), on_error, ..after("a", &[]) };
    for (on_error, state) in [(OnError::Fail, RunState::Failed), (OnError::Continue, RunState::FinishedWithErrors)] {
        let mut world = World::new(alone(vec![odd(on_error)]), &[ONE]);
        world.on(Event::Start).unwrap();
        assert_eq!(world.run.state, state);
        let failure = world.run.steps[0].failure.as_ref().unwrap();
        assert_eq!(
            failure.message,
            "the condition `run.attempt + 1` of step `a` cannot be evaluated: it gives `2`, which is neither true nor \
             false"
        );
    }
}

#[test]
fn an_attempt_that_cannot_be_sent_ends_by_its_step() {
    let mut world = World::new(two_agents(), &[ONE, TWO]);
    world.on(Event::Start).unwrap();
    let StepOutcome::Failed { failure } = lasting() else { panic!() };
    world.on(Event::Unfit { key: world.key(), step: "write".to_owned(), failure }).unwrap();
    assert_eq!(world.states(), ["cancelled", "failed"]);
    assert_eq!(world.run.state, RunState::Failed);
}

#[test]
fn a_cancelled_run_starts_nothing_more() {
    let mut world = World::new(alone(vec![after("a", &[]), after("b", &[0])]), &[ONE]);
    world.on(Event::Start).unwrap();
    world.on(Event::Stop(Stop::Cancel { reason: "enough".to_owned() })).unwrap();
    world.end(0, &StepOutcome::Cancelled { reason: "enough".to_owned() }, 0);
    assert_eq!(world.states(), ["cancelled", "cancelled"]);
    assert_eq!(world.run.state, RunState::Cancelled);
}

#[test]
fn a_run_again_takes_over_what_went_well() {
    let skipped = PlannedStep { when: Some("run.attempt > 1".to_owned()), ..step("never", ONE, &[0]) };
    let steps = vec![after("a", &[]), skipped, after("b", &[0]), after("c", &[0])];
    let plan = Plan { task: "t".to_owned(), steps, pipelines: vec![vec![0, 1], vec![2], vec![3]] };
    let mut world = World::new(plan.clone(), &[ONE]);
    world.on(Event::Start).unwrap();
    world.end(0, &StepOutcome::Succeeded, 7);
    world.end(1, &lasting(), 0);
    world.end(2, &StepOutcome::Succeeded, 1);
    assert_eq!(world.run.state, RunState::Failed);
    let taken = world.run.results();
    assert_eq!(taken.keys().collect::<Vec<_>>(), ["a", "c", "never"]);
    let old = world.run.id;

    let mut again = World::new(plan, &[ONE]);
    again.run.given.taken = taken;
    again.on(Event::Start).unwrap();
    assert_eq!(again.started(), [1]);
    assert_eq!(again.states(), ["succeeded", "skipped", "running", "succeeded"]);
    assert_eq!(again.run.steps[0].reason, Some(format!("taken over from {old}")));
    assert_eq!(again.run.steps[0].counts.rows_out, 7);
    again.end(1, &StepOutcome::Succeeded, 2);
    assert_eq!(again.run.state, RunState::Succeeded);
    assert_eq!(again.run.results()["a"].run, old);
}

/// Steps of their own, each after some of the earlier ones.
fn any_order() -> impl Strategy<Value = Plan> {
    let one = (any::<u16>(), any::<bool>(), 0_u8..4);
    prop::collection::vec(one, 1..8).prop_map(|drawn| {
        let steps = drawn.into_iter().enumerate().map(|(index, (edges, tolerant, condition))| {
            let before: Vec<usize> = (0..index).filter(|other| edges & (1 << other) != 0).collect();
            let when = match (condition, before.first()) {
                (0, Some(first)) => Some(format!("steps.s{first}.rows_out > 1")),
                (1, _) => Some("run.attempt == 1".to_owned()),
                (2, _) => Some("run.id".to_owned()),
                _ => None,
            };
            let on_error = if tolerant { OnError::Continue } else { OnError::Fail };
            PlannedStep { when, on_error, ..after(&format!("s{index}"), &before) }
        });
        alone(steps.collect())
    })
}

proptest! {
    /// However events interleave: a step starts only after those before it have ended well, what has ended stays
    /// ended, and once the agent stays and answers the run ends.
    #[test]
    fn no_step_starts_before_what_it_waits_for(plan in any_order(), events in prop::collection::vec((0_u8..8, 0_usize..8), 0..120)) {
        let mut world = World::new(plan, &[ONE]);
        let pipelines = world.run.pipelines.len();
        for (event, which) in events {
            let pipeline = which % pipelines;
            let key = world.run.key(pipeline);
            let report = |outcome| {
                let counts = StepCounts { rows_out: which as u64, ..StepCounts::default() };
                let step = format!("s{pipeline}");
                OrderReport { key, steps: vec![StepReport { step, outcome, counts, already_committed: false, committed: None }], ended_at: None }
            };
            let _ = match event {
                0 => world.on(Event::Start),
                1 => { world.online.remove(&ONE); world.on(Event::Tick) }
                2 => { world.online.insert(ONE); world.on(Event::Tick) }
                3 | 4 => world.on(Event::Finished { agent: ONE, report: report(StepOutcome::Succeeded) }),
                5 => world.on(Event::Finished { agent: ONE, report: report(failed("x", FailureKind::Connector, which % 2 == 0)) }),
                6 => world.on(Event::Lost { agent: ONE, key: Some(key) }),
                _ => { world.after(Duration::from_secs(7)); Ok(()) }
            };
            for (index, step) in world.run.plan.steps.iter().enumerate() {
                if !matches!(world.run.pipelines[index].state, PipelineState::Running { .. }) {
                    continue;
                }
                for before in &step.after {
                    prop_assert_eq!(&world.run.pipelines[*before].state, &PipelineState::Ended);
                    let state = world.run.steps[*before].state;
                    let well = matches!(state, StepState::Succeeded | StepState::Skipped);
                    prop_assert!(well || world.run.plan.steps[*before].on_error == OnError::Continue, "{state:?}");
                }
            }
            let stored: Run = serde_json::from_value(serde_json::to_value(&world.run).unwrap()).unwrap();
            prop_assert_eq!(&stored, &world.run);
        }
        world.online.insert(ONE);
        let _ = world.on(Event::Start);
        for _ in 0..60 {
            world.after(Duration::from_secs(30));
            for pipeline in 0..pipelines {
                let key = world.run.key(pipeline);
                let step = format!("s{pipeline}");
                let steps = vec![StepReport {
                    step,
                    outcome: StepOutcome::Succeeded,
                    counts: StepCounts::default(),
                    already_committed: false,
                    committed: None,
                }];
                let _ = world.on(Event::Finished { agent: ONE, report: OrderReport { key, steps, ended_at: None } });
            }
        }
        prop_assert!(world.run.state.has_ended(), "{:?}", world.run);
    }
}
