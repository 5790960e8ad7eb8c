//! Steps that start another task.

use super::*;

const CHILD: RunId = RunId::from_uuid(uuid(77));

fn call(name: &str, wait: bool, attempts: u32, before: &[usize]) -> PlannedStep {
    PlannedStep {
        work: Work::Task { name: "inner".to_owned(), parameters: json!({}), wait },
        agent: None,
        agent_name: String::new(),
        after: before.to_vec(),
        retry: Retry { attempts, backoff: Span::seconds(5) },
        ..step(name, ONE, &[])
    }
}

/// A call, and a step on agent one after it.
fn outer(wait: bool, attempts: u32) -> World {
    let last = PlannedStep { after: vec![0], ..step("last", ONE, &[]) };
    let steps = vec![call("inner", wait, attempts, &[]), last];
    let plan = Plan { task: "outer".to_owned(), steps, pipelines: vec![vec![0], vec![1]] };
    let mut world = World::new(plan, &[ONE]);
    world.on(Event::Start).unwrap();
    world
}

fn returned(state: RunState) -> Returned {
    let counts = StepCounts { rows_in: 7, rows_out: 7, ..StepCounts::default() };
    Returned { run: CHILD, state, reason: (!state.is_good()).then(|| "the disk is full".to_owned()), counts }
}

impl World {
    fn calls(&self) -> Vec<AttemptKey> {
        let key = |effect: &Effect| match effect {
            Effect::Call { key, .. } => Some(*key),
            _ => None,
        };
        self.effects.iter().filter_map(key).collect()
    }

    fn called_off(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, Effect::CancelRun { run, .. } if *run == CHILD))
    }
}

#[test]
fn a_step_waits_for_the_run_that_it_has_started() {
    let mut world = outer(true, 1);
    let key = world.key();
    assert_eq!(world.calls(), [key]);
    assert!(world.run.only_waits());
    world.on(Event::Called { key, run: CHILD }).unwrap();
    assert!(world.run.only_waits() && !world.dispatched());
    assert!(world.run.steps[0].reason.as_deref().unwrap().contains(&CHILD.to_string()));
    world.on(Event::Returned { key, returned: returned(RunState::Succeeded) }).unwrap();
    assert!(world.dispatched() && !world.run.only_waits());
    assert_eq!((world.run.steps[0].state, world.run.steps[0].counts.rows_out), (StepState::Succeeded, 7));
    // Told again, and by a call that is over.
    assert_eq!(world.on(Event::Returned { key, returned: returned(RunState::Failed) }), Err(Refused::Stale));
    assert_eq!(world.on(Event::Called { key, run: CHILD }), Err(Refused::Stale));
}

#[test]
fn a_run_that_has_ended_before_it_was_known_counts() {
    let mut world = outer(true, 1);
    let key = world.key();
    world.on(Event::Returned { key, returned: returned(RunState::NoData) }).unwrap();
    assert!(world.dispatched());
}

#[test]
fn a_step_that_does_not_wait_ends_with_the_start() {
    let mut world = outer(false, 1);
    let key = world.key();
    assert!(!world.run.only_waits());
    world.on(Event::Called { key, run: CHILD }).unwrap();
    assert!(world.dispatched());
    assert_eq!(world.run.steps[0].state, StepState::Succeeded);
    world.on(Event::Stop(Stop::Cancel { reason: "by eva".to_owned() })).unwrap();
    assert!(!world.called_off(), "a run that nobody waits for goes on");
}

#[test]
fn a_failed_run_fails_the_step_and_is_repeated_only_where_asked() {
    for (attempts, state) in [(1, RunState::Failed), (2, RunState::Running)] {
        let mut world = outer(true, attempts);
        let key = world.key();
        world.on(Event::Called { key, run: CHILD }).unwrap();
        world.on(Event::Returned { key, returned: returned(RunState::FinishedWithErrors) }).unwrap();
        assert_eq!(world.run.state, state);
        assert_eq!(world.run.steps[0].failure.as_ref().unwrap().code, "task_failed");
        if attempts == 1 {
            assert!(world.run.reason.as_deref().unwrap().contains("the disk is full"), "{:?}", world.run.reason);
            continue;
        }
        world.after(Duration::from_secs(6));
        let again = world.calls();
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].attempt, 2, "another key, another run");
        assert_eq!(world.on(Event::Returned { key, returned: returned(RunState::Succeeded) }), Err(Refused::Stale));
    }
    // Somebody has stopped it: that is not tried again.
    let mut world = outer(true, 5);
    let key = world.key();
    world.on(Event::Returned { key, returned: returned(RunState::Cancelled) }).unwrap();
    assert_eq!(world.run.state, RunState::Failed);
}

#[test]
fn a_start_that_is_refused_fails_the_step() {
    let mut world = outer(true, 3);
    let key = world.key();
    let failure = Failure {
        kind: FailureKind::Runtime,
        code: "unknown_task".to_owned(),
        message: "there is no such task".to_owned(),
        advice: None,
        transient: false,
    };
    world.on(Event::Uncalled { key, failure }).unwrap();
    assert_eq!(world.run.state, RunState::Failed);
    assert_eq!(world.run.failure.as_ref().unwrap().code, "unknown_task");
}

#[test]
fn a_cancel_reaches_the_run_that_is_waited_for() {
    let cancel = || Event::Stop(Stop::Cancel { reason: "by eva".to_owned() });
    for known in [true, false] {
        let mut world = outer(true, 1);
        let key = world.key();
        if known {
            world.on(Event::Called { key, run: CHILD }).unwrap();
        }
        world.on(cancel()).unwrap();
        assert_eq!(world.called_off(), known);
        if !known {
            world.on(Event::Called { key, run: CHILD }).unwrap();
            assert!(world.called_off(), "it became known after the stop");
        }
        assert!(!world.run.state.has_ended(), "the run is still stopping");
        world.on(Event::Returned { key, returned: returned(RunState::Cancelled) }).unwrap();
        assert_eq!(world.run.state, RunState::Cancelled);
        assert_eq!(world.run.reason.as_deref(), Some("by eva"));
    }
}

#[test]
fn a_run_that_has_started_a_task_has_delivered_something() {
    let steps = vec![call("inner", false, 1, &[])];
    let mut world = World::new(Plan { task: "outer".to_owned(), steps, pipelines: vec![vec![0]] }, &[]);
    world.on(Event::Start).unwrap();
    let key = world.key();
    world.on(Event::Called { key, run: CHILD }).unwrap();
    assert_eq!(world.run.state, RunState::Succeeded);
}

proptest! {
    /// However its events interleave, repeat and come late: the call is made once an attempt, the run ends once what it
    /// waits for has ended, and stays so.
    #[test]
    fn calls_end(moves in prop::collection::vec(0_u8..6, 0..40), attempts in 1_u32..4) {
        let mut world = outer(true, attempts);
        let mut calls = world.calls();
        let first = calls[0];
        for one in moves {
            let key = calls[calls.len() - 1];
            let event = match one {
                0 => Event::Called { key, run: CHILD },
                1 => Event::Returned { key, returned: returned(RunState::Failed) },
                2 => Event::Returned { key: first, returned: returned(RunState::Succeeded) },
                3 => Event::Called { key: first, run: CHILD },
                4 => Event::Stop(Stop::Cancel { reason: "by eva".to_owned() }),
                _ => { world.after(Duration::from_secs(10)); calls.extend(world.calls()); continue }
            };
            if world.on(event).is_ok() {
                calls.extend(world.calls());
            }
            prop_assert!(calls.len() <= attempts as usize);
        }
        let mut unique = calls.clone();
        unique.dedup();
        prop_assert_eq!(unique.len(), calls.len());
        world.after(Duration::from_secs(4000));
        calls.extend(world.calls());
        let _ = world.on(Event::Returned { key: calls[calls.len() - 1], returned: returned(RunState::Succeeded) });
        let last = StepReport {
            step: "last".to_owned(),
            outcome: StepOutcome::Succeeded,
            counts: StepCounts::default(),
            already_committed: false,
            committed: None,
        };
        let report = OrderReport { key: world.run.key(1), steps: vec![last], ended_at: None };
        let _ = world.on(Event::Finished { agent: ONE, report });
        prop_assert!(world.run.state.has_ended(), "{:?}", world.run);
    }
}
