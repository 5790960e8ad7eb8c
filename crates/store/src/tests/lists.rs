//! Lists page, sort and filter.

use sallyport_protocol::{InstanceId, LogBatch, LogLevel, LogLine};

use super::{NOW, bench};
use crate::{Agent, AgentFilter, Error, ListRequest, LogFilter, LogSource, Page, TOTAL_MAX};

fn ask(limit: u32, cursor: Option<String>, sort: &str) -> ListRequest {
    ListRequest { limit, cursor, sort: Some(sort.into()) }
}

fn names(page: &Page<Agent>) -> Vec<&str> {
    page.items.iter().map(|agent| agent.name.as_str()).collect()
}

#[tokio::test]
async fn pages_join_to_the_whole_list_in_both_directions_and_with_equal_keys() {
    let bench = bench().await;
    for number in 0..23 {
        bench.agent(&format!("agent {number:02}")).await;
    }
    // All were made at the same time, so that the tie is broken by the id.
    for sort in ["name", "-name", "created_at", "-created_at", "connected_since"] {
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let page =
                bench.store.agents(bench.environment, AgentFilter::default(), ask(5, cursor, sort)).await.unwrap();
            assert_eq!(page.total, 24);
            seen.extend(names(&page).iter().map(ToString::to_string));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 24, "{sort}");
        let mut unique = seen.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), 24, "{sort}");
        if sort == "-name" {
            unique.reverse();
            assert_eq!(seen, unique);
        }
    }
}

#[tokio::test]
async fn a_row_that_comes_in_between_does_not_shift_the_next_page() {
    let bench = bench().await;
    for name in ["b", "c", "d"] {
        bench.agent(name).await;
    }
    let list = async |cursor| {
        bench.store.agents(bench.environment, AgentFilter::default(), ask(2, cursor, "name")).await.unwrap()
    };
    let first = list(None).await;
    assert_eq!(names(&first), ["b", "background"]);
    bench.agent("a").await;
    assert_eq!(names(&list(first.next_cursor).await), ["c", "d"]);
}

#[tokio::test]
async fn filters_narrow_list_and_total() {
    let bench = bench().await;
    for name in ["client-server", "training-pc"] {
        bench.agent(name).await;
    }
    let search = |text: &str| AgentFilter { search: Some(text.into()), ..AgentFilter::default() };
    let found = bench.store.agents(bench.environment, search("SERVER"), ListRequest::default()).await.unwrap();
    assert_eq!((names(&found), found.total), (vec!["client-server"], 1));
    let none = bench.store.agents(bench.environment, search("%"), ListRequest::default()).await.unwrap();
    assert_eq!(none.total, 0);
    let online = AgentFilter { online: Some(true), ..AgentFilter::default() };
    assert_eq!(bench.store.agents(bench.environment, online, ListRequest::default()).await.unwrap().total, 0);
}

#[tokio::test]
async fn foreign_sorts_and_cursors_are_refused() {
    let bench = bench().await;
    bench.agent("one").await;
    let list = async |request| bench.store.agents(bench.environment, AgentFilter::default(), request).await;
    assert!(matches!(list(ask(1, None, "password")).await, Err(Error::BadSort { .. })));
    assert!(matches!(list(ask(1, Some("nonsense".into()), "name")).await, Err(Error::BadCursor)));
    let cursor = list(ask(1, None, "name")).await.unwrap().next_cursor;
    assert!(matches!(list(ask(1, cursor, "-name")).await, Err(Error::BadCursor)));
}

#[tokio::test]
async fn a_long_list_is_not_counted_to_its_end() {
    let bench = bench().await;
    let agent = bench.agent("one").await;
    let line = LogLine {
        at: NOW,
        level: LogLevel::Info,
        target: "test".into(),
        event: None,
        message: "line".into(),
        run: None,
    };
    let lines = vec![line; usize::try_from(TOTAL_MAX).unwrap() + 50];
    let batch = LogBatch { seq: 1, dropped: 0, lines };
    bench.store.store_log_batch(agent, LogSource::Agent, InstanceId::new(), batch, NOW).await.unwrap();
    let page = bench.store.agent_log(bench.environment, LogFilter::default(), ask(1, None, "seq")).await.unwrap();
    assert_eq!(page.total, TOTAL_MAX);
}
