//! Checkpoints: what runs commit, what people change, and which of them counts.

use sallyport_protocol::{Checkpoint as Reached, Committed};
use serde_json::{Value, json};

use super::runs::{commit, new_run};
use super::{Bench, NOW, bench};
use crate::{CheckpointCommit, CheckpointEdit, CheckpointKey, ListRequest, Run, RunCommit, Task};

fn key(task: &Task) -> CheckpointKey {
    CheckpointKey { task: task.id, source: "read".into(), sink: "write".into() }
}

fn reached(epoch: u64, fence: u64, value: i64) -> CheckpointCommit {
    let checkpoint = Reached(json!({ "value": value }));
    let committed = Committed { epoch, fence, sequence: 1, checkpoint, rows: 5 };
    CheckpointCommit { source: "read".into(), sink: "write".into(), committed, at: NOW }
}

async fn report(bench: &Bench, run: &mut Run, reached: CheckpointCommit) {
    let commit = RunCommit { checkpoints: vec![reached], ..commit(run, run.version, "running") };
    run.version = bench.store.commit_run(commit).await.unwrap();
}

async fn value(bench: &Bench, task: &Task) -> Option<Value> {
    bench.store.checkpoints(bench.environment, task.id).await.unwrap().remove(0).value
}

#[tokio::test]
async fn every_attempt_has_a_greater_fence_and_only_the_newest_moves_the_checkpoint() {
    let bench = bench().await;
    let task = bench.task("export").await;
    let mut run = bench.store.start_run(new_run(&bench, &task, None)).await.unwrap().run;
    let first = bench.store.begin_checkpoint(bench.environment, key(&task), NOW).await.unwrap();
    let second = bench.store.begin_checkpoint(bench.environment, key(&task), NOW).await.unwrap();
    assert!(first.fence < second.fence && first.epoch == second.epoch && first.value.is_none());
    report(&bench, &mut run, reached(1, second.fence, 20)).await;
    report(&bench, &mut run, reached(1, first.fence, 10)).await;
    assert_eq!(value(&bench, &task).await, Some(json!({ "value": 20 })));
    let third = bench.store.begin_checkpoint(bench.environment, key(&task), NOW).await.unwrap();
    assert_eq!((third.value, third.run), (Some(json!({ "value": 20 })), Some(run.id)));
    // A restored copy of the store gives fences by the time, which has gone on.
    let minute = NOW.plus(std::time::Duration::from_secs(60));
    let later = bench.store.begin_checkpoint(bench.environment, key(&task), minute).await.unwrap();
    assert_eq!(later.fence, u64::try_from(minute.0).unwrap());
}

#[tokio::test]
async fn a_change_by_hand_begins_an_epoch_and_the_history_tells_all() {
    let bench = bench().await;
    let task = bench.task("export").await;
    let mut run = bench.store.start_run(new_run(&bench, &task, None)).await.unwrap().run;
    let begun = bench.store.begin_checkpoint(bench.environment, key(&task), NOW).await.unwrap();
    report(&bench, &mut run, reached(1, begun.fence, 10)).await;
    let edit = CheckpointEdit { value: Some(json!({ "value": 3 })), who: "ada".into(), now: NOW };
    let set = bench.store.edit_checkpoint(bench.environment, key(&task), edit).await.unwrap();
    assert!(set.epoch > begun.epoch && set.who == "ada");
    // The run that goes on reports under the epoch that is over.
    report(&bench, &mut run, reached(1, begun.fence + 1, 11)).await;
    assert_eq!(value(&bench, &task).await, Some(json!({ "value": 3 })));
    let mut refresh = new_run(&bench, &task, None);
    refresh.full_refresh = true;
    let refresh = bench.store.start_run(refresh).await.unwrap().run;
    assert_eq!(value(&bench, &task).await, None);
    let all = bench.store.checkpoint_changes(bench.environment, task.id, None, ListRequest::default()).await.unwrap();
    let told: Vec<_> = all.items.iter().map(|one| (one.action.as_str(), one.who.as_str(), one.run, one.rows)).collect();
    assert_eq!(
        told,
        [
            ("full_refresh", "somebody", Some(refresh.id), None),
            ("set", "ada", None, None),
            ("committed", "somebody", Some(run.id), Some(5)),
        ]
    );
    let other = bench.store.checkpoint_changes(bench.environment, task.id, Some("x".into()), ListRequest::default());
    assert_eq!(other.await.unwrap().total, 0);
}
