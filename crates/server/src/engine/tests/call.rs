//! Steps that start another task.

use sallyport_protocol::RunId;
use sallyport_store::{ListRequest, Run, RunCommit, RunFilter, Task};
use serde_json::json;

use super::*;

const INNER: &str = "
task: inner
parameters: [{ name: day, type: date, required: true }]
steps: [{ name: work, connector: plain, agent: one, with: { path: '{{ parameters.day }}.csv' } }]
";

const OUTER: &str = "
task: outer
steps:
  - { name: call, task: inner, parameters: { day: '2026-01-31' } }
  - { name: last, connector: plain, agent: one, after: call, with: { rows: '{{ steps.call.rows_out }}' } }
";

/// The runs of a task, the oldest first.
async fn runs(rig: &Rig, task: &Task) -> Vec<Run> {
    let filter = RunFilter { task: Some(task.id), ..RunFilter::default() };
    let request = ListRequest { limit: 100, sort: Some("queued_at".into()), ..ListRequest::default() };
    rig.store.runs(rig.environment, filter, request).await.unwrap().items
}

async fn step(rig: &Rig, run: RunId, name: &str) -> sallyport_store::StepRun {
    let steps = rig.store.step_runs(rig.environment, run).await.unwrap();
    steps.into_iter().rfind(|step| step.step == name).unwrap()
}

/// As if what happened to a run since had not been stored.
async fn set_back(rig: &Rig, run: RunId, machine: &str) {
    loop {
        let now = rig.store.run(rig.environment, run).await.unwrap();
        let commit = RunCommit {
            id: run,
            expected: now.version,
            state: now.state,
            failure_kind: None,
            reason: None,
            started_at: now.started_at,
            finished_at: None,
            machine: machine.to_owned(),
            steps: Vec::new(),
            log: Vec::new(),
            checkpoints: Vec::new(),
        };
        match rig.store.commit_run(commit).await {
            // The engine has just stored that an agent has taken its order.
            Err(sallyport_store::Error::Stale { .. }) => {}
            committed => {
                committed.unwrap();
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_starts_a_task_and_waits_for_its_run() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let inner = rig.task(INNER).await;
    let outer = rig.run(&rig.task(OUTER).await).await;
    let work = one.order().await;
    assert_eq!(work.steps[0].name, "work");
    let child = runs(&rig, &inner).await.remove(0);
    assert_eq!(serde_json::Value::Object(child.parameters), json!({"day": "2026-01-31"}));
    assert_eq!((child.trigger.as_str(), child.who), ("task", format!("step `call` of {outer}")));
    one.finish(&work, StepOutcome::Succeeded).await;
    let last = one.order().await;
    assert_eq!(last.steps[0].name, "last");
    one.finish(&last, StepOutcome::Succeeded).await;
    rig.until(outer, "succeeded").await;
    let call = step(&rig, outer, "call").await;
    assert_eq!((call.state.as_str(), call.counts.rows_out, call.agent), ("succeeded", 10, None));
    assert!(call.reason.unwrap().contains(&child.id.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_failure_of_the_run_is_the_steps() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let inner = rig.task(INNER).await;
    let outer = rig.run(&rig.task(OUTER).await).await;
    let work = one.order().await;
    one.finish(&work, failed(false)).await;
    let ended = rig.until(outer, "failed").await;
    let child = runs(&rig, &inner).await.remove(0);
    let reason = ended.reason.unwrap();
    assert!(reason.contains(&child.id.to_string()) && reason.contains("the database is down"), "{reason}");
    assert_eq!(step(&rig, outer, "last").await.state, "cancelled");
    assert_eq!(runs(&rig, &inner).await.len(), 1, "the run was repeated though nobody asked for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_cannot_be_started_fails_the_step() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let outer = rig.task("{ task: outer, steps: [{ name: call, task: inner }] }").await;
    let ended = rig.until(rig.run(&outer).await, "failed").await;
    assert!(ended.reason.unwrap().contains("there is no such task"));
    rig.task(INNER).await;
    let ended = rig.until(rig.run(&outer).await, "failed").await;
    assert!(ended.reason.unwrap().contains("the task needs parameter `day`"));
    // Saved past the check, as two people can at the same time.
    let circle = rig.task("{ task: circle, steps: [{ name: call, task: circle }] }").await;
    let ended = rig.until(rig.run(&circle).await, "failed").await;
    assert!(ended.reason.unwrap().contains("would start itself again"));
    for depth in 0..9 {
        rig.task(&format!("{{ task: t{depth}, steps: [{{ name: call, task: t{} }}] }}", depth + 1)).await;
    }
    let first = rig.store.task(rig.environment, "t0").await.unwrap();
    let ended = rig.until(rig.run(&first).await, "failed").await;
    assert!(ended.reason.unwrap().contains("at most 8 tasks"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_stops_the_run_that_is_waited_for_and_no_other() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let inner = rig.task(INNER).await;
    let free = rig
        .task(&OUTER.replace("'2026-01-31' }", "'2026-01-31' }, wait: false").replace("task: outer", "task: free"))
        .await;
    let outer = rig.run(&rig.task(OUTER).await).await;
    let work = one.order().await;
    rig.engine.cancel(rig.environment, outer, "eva", None).await.unwrap();
    let (key, reason) = one.cancel().await;
    assert!(key == work.key && reason.contains("cancelled by eva") && reason.contains(&outer.to_string()), "{reason}");
    one.finish(&work, cancelled()).await;
    rig.until(outer, "cancelled").await;
    assert_eq!(runs(&rig, &inner).await.remove(0).state, "cancelled");

    let run = rig.run(&free).await;
    let (a, b) = (one.order().await, one.order().await);
    let (work, last) = if a.steps[0].name == "work" { (a, b) } else { (b, a) };
    rig.engine.cancel(rig.environment, run, "eva", None).await.unwrap();
    assert_eq!(one.cancel().await.0, last.key);
    one.finish(&last, cancelled()).await;
    rig.until(run, "cancelled").await;
    one.finish(&work, StepOutcome::Succeeded).await;
    rig.until(work.key.run, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_of_the_server_neither_loses_nor_repeats_a_run() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let inner = rig.task(INNER).await;
    let outer = rig.run(&rig.task(OUTER).await).await;
    let work = one.order().await;
    let rig = rig.killed_and_started(LONG).await;
    let mut one = rig.online(&login, vec![work.key]).await;
    one.finish(&work, StepOutcome::Succeeded).await;
    let last = one.order().await;
    assert_eq!(last.steps[0].name, "last");
    let rig = rig.killed_and_started(LONG).await;
    let mut one = rig.online(&login, vec![last.key]).await;
    one.finish(&last, StepOutcome::Succeeded).await;
    rig.until(outer, "succeeded").await;
    assert_eq!(runs(&rig, &inner).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_the_caller_has_not_heard_is_found_after_a_kill() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let inner = rig.task(INNER).await;
    let outer = rig.run(&rig.task(OUTER).await).await;
    let work = one.order().await;
    // As it stood before the run that it waits for had ended.
    let before = rig.store.run(rig.environment, outer).await.unwrap().machine;
    one.finish(&work, StepOutcome::Succeeded).await;
    let last = one.order().await;
    set_back(&rig, outer, &before).await;
    let rig = rig.killed_and_started(LONG).await;
    let mut one = rig.online(&login, vec![]).await;
    let again = one.order().await;
    assert_eq!((again.steps[0].name.as_str(), again.key.run), ("last", last.key.run));
    one.finish(&again, StepOutcome::Succeeded).await;
    rig.until(outer, "succeeded").await;
    assert_eq!(runs(&rig, &inner).await.len(), 1, "the run was started twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_gives_its_places_to_what_it_waits_for_and_takes_them_in_turn() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let place = sallyport_domain::queue::Place::Agent(login.agent);
    rig.store.set_run_limit(rig.environment, place, Some(1)).await.unwrap();
    rig.engine.limits_changed(rig.environment).await;
    rig.task(INNER).await;
    let other = rig.task("{ task: other, steps: [{ name: alone, connector: plain, agent: one }] }").await;
    let outer = rig.run(&rig.task(OUTER).await).await;
    let work = one.order().await;
    assert_eq!(work.steps[0].name, "work", "what the run waits for has no place");
    // It comes between: the agent has one place, and the older run goes first.
    let between = rig.run(&other).await;
    one.finish(&work, StepOutcome::Succeeded).await;
    let last = one.order().await;
    assert_eq!((last.steps[0].name.as_str(), last.key.run), ("last", outer));
    assert_eq!(rig.store.run(rig.environment, between).await.unwrap().state, "scheduled");
    one.finish(&last, StepOutcome::Succeeded).await;
    let alone = one.order().await;
    assert_eq!(alone.key.run, between);
    one.finish(&alone, StepOutcome::Succeeded).await;
    rig.until(between, "succeeded").await;
}
