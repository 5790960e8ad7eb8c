//! What is removed, and what is not.

use std::time::Duration;

use sallyport_domain::retention::Retention;
use sallyport_protocol::{InstanceId, LogBatch, LogLevel, LogLine, RunId, RunRef, Timestamp};

use super::runs::{commit, new_run};
use super::{Bench, NOW, bench};
use crate::{Error, LogFilter, LogSource, NewRun, Removed, Run, RunCommit, RunLogLine, Task};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Everything is old.
const LATER: Timestamp = Timestamp(NOW.0 + 1000 * 24 * 3600 * 1_000_000);

fn days(days: u32) -> Timestamp {
    NOW.plus(DAY * days)
}

impl Bench {
    /// A run that starts and ends at one time, with so many lines in its log.
    async fn ended(&self, task: &Task, at: Timestamp, lines: usize) -> Run {
        let mut new = new_run(self, task, None);
        new.queued_at = at;
        let run = self.store.start_run(new).await.unwrap().run;
        let line = RunLogLine { step: None, attempt: None, at, level: LogLevel::Info, message: "a line".into() };
        let end = RunCommit { finished_at: Some(at), log: vec![line; lines], ..commit(&run, run.version, "succeeded") };
        self.store.commit_run(end).await.unwrap();
        run
    }

    async fn remove(&self, retention: Retention, now: Timestamp) -> Removed {
        let mut all = Removed::default();
        loop {
            let removed = self.store.remove_old(self.environment, retention, now).await.unwrap();
            all.runs += removed.runs;
            all.lines += removed.lines;
            if !removed.more {
                return all;
            }
        }
    }

    async fn is_there(&self, run: RunId) -> bool {
        match self.store.run(self.environment, run).await {
            Ok(_) => true,
            Err(Error::NotFound) => false,
            Err(error) => panic!("{error}"),
        }
    }

    async fn lines_of(&self, run: RunId) -> usize {
        self.store.run_log_after(self.environment, run, LogFilter::default()).await.unwrap().len()
    }
}

#[tokio::test]
async fn runs_go_with_everything_about_them_but_the_last_of_a_task() {
    let bench = bench().await;
    let (often, seldom) = (bench.task("often").await, bench.task("seldom").await);
    let (old, young) = (bench.ended(&often, NOW, 3).await, bench.ended(&often, days(50), 3).await);
    let last = bench.ended(&seldom, NOW, 1).await;
    // One that waits for its turn is not the task's last word.
    let waiting = NewRun { queued_at: days(1), ..new_run(&bench, &seldom, None) };
    let open = bench.store.start_run(waiting).await.unwrap().run;
    let retention = Retention { runs: Some(30), logs: None };
    assert_eq!(bench.remove(retention, days(30)).await, Removed::default(), "nothing is older than 30 days");
    let removed = bench.remove(retention, days(31)).await;
    assert_eq!((removed.runs, removed.lines), (1, 3));
    assert!(!bench.is_there(old.id).await);
    for kept in [&young, &last, &open] {
        assert!(bench.is_there(kept.id).await);
    }
    assert!(matches!(bench.store.step_runs(bench.environment, old.id).await, Err(Error::NotFound)));
    assert_eq!(bench.remove(Retention { runs: None, logs: None }, LATER).await, Removed::default());
}

#[tokio::test]
async fn logs_go_before_their_runs_which_say_so() {
    let bench = bench().await;
    let task = bench.task("export").await;
    let (old, young) = (bench.ended(&task, NOW, 4).await, bench.ended(&task, days(5), 2).await);
    let open = bench.store.start_run(new_run(&bench, &task, None)).await.unwrap().run;
    bench.store.commit_run(commit(&open, open.version, "running")).await.unwrap();
    let retention = Retention { runs: None, logs: Some(7) };
    let removed = bench.remove(retention, days(8)).await;
    assert_eq!((removed.runs, removed.lines), (0, 4));
    assert_eq!((bench.lines_of(old.id).await, bench.lines_of(young.id).await), (0, 2));
    let removed = async |id| bench.store.run(bench.environment, id).await.unwrap().log_removed;
    assert!(removed(old.id).await && !removed(young.id).await);
    assert_eq!(bench.lines_of(open.id).await, 1, "a run that goes on keeps its log");
}

#[tokio::test]
async fn much_is_removed_in_bounded_parts() {
    let bench = bench().await;
    let task = bench.task("export").await;
    for _ in 0..3 {
        bench.ended(&task, NOW, 2500).await;
    }
    let retention = Retention { runs: Some(1), logs: Some(1) };
    let first = bench.store.remove_old(bench.environment, retention, LATER).await.unwrap();
    assert!(first.more && first.lines == 5000, "{first:?}");
    assert_eq!(bench.remove(retention, LATER).await.lines, 2500);
}

#[tokio::test]
async fn lines_of_agents_go_by_their_environment() {
    let bench = bench().await;
    let agent = bench.agent("one").await;
    let sandbox = bench.store.create_environment(bench.company.id, "sandbox", NOW).await.unwrap().id;
    let other = bench.store.agent(sandbox, "background").await.unwrap().id;
    let line = LogLine {
        at: NOW,
        level: LogLevel::Info,
        target: "t".into(),
        event: None,
        message: "a line".into(),
        run: None::<RunRef>,
    };
    for agent in [agent, other] {
        let batch = LogBatch { seq: 1, dropped: 0, lines: vec![line.clone(); 3] };
        bench.store.store_log_batch(agent, LogSource::Agent, InstanceId::new(), batch, NOW).await.unwrap();
    }
    assert_eq!(bench.remove(Retention { runs: None, logs: Some(2) }, LATER).await.lines, 3);
    let left = bench.store.agent_log(sandbox, LogFilter::default(), crate::ListRequest::default()).await.unwrap();
    assert_eq!(left.total, 3, "another environment keeps its own");
}

#[tokio::test]
async fn what_is_kept_is_the_default_until_it_is_set() {
    let bench = bench().await;
    assert_eq!(bench.store.retention(bench.environment).await.unwrap(), Retention::default());
    for wanted in [Retention { runs: None, logs: Some(1) }, Retention { runs: Some(5), logs: None }] {
        bench.store.set_retention(bench.environment, wanted).await.unwrap();
        assert_eq!(bench.store.retention(bench.environment).await.unwrap(), wanted);
    }
}
