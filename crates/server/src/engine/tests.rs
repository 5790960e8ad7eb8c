//! The engine behind real sockets: agents follow a script, the store is a file.

use std::time::Duration;

use sallyport_domain::licence::Tier;
use sallyport_protocol::{
    AgentMessage, Backfill, Checkpoint, Committed, ConnectionId, EnvironmentId, Failure, FailureKind, ServerToAgent,
    StepCounts, StepOutcome, Via,
};
use sallyport_store::{Connection, ConnectionEdit, LogFilter, NewConnection, TaskVersion};
use serde_json::json;

use super::{CancelError, Reads};
use crate::rig::{Rig, report};

mod call;
mod flow;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

const TWO_AGENTS: &str = "
task: copy
steps:
  - { name: read, connector: plain, agent: one, retry: { attempts: 3, backoff: 10ms } }
  - { name: write, connector: plain, agent: two, input: read, retry: { attempts: 3, backoff: 10ms } }
";

const ONE_AGENT: &str = "
task: alone
steps:
  - { name: read, connector: plain, agent: one, retry: { attempts: 3, backoff: 10ms } }
";

fn failed(transient: bool) -> StepOutcome {
    StepOutcome::Failed {
        failure: Failure {
            kind: FailureKind::Connector,
            code: "down".into(),
            message: "the database is down".into(),
            advice: None,
            transient,
        },
    }
}

fn cancelled() -> StepOutcome {
    StepOutcome::Cancelled { reason: "asked".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_is_dispatched_to_its_agents_and_succeeds() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let (one, two) = (rig.agent("one").await, rig.agent("two").await);
    let (mut one, mut two) = (rig.online(&one, vec![]).await, rig.online(&two, vec![]).await);
    let run = rig.run(&rig.task(TWO_AGENTS).await).await;

    let (reads, writes) = (one.order().await, two.order().await);
    assert_eq!((reads.key, reads.key.attempt), (writes.key, 1));
    let Via::Relay { ticket, .. } = &writes.steps[0].inputs[0].via else { panic!("{writes:?}") };
    assert_eq!((reads.steps[0].outputs[0].to.as_str(), writes.steps[0].inputs[0].from.as_str()), ("write", "read"));
    assert_ne!(ticket.expose(), reads.steps[0].outputs[0].ticket.expose(), "each side has its own ticket");

    let counts = StepCounts { rows_in: 0, rows_out: 7, bytes: 70, rows_rejected: 0 };
    one.say(&AgentMessage::Progress { key: reads.key, steps: vec![("read".into(), counts)] }).await;
    one.finish(&reads, StepOutcome::Succeeded).await;
    two.finish(&writes, StepOutcome::Succeeded).await;
    rig.until(run, "succeeded").await;
    let steps = rig.store.step_runs(rig.environment, run).await.unwrap();
    let seen: Vec<_> =
        steps.iter().map(|s| (s.step.as_str(), s.attempt, s.state.as_str(), s.counts.rows_out)).collect();
    assert_eq!(seen, [("read", 1, "succeeded", 10), ("write", 1, "succeeded", 10)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_may_pass_is_tried_again_and_the_log_says_so() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let run = rig.run(&rig.task(ONE_AGENT).await).await;

    let first = one.order().await;
    one.finish(&first, failed(true)).await;
    let second = one.order().await;
    assert_eq!(second.key.attempt, 2);
    assert!(second.key.fence > first.key.fence);
    one.finish(&second, failed(false)).await;
    let ended = rig.until(run, "failed").await;
    assert_eq!(ended.reason.as_deref(), Some("the database is down"));
    assert_eq!(ended.failure_kind.as_deref(), Some("connector"));

    let steps = rig.store.step_runs(rig.environment, run).await.unwrap();
    let seen: Vec<_> = steps.iter().map(|step| (step.attempt, step.state.as_str())).collect();
    assert_eq!(seen, [(1, "failed"), (2, "failed")]);
    let log = rig.store.run_log_after(rig.environment, run, LogFilter::default()).await.unwrap();
    assert!(log.iter().any(|line| line.message.contains("trying again")), "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stays_away_is_lost_and_the_pipeline_tried_again() {
    let rig = Rig::start(Tier::Premium, SHORT).await;
    let (login_one, login_two) = (rig.agent("one").await, rig.agent("two").await);
    let mut one = rig.online(&login_one, vec![]).await;
    let mut two = rig.online(&login_two, vec![]).await;
    let run = rig.run(&rig.task(TWO_AGENTS).await).await;
    let (_, writes) = (one.order().await, two.order().await);

    drop(one);
    let (key, reason) = two.cancel().await;
    assert_eq!(key, writes.key);
    assert!(reason.contains("lost"), "{reason}");
    two.finish(&writes, cancelled()).await;

    let mut one = rig.online(&login_one, vec![]).await;
    let (reads, writes) = (one.order().await, two.order().await);
    assert_eq!(reads.key.attempt, 2);
    one.finish(&reads, StepOutcome::Succeeded).await;
    two.finish(&writes, StepOutcome::Succeeded).await;
    rig.until(run, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_back_within_the_grace_goes_on() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let run = rig.run(&rig.task(ONE_AGENT).await).await;
    let order = one.order().await;
    drop(one);
    let mut one = rig.online(&login, vec![order.key]).await;
    one.finish(&order, StepOutcome::Succeeded).await;
    rig.until(run, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_back_without_its_order_gets_a_new_attempt() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let run = rig.run(&rig.task(ONE_AGENT).await).await;
    let old = one.order().await;
    drop(one);
    let mut one = rig.online(&login, vec![]).await;
    let new = one.order().await;
    assert_eq!(new.key.attempt, 2);

    // The old attempt's end comes late: it is acknowledged and changes nothing.
    one.finish(&old, StepOutcome::Succeeded).await;
    assert_eq!(rig.store.run(rig.environment, run).await.unwrap().state, "running");
    one.finish(&new, StepOutcome::Succeeded).await;
    rig.until(run, "succeeded").await;
    one.finish(&new, failed(false)).await;
    assert_eq!(rig.store.run(rig.environment, run).await.unwrap().state, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_an_attempt_that_is_over_is_told_to_stop_it() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let run = rig.run(&rig.task(ONE_AGENT).await).await;
    let order = one.order().await;
    one.finish(&order, StepOutcome::Succeeded).await;
    rig.until(run, "succeeded").await;
    drop(one);
    let mut one = rig.online(&login, vec![order.key]).await;
    assert_eq!(one.cancel().await.0, order.key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_stops_its_steps() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let run = rig.run(&rig.task(ONE_AGENT).await).await;
    let order = one.order().await;
    rig.engine.cancel(rig.environment, run, "eva", None).await.unwrap();
    assert_eq!(one.cancel().await, (order.key, "cancelled by eva".into()));
    one.finish(&order, cancelled()).await;
    let ended = rig.until(run, "cancelled").await;
    assert_eq!(ended.reason.as_deref(), Some("cancelled by eva"));
    let again = rig.engine.cancel(rig.environment, run, "eva", None).await;
    assert!(matches!(again, Err(CancelError::Ended)), "{again:?}");
    let elsewhere = rig.engine.cancel(EnvironmentId::new(), run, "spy", None).await;
    assert!(matches!(elsewhere, Err(CancelError::NotFound)), "{elsewhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_an_agent_cancels_what_it_executes_first() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let run = rig.run(&rig.task(ONE_AGENT).await).await;
    let order = one.order().await;
    rig.gateway.restart(login.agent, "eva", "new settings").await.unwrap();
    assert_eq!(one.cancel().await.0, order.key);
    assert!(matches!(one.next().await, ServerToAgent::Restart { .. }));
    one.finish(&order, cancelled()).await;
    let ended = rig.until(run, "cancelled").await;
    assert_eq!(ended.reason.as_deref(), Some("agent `one` was restarted by eva"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_an_agent_that_is_offline() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let run = rig.run(&rig.task(ONE_AGENT).await).await;
    rig.until(run, "waiting_for_agent").await;
    let mut one = rig.online(&login, vec![]).await;
    let order = one.order().await;
    one.finish(&order, StepOutcome::Succeeded).await;
    rig.until(run, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_gives_up_on_an_agent_at_its_deadline() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    rig.agent("one").await;
    let task = "task: late\nsteps: [{ name: read, connector: plain, agent: one, deadline: 50ms }]";
    let run = rig.run(&rig.task(task).await).await;
    let ended = rig.until(run, "timed_out").await;
    assert!(ended.reason.unwrap().contains("`one`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_a_task_start_up_to_its_limit_and_once_for_a_key() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let task = rig.task(ONE_AGENT).await;
    let first = rig.run_once(&task, Some("monday")).await;
    assert_eq!(rig.run_once(&task, Some("monday")).await, first);
    let second = rig.run(&task).await;
    let order = one.order().await;
    assert_eq!(order.key.run, first);
    assert_eq!(rig.store.run(rig.environment, second).await.unwrap().state, "scheduled");
    one.finish(&order, StepOutcome::Succeeded).await;
    let order = one.order().await;
    assert_eq!(order.key.run, second);
    one.finish(&order, StepOutcome::Succeeded).await;
    rig.until(second, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_goes_on_where_it_stood() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let task = rig.task(ONE_AGENT).await;
    let run = rig.run(&task).await;
    let queued = rig.run(&task).await;
    let order = one.order().await;

    let rig = rig.killed_and_started(LONG).await;
    let mut one = rig.online(&login, vec![order.key]).await;
    one.finish(&order, StepOutcome::Succeeded).await;
    rig.until(run, "succeeded").await;
    let order = one.order().await;
    assert_eq!((order.key.run, order.key.attempt), (queued, 1));

    let rig = rig.killed_and_started(SHORT).await;
    // The agent was killed too: it comes back with nothing.
    let mut one = rig.online(&login, vec![]).await;
    let again = one.order().await;
    assert_eq!((again.key.run, again.key.attempt), (queued, 2));
    one.finish(&again, StepOutcome::Succeeded).await;
    rig.until(queued, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_party_connector_is_refused_on_the_background_agent_when_a_run_starts() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    rig.agent("one").await;
    let task = rig.task("task: foreign\nlimit: 1\nsteps: [{ name: read, connector: foreign, agent: one }]").await;
    let (first, second) = (rig.run(&task).await, rig.run(&task).await);
    rig.until(first, "waiting_for_agent").await;
    // While the second run waits for its turn, the name `one` comes to mean nothing any more.
    let edit = sallyport_store::AgentEdit { name: Some("moved".into()), ..Default::default() };
    let agent = rig.store.agent(rig.environment, "one").await.unwrap().id;
    let now = rig.clock.now();
    let rule = |_: &sallyport_store::AgentUse<'_>| Ok::<(), sallyport_store::Error>(());
    rig.store.edit_agent(rig.environment, agent, (None, now), edit, rule).await.unwrap();
    rig.engine.cancel(rig.environment, first, "eva", None).await.unwrap();
    let ended = rig.until(second, "failed").await;
    assert!(ended.reason.unwrap().contains("there is no agent `one`"));

    // Saving such a task is refused as well; here is one that was saved before the rule, or around it.
    let never = rig.task("task: never\nsteps: [{ name: read, connector: foreign, agent: background }]").await;
    let ended = rig.until(rig.run(&never).await, "failed").await;
    let text = ended.reason.unwrap();
    assert!(text.contains("`read`") && text.contains("`foreign`") && text.contains("`background`"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_acknowledged_only_when_it_is_stored() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let run = rig.run(&rig.task(ONE_AGENT).await).await;
    let order = one.order().await;
    let said = AgentMessage::Finished { report: report(&order, &StepOutcome::Succeeded) };
    one.say(&said).await;
    let ServerToAgent::FinishedAck { key } = one.next().await else { panic!("no acknowledgement") };
    assert_eq!(key, order.key);
    // The acknowledgement came, so a server killed now knows of it.
    let rig = rig.killed_and_started(LONG).await;
    assert_eq!(rig.store.run(rig.environment, run).await.unwrap().state, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_is_not_acknowledged_and_is_said_again() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let mut one = rig.online(&login, vec![]).await;
    let run = rig.run(&rig.task(ONE_AGENT).await).await;
    let order = one.order().await;
    rig.until(run, "running").await;
    rig.store.close().await;
    one.say(&AgentMessage::Finished { report: report(&order, &StepOutcome::Succeeded) }).await;
    // No acknowledgement, which the agent would take for leave to forget: the connection ends.
    one.until_closed().await;
    let rig = rig.killed_and_started(LONG).await;
    assert_eq!(rig.store.run(rig.environment, run).await.unwrap().state, "running");
    let mut one = rig.online(&login, vec![order.key]).await;
    one.finish(&order, StepOutcome::Succeeded).await;
    rig.until(run, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_moved_while_the_run_waited_ends_the_run_at_once() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let (login, other) = (rig.agent("one").await, rig.agent("two").await);
    let edit = |agent| ConnectionEdit {
        agent,
        others: Vec::new(),
        name: "db".into(),
        kind: "plain".into(),
        settings: serde_json::json!({}),
        secret_names: vec![],
        sealed_secrets: None,
        now: rig.clock.now(),
    };
    let id = ConnectionId::new();
    let new = NewConnection { id, edit: edit(login.agent) };
    rig.store.create_connection(rig.environment, new).await.unwrap();
    let run = rig.run(&rig.task("task: moved\nsteps: [{ name: read, connection: db }]").await).await;
    rig.until(run, "waiting_for_agent").await;
    let rule = |_: &Connection, _: &[TaskVersion]| Ok::<(), sallyport_store::Error>(());
    rig.store.edit_connection(rig.environment, id, None, edit(other.agent), rule).await.unwrap();

    let _one = rig.online(&login, vec![]).await;
    let ended = rig.until(run, "failed").await;
    assert!(ended.reason.unwrap().contains("connection of step `read`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_comes_late_gets_every_order_that_waits_for_it() {
    const RUNS: usize = 300;
    let rig = Rig::start(Tier::Premium, LONG).await;
    let login = rig.agent("one").await;
    let task = rig.task("task: many\nlimit: 1000\nsteps: [{ name: read, connector: plain, agent: one }]").await;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(rig.run(&task).await);
    }
    rig.until(runs[RUNS - 1], "waiting_for_agent").await;
    let mut one = rig.online(&login, vec![]).await;
    let mut orders = Vec::new();
    while orders.len() < RUNS {
        orders.push(one.order().await);
    }
    for order in &orders {
        one.finish(order, StepOutcome::Succeeded).await;
    }
    for run in runs {
        rig.until(run, "succeeded").await;
    }
}

const INCREMENTAL: &str = "
task: grow
steps:
  - { name: read, connector: plain, agent: one, with: { incremental: { column: id } }, retry: { attempts: 3, backoff: 10ms } }
  - { name: write, connector: plain, agent: one, input: read }
  - { name: other, connector: plain, agent: one }
";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sink_has_committed_is_where_the_next_attempt_goes_on() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let mut one = rig.online(&rig.agent("one").await, vec![]).await;
    let task = rig.task(INCREMENTAL).await;
    let run = rig.run(&task).await;
    let (first, other) = (one.order().await, one.order().await);
    let told = first.incremental.clone().unwrap();
    assert_eq!((told.stream, told.checkpoint), (format!("{}/read/write", task.id), None));
    assert_eq!(other.incremental, None, "a pipeline without an incremental read has no checkpoint");
    one.finish(&other, StepOutcome::Succeeded).await;

    // It fails behind its first commit; the report comes with what was committed.
    let mut broken = report(&first, &failed(true));
    let checkpoint = Checkpoint(json!({"value": 7}));
    let committed = Committed { epoch: told.epoch, fence: told.fence, sequence: 1, checkpoint, rows: 10 };
    broken.steps[1].committed = Some(committed.clone());
    one.say(&AgentMessage::Finished { report: broken }).await;
    assert!(matches!(one.next().await, ServerToAgent::FinishedAck { .. }));
    let second = one.order().await;
    let told = second.incremental.clone().unwrap();
    assert!(told.fence > committed.fence && told.epoch == committed.epoch);
    assert_eq!(told.checkpoint, Some(committed.checkpoint));
    one.finish(&second, StepOutcome::Succeeded).await;
    rig.until(run, "succeeded").await;
    let kept = rig.store.checkpoints(rig.environment, task.id).await.unwrap().remove(0);
    assert_eq!((kept.value, kept.run), (Some(json!({"value": 7})), Some(run)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_runs_its_step_alone_and_a_refresh_forgets() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let mut one = rig.online(&rig.agent("one").await, vec![]).await;
    let task = rig.task(INCREMENTAL).await;
    let start = |reads| crate::engine::StartRun {
        environment: rig.environment,
        task: task.id,
        trigger: "api".into(),
        who: "test".into(),
        key: None,
        priority: None,
        parameters: serde_json::Map::new(),
        rerun: None,
        fired: None,
        reads,
        caller: None,
    };
    let range = Backfill { step: "read".into(), from: "1".into(), to: "5".into() };
    let wrong = Backfill { step: "other".into(), ..range.clone() };
    let refused = rig.engine.start_run(start(Reads::Range(wrong))).await;
    assert!(matches!(refused, Err(crate::engine::StartError::NotIncremental(step)) if step == "other"));
    let run = rig.engine.start_run(start(Reads::Range(range.clone()))).await.unwrap().run.id;
    let order = one.order().await;
    assert_eq!(order.incremental.as_ref().unwrap().backfill, Some(range));
    one.finish(&order, StepOutcome::Succeeded).await;
    rig.until(run, "succeeded").await;
    let epoch = order.incremental.unwrap().epoch;
    rig.engine.start_run(start(Reads::Everything)).await.unwrap();
    let orders = [one.order().await, one.order().await];
    let told = orders.iter().find_map(|order| order.incremental.clone()).unwrap();
    assert!(told.epoch > epoch && told.checkpoint.is_none() && told.backfill.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_does_not_know_checkpoints_is_not_asked_for_one() {
    let rig = Rig::start(Tier::Premium, LONG).await;
    let mut hello = crate::rig::hello(sallyport_protocol::InstanceId::new(), vec![]);
    if let AgentMessage::Hello { versions, .. } = &mut hello {
        versions.capabilities.clear();
    }
    let mut one = rig.greeted(&rig.agent("one").await, &hello).await;
    assert!(matches!(one.next().await, ServerToAgent::Welcome { .. }));
    let run = rig.run(&rig.task(INCREMENTAL).await).await;
    let run = rig.until(run, "failed").await;
    let reason = run.reason.unwrap();
    assert!(reason.contains("agent `one`") && reason.contains("incrementally"), "{reason}");
}
