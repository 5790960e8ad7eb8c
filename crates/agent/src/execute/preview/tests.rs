//! Looks at real files.

use std::sync::Arc;

use sallyport_connectors::Site;
use sallyport_dataplane::Cancel;
use sallyport_protocol::{Clock, Preview, PreviewOrder, RequestId};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::preview;
use crate::Egress;
use crate::execute::{NoRelay, Surroundings};

/// Looks at `orders.csv` with this many rows; the folders must be as they were afterwards.
async fn look(csv: Option<&str>, kind: &str, settings: Value, background: bool) -> Preview {
    let folder = tempfile::tempdir().unwrap();
    let files_root = folder.path().join("files");
    std::fs::create_dir(&files_root).unwrap();
    if let Some(csv) = csv {
        std::fs::write(files_root.join("orders.csv"), csv).unwrap();
    }
    let surroundings = Surroundings {
        site: Arc::new(Site { files_root: files_root.clone(), ..Site::default() }),
        scratch_root: folder.path().join("work"),
        data: Arc::new(NoRelay),
        log: Arc::new(|_| {}),
        transform_memory: 0,
        clock: Clock::system(),
        background,
        egress: Egress::unkept(),
        seal: None,
    };
    let order = PreviewOrder {
        step: "orders".into(),
        kind: kind.into(),
        connection: None,
        settings,
        rows: 100,
        who: String::new(),
    };
    let runtime = Handle::current();
    let work = move || preview(RequestId::new(), &order, &surroundings, &runtime, &Cancel::new());
    let seen = tokio::task::spawn_blocking(work).await.unwrap();
    let left = std::fs::read_dir(folder.path().join("work")).into_iter().flatten().count();
    assert_eq!(left, 0, "the scratch folder stays");
    assert_eq!(std::fs::read_dir(files_root).unwrap().count(), usize::from(csv.is_some()), "a file was written");
    seen
}

fn orders(rows: usize) -> String {
    let rows = (0..rows).map(|id| format!("{id},name {id},\n"));
    format!("id,name,note\n{}", rows.collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_rows_are_seen_with_their_types() {
    // Enough that the source has to be stopped: an edge would not hold them.
    let seen = look(Some(&orders(500_000)), "file", json!({ "path": "orders.csv" }), false).await;
    let columns: Vec<(&str, &str)> = seen.columns.iter().map(|one| (one.name.as_str(), one.kind.as_str())).collect();
    assert_eq!(columns, [("id", "bigint"), ("name", "text"), ("note", "text")]);
    assert_eq!((seen.rows.len(), seen.more), (100, true));
    assert_eq!(seen.rows[99], [Some("99".to_owned()), Some("name 99".to_owned()), None]);
    assert_eq!(seen.failure, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_source_is_seen_whole() {
    let seen = look(Some(&orders(3)), "file", json!({ "path": "orders.csv" }), false).await;
    assert_eq!((seen.rows.len(), seen.more, seen.failure), (3, false, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_in_words() {
    let seen = look(None, "file", json!({ "path": "orders.csv" }), false).await;
    assert!(seen.failure.unwrap().message.contains("orders.csv"));
    assert!(seen.rows.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_ends_the_look_and_leaves_no_reject_file() {
    let columns = json!([{ "name": "id", "type": "bigint" }]);
    let with =
        json!({ "path": "orders.csv", "columns": columns, "on_bad_row": "reject", "reject_file": "rejected.jsonl" });
    let seen = look(Some("id\n1\nmany\n"), "file", with, false).await;
    assert!(seen.failure.unwrap().message.contains("many"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_background_agent_looks_at_nothing_that_it_may_not_serve() {
    let seen = look(None, "program", json!({ "program": "anything" }), true).await;
    assert_eq!(seen.failure.unwrap().code, "background_agent_refuses");
}
