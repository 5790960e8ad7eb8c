//! Triggers at work, against a real store and a scripted agent.

use std::time::Duration;

use sallyport_domain::licence::Tier;
use sallyport_protocol::{Failure, FailureKind, StepOutcome, Timestamp};
use sallyport_store::{ListRequest, Run, RunFilter, Task};

use crate::rig::Rig;

/// Longer than any of these tests.
const LONG: Duration = Duration::from_secs(120);

const DEADLINE: Duration = Duration::from_secs(20);

fn document(name: &str, triggers: &str) -> String {
    format!("task: {name}\nlimit: 100\ntriggers: [{triggers}]\nsteps: [{{ name: read, connector: plain, agent: one }}]")
}

async fn runs(rig: &Rig, task: &Task) -> Vec<Run> {
    let filter = RunFilter { task: Some(task.id), ..RunFilter::default() };
    let request = ListRequest { limit: 500, cursor: None, sort: Some("queued_at".into()) };
    rig.store.runs(rig.environment, filter, request).await.unwrap().items
}

/// Waits until the task's runs are as wanted.
async fn until(rig: &Rig, task: &Task, wanted: impl Fn(&[Run]) -> bool) -> Vec<Run> {
    let waiting = async {
        loop {
            let found = runs(rig, task).await;
            if wanted(&found) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    match tokio::time::timeout(DEADLINE, waiting).await {
        Ok(runs) => runs,
        Err(_) => panic!("the runs are {:?}", runs(rig, task).await),
    }
}

fn failed() -> StepOutcome {
    let failure = Failure {
        kind: FailureKind::Connector,
        code: "down".into(),
        message: "the database is down".into(),
        advice: None,
        transient: false,
    };
    StepOutcome::Failed { failure }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_time_gets_one_run_over_a_kill_whatever_is_to_become_of_missed_ones() {
    for missed in ["once", "all", "skip"] {
        let rig = Rig::start(Tier::Premium, LONG).await;
        rig.agent("one").await;
        let task = rig.task(&document("often", &format!("{{ name: tick, every: 1s, missed: {missed} }}"))).await;
        rig.schedule.changed();
        let before = until(&rig, &task, |runs| runs.len() >= 2).await;
        // As a crash between a run and its trigger's step would leave it: the trigger is due again for the same time.
        let last = before.last().unwrap().due_at.unwrap();
        let trigger = rig.store.trigger(rig.environment, task.id, "tick").await.unwrap();
        rig.store.rearm_trigger(task.id, "tick", trigger.due_at, Some(last)).await.unwrap();
        let rig = rig.killed_and_started(LONG).await;
        let count = before.len();
        let after = until(&rig, &task, |runs| runs.len() >= count + 2).await;
        let mut times: Vec<i64> = after.iter().map(|run| run.due_at.unwrap().0).collect();
        times.sort_unstable();
        let all = times.len();
        times.dedup();
        assert_eq!(times.len(), all, "a time got two runs");
        assert!(times.iter().all(|time| time % 1_000_000 == 0));
        if missed == "all" {
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 1_000_000), "a time was lost: {times:?}");
        }
        assert!(
            after.iter().all(|run| (run.trigger.as_str(), run.trigger_name.as_deref()) == ("schedule", Some("tick")))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_follow_by_success_failure_and_any_end_once_for_each_run() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let first = rig.task(&document("first", "")).await;
    let well = rig.task(&document("well", "{ name: next, after: first }")).await;
    let badly = rig.task(&document("badly", "{ name: next, after: first, when: failure }")).await;
    let always = rig.task(&document("always", "{ name: next, after: First, when: any }")).await;

    let run = rig.run(&first).await;
    let order = one.order().await;
    one.finish(&order, StepOutcome::Succeeded).await;
    rig.until(run, "succeeded").await;
    let next = until(&rig, &well, |runs| runs.len() == 1).await.remove(0);
    assert_eq!((next.trigger.as_str(), next.who.as_str()), ("task", "trigger `next`"));
    until(&rig, &always, |runs| runs.len() == 1).await;
    assert!(runs(&rig, &badly).await.is_empty());

    // A kill after the end, before anybody has followed: told again, each has its one run.
    let again = rig.run(&first).await;
    let mut orders = vec![one.order().await, one.order().await, one.order().await];
    // Its end starts others, whose orders would come between the acknowledgements.
    orders.sort_by_key(|order| order.key.run == again);
    for order in orders {
        let outcome = if order.key.run == again { failed() } else { StepOutcome::Succeeded };
        one.finish(&order, outcome).await;
    }
    let rig = rig.killed_and_started(LONG).await;
    rig.until(again, "failed").await;
    until(&rig, &badly, |runs| runs.len() == 1).await;
    until(&rig, &always, |runs| runs.len() == 2).await;
    assert_eq!(runs(&rig, &well).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_goes_on_too_long_is_late_and_keeps_the_mark() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    rig.agent("one").await;
    let task = rig.task(&document("slow", "{ name: tick, every: 1s, late_after: 100ms }")).await;
    rig.schedule.changed();
    let late = until(&rig, &task, |runs| runs.iter().any(|run| run.late_since.is_some())).await;
    let run = late.iter().find(|run| run.late_since.is_some()).unwrap();
    assert_eq!(run.late_at, run.due_at.map(|due| due.plus(Duration::from_millis(100))));
    rig.engine.cancel(rig.environment, run.id, "eva", None).await.unwrap();
    let ended = rig.until(run.id, "cancelled").await;
    assert!(ended.late_since.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_cannot_be_read_is_reported_and_comes_back_with_its_task() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    rig.agent("one").await;
    let mut new = rig.new_task(&document("odd", "{ name: tick, every: 1s }"));
    new.triggers[0].definition = serde_json::json!({ "name": "tick", "phase_of_moon": "full" });
    let task = rig.store.create_task(rig.environment, new).await.unwrap();
    rig.schedule.changed();
    let waiting = async {
        loop {
            let trigger = rig.store.trigger(rig.environment, task.id, "tick").await.unwrap();
            if let Some(problem) = trigger.problem {
                return (problem, trigger.due_at);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (problem, due_at) = tokio::time::timeout(DEADLINE, waiting).await.unwrap();
    assert!(problem.contains("phase_of_moon"), "{problem}");
    assert_eq!(due_at, None::<Timestamp>);
    let mended = rig.new_task(&document("odd", "{ name: tick, every: 1s, missed: all }"));
    rig.store.edit_task(rig.environment, task.id, None, mended).await.unwrap();
    rig.schedule.changed();
    until(&rig, &task, |runs| !runs.is_empty()).await;
}
