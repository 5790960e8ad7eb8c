//! Tasks, runs and their logs.

use sallyport_protocol::{InstanceId, LogBatch, LogLevel, LogLine, RunId, RunRef, StepCounts};

use super::{Bench, NOW, bench, document};
use crate::{
    Error, ListRequest, LogFilter, LogSource, NewRun, Run, RunCommit, RunFilter, RunLogLine, RunStand, StepRun, Task,
};

pub(super) fn new_run(bench: &Bench, task: &Task, key: Option<&str>) -> NewRun {
    NewRun {
        id: RunId::new(),
        environment: bench.environment,
        task: task.id,
        task_version: task.current.id,
        task_name: task.name.clone(),
        start_key: key.map(Into::into),
        state: "scheduled".into(),
        trigger: "api".into(),
        who: "somebody".into(),
        trigger_name: None,
        due_at: None,
        late_at: None,
        priority: 0,
        parameters: serde_json::Map::new(),
        rerun_of: None,
        queued_at: NOW,
        machine: "{}".into(),
        steps: vec![step(0, "scheduled")],
        stand: RunStand::default(),
        full_refresh: false,
    }
}

fn step(attempt: u32, state: &str) -> StepRun {
    StepRun {
        step: "read".into(),
        attempt,
        position: 0,
        pipeline: 0,
        state: state.into(),
        agent: None,
        agent_name: None,
        counts: StepCounts::default(),
        failure: None,
        reason: None,
        started_at: None,
        finished_at: None,
    }
}

pub(super) fn commit(run: &Run, expected: i64, state: &str) -> RunCommit {
    RunCommit {
        id: run.id,
        expected,
        state: state.into(),
        failure_kind: None,
        reason: None,
        started_at: Some(NOW),
        finished_at: None,
        machine: "{}".into(),
        steps: vec![step(1, state)],
        log: vec![RunLogLine { step: None, attempt: None, at: NOW, level: LogLevel::Info, message: state.into() }],
        checkpoints: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_starts_one_run_however_often_it_is_used_at_once() {
    let bench = bench().await;
    let task = bench.task("export").await;
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (store, new) = (bench.store.clone(), new_run(&bench, &task, Some("key")));
        starts.spawn(async move { store.start_run(new).await.unwrap() });
    }
    let started = starts.join_all().await;
    assert_eq!(started.iter().filter(|started| started.created).count(), 1);
    assert!(started.windows(2).all(|pair| pair[0].run.id == pair[1].run.id));
    assert_eq!(bench.store.open_runs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_change_decided_on_an_old_version_is_refused_with_all_it_brings() {
    let bench = bench().await;
    let task = bench.task("export").await;
    let run = bench.store.start_run(new_run(&bench, &task, None)).await.unwrap().run;
    let version = bench.store.commit_run(commit(&run, run.version, "running")).await.unwrap();
    let late = bench.store.commit_run(commit(&run, run.version, "failed")).await;
    assert!(matches!(late, Err(Error::Stale { current }) if current == version));
    let steps = bench.store.step_runs(bench.environment, run.id).await.unwrap();
    let shown: Vec<_> = steps.iter().map(|step| (step.attempt, step.state.as_str())).collect();
    assert_eq!(shown, [(1, "running")], "the first attempt takes the place of `not tried`");
    let log = bench.store.run_log_after(bench.environment, run.id, LogFilter::default()).await.unwrap();
    assert_eq!(log.len(), 1);
}

#[tokio::test]
async fn progress_is_kept_until_the_attempt_has_ended() {
    let bench = bench().await;
    let task = bench.task("export").await;
    let run = bench.store.start_run(new_run(&bench, &task, None)).await.unwrap().run;
    bench.store.commit_run(commit(&run, run.version, "running")).await.unwrap();
    let rows = |rows_out| StepCounts { rows_out, ..StepCounts::default() };
    bench.store.note_progress(vec![(run.id, "read".into(), 1, rows(5))]).await.unwrap();
    let ended = StepRun { finished_at: Some(NOW), counts: rows(9), ..step(1, "succeeded") };
    let end = RunCommit { steps: vec![ended], finished_at: Some(NOW), ..commit(&run, 2, "succeeded") };
    bench.store.commit_run(end).await.unwrap();
    bench.store.note_progress(vec![(run.id, "read".into(), 1, rows(7))]).await.unwrap();
    let steps = bench.store.step_runs(bench.environment, run.id).await.unwrap();
    assert_eq!(steps[0].counts.rows_out, 9);
    let filter = RunFilter { open: Some(false), ..RunFilter::default() };
    assert_eq!(bench.store.runs(bench.environment, filter, ListRequest::default()).await.unwrap().total, 1);
}

#[tokio::test]
async fn a_batch_that_is_repeated_is_stored_once_and_reaches_the_run() {
    let bench = bench().await;
    let agent = bench.agent("one").await;
    let task = bench.task("export").await;
    let run = bench.store.start_run(new_run(&bench, &task, None)).await.unwrap().run;
    let line = |message: &str, run: Option<RunId>| LogLine {
        at: NOW,
        level: LogLevel::Warning,
        target: "t".into(),
        event: None,
        message: message.into(),
        run: run.map(|run| RunRef { run, step: Some("read".into()), attempt: Some(1) }),
    };
    let lines = vec![line("about a run", Some(run.id)), line("about nothing", None)];
    let batch = LogBatch { seq: 1, dropped: 0, lines };
    let instance = InstanceId::new();
    let store = async || bench.store.store_log_batch(agent, LogSource::Agent, instance, batch.clone(), NOW).await;
    assert!(store().await.unwrap());
    assert!(!store().await.unwrap());
    let log = bench.store.agent_log(bench.environment, LogFilter::default(), ListRequest::default()).await.unwrap();
    assert_eq!(log.total, 2);
    let filter = LogFilter { level: Some(LogLevel::Warning), step: Some("read".into()), ..LogFilter::default() };
    let of_run = bench.store.run_log_after(bench.environment, run.id, filter).await.unwrap();
    assert_eq!(of_run.iter().map(|entry| entry.message.as_str()).collect::<Vec<_>>(), ["about a run"]);
    let errors = LogFilter { level: Some(LogLevel::Error), ..LogFilter::default() };
    assert!(bench.store.run_log_after(bench.environment, run.id, errors).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_agent_of_another_environment_cannot_write_into_a_run() {
    let bench = bench().await;
    let task = bench.task("export").await;
    let run = bench.store.start_run(new_run(&bench, &task, None)).await.unwrap().run;
    let elsewhere = bench.store.create_environment(bench.company.id, "sandbox", NOW).await.unwrap().id;
    let stranger = bench.store.agent(elsewhere, "background").await.unwrap().id;
    let line = LogLine {
        at: NOW,
        level: LogLevel::Info,
        target: "t".into(),
        event: None,
        message: "forged".into(),
        run: Some(RunRef { run: run.id, step: None, attempt: None }),
    };
    let batch = LogBatch { seq: 1, dropped: 0, lines: vec![line] };
    bench.store.store_log_batch(stranger, LogSource::Agent, InstanceId::new(), batch, NOW).await.unwrap();
    let log = bench.store.run_log_after(bench.environment, run.id, LogFilter::default()).await.unwrap();
    assert!(log.is_empty());
    assert!(matches!(bench.store.run(elsewhere, run.id).await, Err(Error::NotFound)));
    assert!(matches!(bench.store.step_runs(elsewhere, run.id).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn a_task_keeps_its_versions_and_is_not_removed_while_it_runs() {
    let bench = bench().await;
    let task = bench.task("export").await;
    let edit = async |expected, text| {
        bench.store.edit_task(bench.environment, task.id, expected, document("export", text)).await
    };
    let second = edit(Some(1), "steps: [1]").await.unwrap();
    assert_eq!(second.current.number, 2);
    assert_eq!(edit(Some(2), "steps: [1]").await.unwrap().current.number, 2, "the same again adds none");
    assert!(matches!(edit(Some(1), "steps: [2]").await, Err(Error::Stale { current: 2 })));
    let versions = bench.store.task_versions(bench.environment, task.id, ListRequest::default()).await.unwrap();
    assert_eq!(versions.items.iter().map(|version| version.number).collect::<Vec<_>>(), [2, 1]);

    let run = bench.store.start_run(new_run(&bench, &second, None)).await.unwrap().run;
    let delete = async || bench.store.delete_task(bench.environment, task.id, None, NOW).await;
    assert!(matches!(delete().await, Err(Error::InUse { .. })));
    let end = RunCommit { finished_at: Some(NOW), ..commit(&run, run.version, "succeeded") };
    bench.store.commit_run(end).await.unwrap();
    delete().await.unwrap();
    assert!(matches!(bench.store.task(bench.environment, "export").await, Err(Error::NotFound)));
    bench.task("export").await;
}
