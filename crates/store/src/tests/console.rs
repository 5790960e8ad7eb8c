//! What the console asks for besides: when agents were online, what people changed, saved views.

use sallyport_protocol::Timestamp;

use super::{Bench, NOW, bench, knock};
use crate::{Admission, AuditFilter, AuditLine, Error, ListRequest, SPANS_MAX, SavedView, SessionKind};

fn at(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1_000_000)
}

async fn come(bench: &Bench, agent: sallyport_protocol::AgentId, seconds: i64) -> i64 {
    let admit = crate::Admit { now: at(seconds), replace: true, ..knock(agent) };
    match bench.store.admit(SessionKind::Agent, admit).await.unwrap() {
        Admission::Admitted { epoch, .. } => epoch,
        other => panic!("{other:?}"),
    }
}

async fn spans(bench: &Bench, agent: sallyport_protocol::AgentId) -> Vec<(Timestamp, Option<Timestamp>)> {
    let spans = bench.store.online_spans(bench.environment, agent).await.unwrap();
    spans.into_iter().map(|span| (span.since, span.until)).collect()
}

#[tokio::test]
async fn every_end_of_a_connection_leaves_its_time() {
    let bench = bench().await;
    let agent = bench.agent("one").await;
    let first = come(&bench, agent, 0).await;
    assert_eq!(spans(&bench, agent).await, [(at(0), None)]);
    assert!(bench.store.release(SessionKind::Agent, agent, first, at(10)).await.unwrap());
    let second = come(&bench, agent, 20).await;
    // A new process takes the place of one that still stands.
    let third = come(&bench, agent, 30).await;
    assert!(!bench.store.release(SessionKind::Agent, agent, second, at(31)).await.unwrap());
    let now = [(at(30), None), (at(20), Some(at(30))), (at(0), Some(at(10)))];
    assert_eq!(spans(&bench, agent).await, now);
    // The server's process was killed: the last sign of life counts.
    bench.store.note_seen(vec![(agent, at(40))]).await.unwrap();
    bench.store.clear_sessions("one").await.unwrap();
    assert_eq!(spans(&bench, agent).await[0], (at(30), Some(at(40))));
    assert!(third > second);
}

#[tokio::test]
async fn only_the_newest_connections_are_kept() {
    let bench = bench().await;
    let agent = bench.agent("one").await;
    let most = i64::from(SPANS_MAX);
    for seconds in 0..most + 10 {
        come(&bench, agent, seconds).await;
    }
    let kept = spans(&bench, agent).await;
    assert_eq!(i64::try_from(kept.len()).unwrap(), most + 1);
    assert_eq!(kept.last().unwrap().0, at(9));
}

fn change(who: &str, action: &str, seconds: i64) -> AuditLine {
    AuditLine {
        at: at(seconds),
        who: who.into(),
        by_api_token: false,
        action: action.into(),
        target: Some("agent_1".into()),
        target_name: Some("Plant North".into()),
        status: 200,
        address: None,
    }
}

#[tokio::test]
async fn the_audit_is_found_by_who_what_and_name_and_is_trimmed() {
    let bench = bench().await;
    for (who, action, seconds) in [("ada", "agent.add", 1), ("ada", "agent.restart", 2), ("bob", "agenda.add", 3)] {
        let line = change(who, action, seconds);
        bench.store.note_audit(bench.company.id, bench.environment, line).await.unwrap();
    }
    let found = async |filter| {
        let page = bench.store.audit(bench.environment, filter, ListRequest::default()).await.unwrap();
        page.items.into_iter().map(|line| line.action).collect::<Vec<_>>()
    };
    assert_eq!(found(AuditFilter::default()).await, ["agenda.add", "agent.restart", "agent.add"]);
    let agents = AuditFilter { action: Some("agent".into()), ..AuditFilter::default() };
    assert_eq!(found(agents).await, ["agent.restart", "agent.add"]);
    let searched = AuditFilter { search: Some("BOB".into()), ..AuditFilter::default() };
    assert_eq!(found(searched).await, ["agenda.add"]);
    let named = AuditFilter { search: Some("plant".into()), who: Some("ada".into()), ..AuditFilter::default() };
    assert_eq!(found(named).await.len(), 2);
    assert_eq!(bench.store.trim_audit(at(3)).await.unwrap(), 2);
    assert_eq!(found(AuditFilter::default()).await, ["agenda.add"]);
}

#[tokio::test]
async fn a_saved_view_is_replaced_by_name_and_their_number_is_bounded() {
    let bench = bench().await;
    let person = bench.store.first_person().await.unwrap().id;
    let save = async |name: &str, query: &str| {
        let view = SavedView { list: "runs".into(), name: name.into(), query: query.into() };
        bench.store.save_view(bench.environment, person, view, NOW).await
    };
    save("mine", "state=failed").await.unwrap();
    save("Mine", "state=running").await.unwrap();
    let views = bench.store.saved_views(bench.environment, person).await.unwrap();
    assert_eq!(views, [SavedView { list: "runs".into(), name: "Mine".into(), query: "state=running".into() }]);
    for number in 1..200 {
        save(&format!("view {number}"), "").await.unwrap();
    }
    assert!(matches!(save("one more", "").await, Err(Error::TooMany { most: 200, .. })));
    save("mine", "").await.unwrap();
    bench.store.forget_view(bench.environment, person, "runs", "MINE").await.unwrap();
    let again = bench.store.forget_view(bench.environment, person, "runs", "mine").await;
    assert!(matches!(again, Err(Error::NotFound)));
}
