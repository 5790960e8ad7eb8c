//! What happened to runs reaches every follower, in order, until each has passed it.

use sallyport_protocol::RunId;

use super::runs::{commit, new_run};
use super::{Bench, NOW, bench};
use crate::{Error, Happening, RunCommit, Task};

async fn ended(bench: &Bench, task: &Task, state: &str) -> RunId {
    let run = bench.store.start_run(new_run(bench, task, None)).await.unwrap().run;
    let end = RunCommit { finished_at: Some(NOW), ..commit(&run, run.version, state) };
    bench.store.commit_run(end).await.unwrap();
    run.id
}

async fn pending(bench: &Bench, follower: &'static str) -> Vec<RunId> {
    bench.store.run_news(follower, 100).await.unwrap().into_iter().map(|news| news.run).collect()
}

#[tokio::test]
async fn each_follower_gets_every_end_until_it_has_passed_it() {
    let bench = bench().await;
    let task = bench.task("export").await;
    bench.store.follow_runs("one").await.unwrap();
    bench.store.follow_runs("two").await.unwrap();
    let (first, second) = (ended(&bench, &task, "succeeded").await, ended(&bench, &task, "failed").await);
    let news = bench.store.run_news("one", 100).await.unwrap();
    let told: Vec<_> = news.iter().map(|news| (news.run, news.what, news.state.as_str())).collect();
    assert_eq!(told, [(first, Happening::Ended, "succeeded"), (second, Happening::Ended, "failed")]);
    assert_eq!((news[0].task, news[0].finished_at), (task.id, Some(NOW)));

    bench.store.pass_run_news("one", news[0].seq).await.unwrap();
    assert_eq!(pending(&bench, "one").await, [second]);
    assert_eq!(pending(&bench, "two").await, [first, second], "another's place is its own");
    // A place never goes back.
    bench.store.pass_run_news("one", news[1].seq).await.unwrap();
    bench.store.pass_run_news("one", news[0].seq).await.unwrap();
    assert_eq!(pending(&bench, "one").await, []);
    bench.store.pass_run_news("two", news[1].seq).await.unwrap();
    assert_eq!(rows(&bench).await, 0, "what all have passed goes");
    // Numbers are not used again.
    let third = ended(&bench, &task, "succeeded").await;
    assert_eq!(pending(&bench, "one").await, [third]);
}

#[tokio::test]
async fn a_follower_begins_where_it_came_and_keeps_its_place() {
    let bench = bench().await;
    let task = bench.task("export").await;
    ended(&bench, &task, "succeeded").await;
    assert_eq!(rows(&bench).await, 0, "nobody follows");
    bench.store.follow_runs("early").await.unwrap();
    let first = ended(&bench, &task, "succeeded").await;
    bench.store.follow_runs("late").await.unwrap();
    bench.store.follow_runs("early").await.unwrap();
    let second = ended(&bench, &task, "succeeded").await;
    assert_eq!(pending(&bench, "early").await, [first, second]);
    assert_eq!(pending(&bench, "late").await, [second]);
}

#[tokio::test]
async fn a_change_that_is_refused_or_ends_nothing_is_no_news() {
    let bench = bench().await;
    bench.store.follow_runs("one").await.unwrap();
    let task = bench.task("export").await;
    let run = bench.store.start_run(new_run(&bench, &task, None)).await.unwrap().run;
    bench.store.commit_run(commit(&run, run.version, "running")).await.unwrap();
    let late = RunCommit { finished_at: Some(NOW), ..commit(&run, run.version, "failed") };
    assert!(matches!(bench.store.commit_run(late).await, Err(Error::Stale { .. })));
    assert_eq!(pending(&bench, "one").await, []);
}

async fn rows(bench: &Bench) -> i64 {
    bench.store.read(|sql| Ok(sql.query_row("SELECT count(*) FROM run_outbox", [], |row| row.get(0))?)).await.unwrap()
}
