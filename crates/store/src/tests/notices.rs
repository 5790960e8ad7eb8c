//! What there is to tell is kept once, sent in order, held in a storm, and bounded.

use std::time::Duration;

use sallyport_domain::notice::{Event, Rule};
use sallyport_protocol::{ChannelId, Timestamp};
use serde_json::json;

use super::runs::{commit, new_run};
use super::{Bench, NOW, bench};
use crate::{
    Channel, ChannelEdit, Error, ListRequest, NewChannel, Notice, NoticeFilter, NoticeState, RunCommit, RunNews, Task,
};

const LATER: Timestamp = Timestamp(NOW.0 + 60_000_000);

fn edit(name: &str) -> ChannelEdit {
    ChannelEdit {
        name: name.into(),
        kind: "webhook".into(),
        settings: json!({ "url": "https://example.org" }),
        secret_names: Vec::new(),
        sealed_secrets: None,
        rules: vec![Rule::default()],
        hourly: 30,
        active: true,
        now: NOW,
    }
}

async fn channel(bench: &Bench, name: &str) -> Channel {
    let new = NewChannel { id: ChannelId::new(), edit: edit(name) };
    bench.store.create_channel(bench.environment, new).await.unwrap()
}

/// A run that has failed, as a follower is told.
async fn news(bench: &Bench, task: &Task) -> RunNews {
    bench.store.follow_runs("test").await.unwrap();
    let run = bench.store.start_run(new_run(bench, task, None)).await.unwrap().run;
    let end = RunCommit { finished_at: Some(NOW), ..commit(&run, run.version, "failed") };
    bench.store.commit_run(end).await.unwrap();
    bench.store.run_news("test", 1000).await.unwrap().pop().unwrap()
}

/// Tells every channel of a failure, whatever the rules say.
async fn tell(bench: &Bench, news: RunNews) -> bool {
    let weigh = |_, channels: &[Channel]| (true, channels.iter().map(|c| (c.id, Event::Failure)).collect());
    bench.store.add_notices(news, (NOW, NOW), weigh).await.unwrap()
}

async fn all(bench: &Bench, state: Option<NoticeState>) -> Vec<Notice> {
    let request = ListRequest { limit: 500, cursor: None, sort: Some("seq".into()) };
    let filter = NoticeFilter { channel: None, state };
    bench.store.notices(bench.environment, filter, request).await.unwrap().items
}

async fn due(bench: &Bench, now: Timestamp) -> Vec<Notice> {
    bench.store.due_notices(now, 10).await.unwrap().into_iter().map(|(notice, _)| notice).collect()
}

#[tokio::test]
async fn what_is_told_again_is_not_weighed_again() {
    let bench = bench().await;
    let task = bench.task("export").await;
    assert!(!bench.store.has_channels(bench.environment).await.unwrap());
    channel(&bench, "ops").await;
    let first = news(&bench, &task).await;
    assert!(tell(&bench, first.clone()).await);
    assert!(!tell(&bench, first.clone()).await, "told again");
    let second = news(&bench, &task).await;
    let known = bench.store.add_notices(second, (NOW, NOW), |failing, _| {
        assert!(failing, "what was weighed is remembered");
        (false, Vec::new())
    });
    assert!(!known.await.unwrap());
    let kept = all(&bench, None).await;
    assert_eq!(kept.len(), 1);
    assert_eq!(
        (kept[0].run, kept[0].event, kept[0].state),
        (Some(first.run), Some(Event::Failure), NoticeState::Waiting)
    );
}

#[tokio::test]
async fn each_channel_has_its_oldest_notice_due_and_a_failed_try_waits() {
    let bench = bench().await;
    let task = bench.task("export").await;
    let (one, two) = (channel(&bench, "one").await, channel(&bench, "two").await);
    for _ in 0..2 {
        let news = news(&bench, &task).await;
        tell(&bench, news).await;
    }
    let first = due(&bench, NOW).await;
    assert_eq!(first.iter().map(|notice| notice.channel_name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    let (failed, sent) = (first[0].clone(), first[1].clone());
    bench.store.notice_failed(failed.clone(), "no answer".into(), Some(LATER), NOW).await.unwrap();
    bench.store.notice_sent(sent.clone(), None, NOW, LATER).await.unwrap();
    assert!(due(&bench, NOW).await.iter().all(|next| next.id != failed.id && next.id != sent.id));
    assert!(due(&bench, LATER).await.iter().any(|again| again.id == failed.id && again.attempts == 1));
    let shown = bench.store.channel(bench.environment, "one").await.unwrap();
    assert_eq!((shown.problem.as_deref(), shown.failed_at), (Some("no answer"), Some(NOW)));
    assert_eq!(bench.store.notices_sent(two.id, Timestamp(NOW.0 - 1)).await.unwrap(), (1, Some(NOW)));

    // A change may have mended it.
    bench.store.edit_channel(bench.environment, one.id, Some(one.version), edit("one")).await.unwrap();
    assert!(due(&bench, NOW).await.iter().any(|again| again.id == failed.id));
    let stale = bench.store.edit_channel(bench.environment, one.id, Some(one.version), edit("one")).await;
    assert!(matches!(stale, Err(Error::Stale { current: 2 })));
    bench.store.notice_failed(failed.clone(), "no answer".into(), None, NOW).await.unwrap();
    assert_eq!(
        all(&bench, Some(NoticeState::Failed)).await.iter().map(|gone| gone.id).collect::<Vec<_>>(),
        [failed.id]
    );
    bench.store.delete_channel(bench.environment, one.id, None).await.unwrap();
    assert!(all(&bench, None).await.iter().all(|left| left.channel == two.id));
}

#[tokio::test]
async fn an_inactive_channel_is_told_nothing_and_keeps_what_waits() {
    let bench = bench().await;
    let task = bench.task("export").await;
    let ops = channel(&bench, "ops").await;
    let told = news(&bench, &task).await;
    tell(&bench, told).await;
    let off = ChannelEdit { active: false, ..edit("ops") };
    bench.store.edit_channel(bench.environment, ops.id, None, off).await.unwrap();
    let untold = news(&bench, &task).await;
    assert!(!tell(&bench, untold).await);
    assert_eq!((due(&bench, LATER).await, bench.store.next_notice().await.unwrap()), (Vec::new(), None));
    bench.store.edit_channel(bench.environment, ops.id, None, edit("ops")).await.unwrap();
    assert_eq!(due(&bench, LATER).await.len(), 1);
}

#[tokio::test]
async fn held_notices_get_one_summary_that_names_them_all() {
    let bench = bench().await;
    let task = bench.task("export").await;
    let ops = channel(&bench, "ops").await;
    for _ in 0..3 {
        let news = news(&bench, &task).await;
        tell(&bench, news).await;
    }
    bench.store.hold_notices(ops.id, NOW, LATER).await.unwrap();
    bench.store.hold_notices(ops.id, NOW, LATER).await.unwrap();
    assert_eq!(bench.store.next_notice().await.unwrap(), Some(LATER));
    assert_eq!(due(&bench, NOW).await, Vec::new());
    let summary = due(&bench, LATER).await.remove(0);
    assert_eq!((summary.event, summary.run), (None, None));
    let (held, count) = bench.store.held_notices(ops.id, 2).await.unwrap();
    assert_eq!((held.len(), count), (2, 3));
    // One more is held while the summary is on its way.
    let fourth = news(&bench, &task).await;
    tell(&bench, fourth).await;
    bench.store.hold_notices(ops.id, NOW, LATER).await.unwrap();
    bench.store.notice_sent(summary, Some(held[0].seq), NOW, LATER).await.unwrap();
    assert_eq!(all(&bench, Some(NoticeState::Summed)).await.len(), 3);
    assert_eq!(all(&bench, Some(NoticeState::Held)).await.len(), 1);
    let next = due(&bench, LATER).await.remove(0);
    assert_eq!(next.event, None, "the fourth gets a summary of its own");
    assert_eq!(bench.store.notices_sent(ops.id, Timestamp(0)).await.unwrap().0, 0, "summaries do not count");
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let bench = bench().await;
    let ops = channel(&bench, "ops").await;
    let task = bench.task("export").await;
    for _ in 0..crate::WAITING_MAX + 5 {
        let news = news(&bench, &task).await;
        bench.store.pass_run_news("test", news.seq - 1).await.unwrap();
        tell(&bench, news).await;
    }
    let (_, held) = bench.store.held_notices(ops.id, 1).await.unwrap();
    assert_eq!(held, 5);
    let summaries = all(&bench, Some(NoticeState::Waiting)).await.iter().filter(|n| n.event.is_none()).count();
    assert!(summaries <= 1);
    let again = bench.store.next_notice().await.unwrap().unwrap();
    assert!(again.since(NOW) <= Duration::from_secs(1));
}
