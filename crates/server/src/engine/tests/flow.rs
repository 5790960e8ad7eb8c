//! Steps that wait for others, conditions, parameters and variables.

use sallyport_domain::queue::Place;
use sallyport_protocol::Action;
use sallyport_store::Variable;
use serde_json::json;

use super::*;
use crate::engine::StartError;

fn settings(order: &sallyport_protocol::WorkOrder) -> &serde_json::Value {
    match &order.steps[0].action {
        Action::Connector { settings, .. } => settings,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_starts_after_another_and_knows_its_result() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let task = "
task: ordered
steps:
  - { name: first, connector: plain, agent: one }
  - { name: never, connector: plain, agent: one, when: steps.first.rows_out > 10 }
  - { name: last, connector: plain, agent: one, after: never, with: { rows: '{{ steps.first.rows_out }}' } }
";
    let run = rig.run(&rig.task(task).await).await;
    let first = one.order().await;
    assert_eq!(first.steps[0].name, "first");
    one.finish(&first, StepOutcome::Succeeded).await;
    let last = one.order().await;
    assert_eq!((last.steps[0].name.as_str(), settings(&last)), ("last", &json!({"rows": 10})));
    one.finish(&last, StepOutcome::Succeeded).await;
    rig.until(run, "succeeded").await;
    let steps = rig.store.step_runs(rig.environment, run).await.unwrap();
    let never = steps.iter().find(|step| step.step == "never").unwrap();
    assert_eq!(never.state, "skipped");
    assert_eq!(never.reason.as_deref(), Some("its condition `steps.first.rows_out > 10` does not hold"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_goes_on_waiting_when_the_server_was_killed() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let task = "
task: ordered
steps:
  - { name: first, connector: plain, agent: one }
  - { name: last, connector: plain, agent: one, after: first }
";
    let run = rig.run(&rig.task(task).await).await;
    let first = one.order().await;
    let rig = rig.killed_and_started(LONG).await;
    let mut one = rig.online(&login, vec![first.key]).await;
    one.finish(&first, StepOutcome::Succeeded).await;
    let last = one.order().await;
    assert_eq!(last.steps[0].name, "last");
    one.finish(&last, StepOutcome::Succeeded).await;
    rig.until(run, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_does_not_count_is_told_and_the_run_goes_on() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let task = "
task: tolerant
steps:
  - { name: first, connector: plain, agent: one, on_error: continue }
  - { name: last, connector: plain, agent: one, after: first, when: steps.first.state == 'failed' }
";
    let run = rig.run(&rig.task(task).await).await;
    let first = one.order().await;
    one.finish(&first, failed(false)).await;
    let last = one.order().await;
    one.finish(&last, StepOutcome::Succeeded).await;
    let ended = rig.until(run, "finished_with_errors").await;
    assert_eq!(ended.reason.as_deref(), Some("step `first` has failed: the database is down"));
    assert_eq!(ended.failure_kind, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_given_parameters_and_finds_variables() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let variable =
        Variable { name: "folder".into(), value: "in".into(), author: "test".into(), updated_at: rig.clock.now() };
    rig.store.set_variable(rig.environment, variable).await.unwrap();
    let task = rig
        .task(
            "
task: daily
parameters: [{ name: day, type: date, required: true }, { name: parts, type: integer, default: 2 }]
steps:
  - name: read
    connector: plain
    agent: one
    with: { path: '{{ variables.folder }}/{{ parameters.day }}.csv', parts: '{{ parameters.parts }}' }
",
        )
        .await;
    let run = rig.run_with(&task, &json!({"day": "2026-01-31"})).await.unwrap().run;
    assert_eq!(serde_json::Value::Object(run.parameters), json!({"day": "2026-01-31", "parts": 2}));
    let order = one.order().await;
    assert_eq!(settings(&order), &json!({"path": "in/2026-01-31.csv", "parts": 2}));
    one.finish(&order, StepOutcome::Succeeded).await;
    rig.until(run.id, "succeeded").await;

    let refused = rig.run_with(&task, &json!({"dya": "2026-01-31"})).await;
    let Err(StartError::Parameters(problems)) = refused else { panic!("{refused:?}") };
    let codes: Vec<_> = problems.iter().map(|problem| problem.code.as_str()).collect();
    assert_eq!(codes, ["unknown_parameter", "missing_parameter"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_without_a_value_fails_its_step_and_says_why() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let _one = rig.online(&login, vec![]).await;
    let task = "
task: open
parameters: [{ name: day, type: date }]
steps: [{ name: read, connector: plain, agent: one, with: { path: '{{ parameters.day }}' } }]
";
    let run = rig.run(&rig.task(task).await).await;
    let ended = rig.until(run, "failed").await;
    assert_eq!(ended.reason.as_deref(), Some("step `read`, setting `path`: it has no value"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_an_agent_holds_over_tasks_and_more_start_when_it_grows() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let place = Place::Agent(login.agent);
    rig.store.set_run_limit(rig.environment, place, Some(1)).await.unwrap();
    let first = rig.run(&rig.task(ONE_AGENT).await).await;
    let second = rig.run(&rig.task(&ONE_AGENT.replace("alone", "other")).await).await;
    rig.until(first, "waiting_for_agent").await;
    let why = rig.engine.why(vec![first, second]).await;
    let reason = format!("waiting: agent `one` serves at most 1 run at one time, 1 is running ({first})");
    assert_eq!(why, std::collections::BTreeMap::from([(second, reason)]));

    rig.store.set_run_limit(rig.environment, place, Some(2)).await.unwrap();
    rig.engine.limits_changed(rig.environment).await;
    rig.until(second, "waiting_for_agent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_from_what_failed_with_the_version_it_had() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let document = "
task: again
steps:
  - { name: first, connector: plain, agent: one }
  - { name: last, connector: plain, agent: one, after: first, with: { rows: '{{ steps.first.rows_out }}' } }
";
    let task = rig.task(document).await;
    let run = rig.run(&task).await;
    let first = one.order().await;
    one.finish(&first, StepOutcome::Succeeded).await;
    let last = one.order().await;
    one.finish(&last, failed(false)).await;
    let old = rig.until(run, "failed").await;

    let changed = document.replace("name: first", "name: begin").replace("after: first", "after: begin");
    let changed = changed.replace("steps.first", "steps.begin");
    rig.change(&task, &changed).await;
    let machine: sallyport_domain::run::Run = serde_json::from_str(&old.machine).unwrap();
    let again = rig.again(&old, machine.results()).await;
    assert_eq!((again.rerun_of, again.task_version), (Some(run), old.task_version));
    let last = one.order().await;
    assert_eq!((last.steps[0].name.as_str(), settings(&last)), ("last", &json!({"rows": 10})));
    one.finish(&last, StepOutcome::Succeeded).await;
    rig.until(again.id, "succeeded").await;
    let steps = rig.store.step_runs(rig.environment, again.id).await.unwrap();
    assert_eq!((steps[0].state.as_str(), steps[0].counts.rows_out), ("succeeded", 10));
    assert_eq!(steps[0].reason, Some(format!("taken over from {run}")));
}
