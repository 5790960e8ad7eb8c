//! The whole live side, with the background agent doing real work on real files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sallyport_protocol::Clock;
use sallyport_store::{First, LogFilter, NewTask, Store};

use super::{Live, Parts};
use crate::engine::{Reads, StartRun};

const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn the_background_agent_moves_rows_between_files_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("sallyport.db")).unwrap();
    let clock = Clock::system();
    let (company, environment) = ("Acme".to_owned(), "production".to_owned());
    let first = First { company, environment, administrator: "admin".into(), now: clock.now() };
    store.initialise(first).await.unwrap();
    let company = store.all_companies().await.unwrap().remove(0);
    let environment = store.environment(company.id, None).await.unwrap().id;
    let files = folder.path().join("files");
    std::fs::create_dir_all(&files).unwrap();
    std::fs::write(files.join("in.csv"), "id,name\n1,one\n2,two\n").unwrap();

    let live = Live::start(Parts {
        store: store.clone(),
        clock: clock.clone(),
        catalog: Arc::new(sallyport_connectors::catalog()),
        hash_credential: Arc::new(|password| password.as_bytes().to_vec()),
        open_secrets: Arc::new(|_| Ok(BTreeMap::new())),
        files_root: files.clone(),
        scratch_root: folder.path().join("work"),
        reconnect_grace: Duration::from_secs(60),
        heartbeat_seconds: 60,
    })
    .await
    .unwrap();
    let document = "
task: convert
steps:
  - { name: source, connector: file, agent: background, with: { path: in.csv } }
  - { name: target, connector: file, agent: background, input: source, with: { path: out.jsonl } }
";
    let parsed = serde_json::to_value(sallyport_domain::task::parse(document).unwrap()).unwrap();
    let new = NewTask {
        name: "convert".into(),
        active: true,
        document: document.into(),
        parsed,
        author: "test".into(),
        now: clock.now(),
    };
    let task = store.create_task(environment, new).await.unwrap().id;
    let (trigger, who) = ("api".to_owned(), "test".to_owned());
    let start = StartRun { environment, task, trigger, who, key: None, priority: None, reads: Reads::New };
    let run = live.engine.start_run(start).await.unwrap().run.id;

    let mut changes = live.engine.live(run);
    let ended = async {
        loop {
            let found = store.run(environment, run).await.unwrap();
            if found.finished_at.is_some() {
                return found;
            }
            changes.changed().await;
        }
    };
    let ended = tokio::time::timeout(DEADLINE, ended).await.unwrap();
    assert_eq!(ended.state, "succeeded", "{ended:?}");
    assert_eq!(std::fs::read_to_string(files.join("out.jsonl")).unwrap().lines().count(), 2);

    tokio::time::timeout(DEADLINE, live.stop()).await.unwrap();
    let lines = store.run_log_after(environment, run, LogFilter::default()).await.unwrap();
    assert!(lines.iter().all(|line| !line.message.is_empty()));
}
