//! Triggers follow the task that is saved, and move on once for each time.

use sallyport_domain::trigger::Kind;
use sallyport_protocol::{RunId, Timestamp};
use serde_json::json;

use super::{Bench, NOW, bench, document};
use crate::{Error, Fired, NewTask, NewTrigger, Task, Trigger};

const DUE: Timestamp = Timestamp(NOW.0 + 1_000_000);
const LATER: Timestamp = Timestamp(NOW.0 + 2_000_000);

fn trigger(name: &str, every: &str, active: bool, due_at: Timestamp) -> NewTrigger {
    NewTrigger {
        name: name.into(),
        kind: Kind::Every,
        definition: json!({ "name": name, "every": every }),
        follows: None,
        active,
        due_at: active.then_some(due_at),
    }
}

fn task(text: &str, triggers: Vec<NewTrigger>) -> NewTask {
    NewTask { triggers, ..document("export", text) }
}

async fn find(bench: &Bench, task: &Task, name: &str) -> Result<Trigger, Error> {
    bench.store.trigger(bench.environment, task.id, name).await
}

#[tokio::test]
async fn a_trigger_that_is_saved_unchanged_keeps_its_place() {
    let bench = bench().await;
    let first =
        task("1", vec![trigger("a", "1h", true, DUE), trigger("b", "1h", true, DUE), trigger("c", "1h", true, DUE)]);
    let saved = bench.store.create_task(bench.environment, first).await.unwrap();
    let second = task("2", vec![trigger("a", "1h", true, LATER), trigger("b", "2h", true, LATER)]);
    bench.store.edit_task(bench.environment, saved.id, None, second).await.unwrap();
    assert_eq!(find(&bench, &saved, "a").await.unwrap().due_at, Some(DUE));
    assert_eq!(find(&bench, &saved, "b").await.unwrap().due_at, Some(LATER));
    assert!(matches!(find(&bench, &saved, "c").await, Err(Error::NotFound)));

    let off = task("3", vec![trigger("a", "1h", false, LATER)]);
    bench.store.edit_task(bench.environment, saved.id, None, off).await.unwrap();
    assert_eq!(find(&bench, &saved, "a").await.unwrap().due_at, None);
    assert_eq!(bench.store.next_due().await.unwrap(), None);
    let on = task("4", vec![trigger("a", "1h", true, LATER)]);
    bench.store.edit_task(bench.environment, saved.id, None, on).await.unwrap();
    assert_eq!(bench.store.next_due().await.unwrap(), Some(LATER));
    bench.store.delete_task(bench.environment, saved.id, None, NOW).await.unwrap();
    assert_eq!(bench.store.next_due().await.unwrap(), None);
}

#[tokio::test]
async fn a_trigger_moves_on_only_from_the_time_that_was_dealt_with() {
    let bench = bench().await;
    let saved = task("1", vec![trigger("a", "1h", true, DUE)]);
    let saved = bench.store.create_task(bench.environment, saved).await.unwrap();
    assert!(bench.store.due_triggers(NOW, 10).await.unwrap().is_empty());
    assert_eq!(bench.store.due_triggers(DUE, 10).await.unwrap().len(), 1);
    let run = RunId::new();
    let fired = |due_at| Fired { due_at, next: Some(LATER), run: Some((run, DUE)), problem: None };
    bench.store.trigger_fired(saved.id, "a", fired(LATER)).await.unwrap();
    assert_eq!(find(&bench, &saved, "a").await.unwrap().due_at, Some(DUE), "another time than it has");
    bench.store.trigger_fired(saved.id, "a", fired(DUE)).await.unwrap();
    let moved = find(&bench, &saved, "a").await.unwrap();
    assert_eq!((moved.due_at, moved.fired_at, moved.fired_run), (Some(LATER), Some(DUE), Some(run)));
}

#[tokio::test]
async fn tasks_that_follow_are_found_by_name_whatever_its_case() {
    let bench = bench().await;
    let first = bench.task("first").await;
    let follows = NewTrigger { kind: Kind::After, follows: Some("FIRST".into()), ..trigger("a", "1h", true, DUE) };
    let saved = bench.store.create_task(bench.environment, task("1", vec![follows])).await.unwrap();
    let found = bench.store.following_triggers(bench.environment, first.id).await.unwrap();
    assert_eq!(found.iter().map(|found| found.task).collect::<Vec<_>>(), [saved.id]);
    let facts = bench.store.task_facts(bench.environment).await.unwrap();
    let shown: Vec<_> = facts.iter().map(|facts| (facts.name.as_str(), facts.follows.len())).collect();
    assert_eq!(shown, [("export", 1), ("first", 0)]);
}
