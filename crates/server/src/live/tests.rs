//! The whole live side, with the background agent doing real work on real files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sallyport_protocol::{Clock, ConnectionId, EnvironmentId, RunId};
use sallyport_store::{ConnectionEdit, First, LogFilter, NewConnection, NewTask, Run, Started, Store};
use serde_json::json;

use super::{Live, OpenSecrets, Parts};
use crate::engine::{Reads, StartError, StartRun};

const DEADLINE: Duration = Duration::from_secs(20);

/// The live side in a folder of its own.
struct Server {
    folder: tempfile::TempDir,
    store: Store,
    clock: Clock,
    environment: EnvironmentId,
    live: Live,
}

impl Server {
    async fn start() -> Self {
        Self::with(Arc::new(|_| Ok(BTreeMap::new()))).await
    }

    async fn with(open_secrets: OpenSecrets) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("sallyport.db")).unwrap();
        let clock = Clock::system();
        let (company, environment) = ("Acme".to_owned(), "production".to_owned());
        let first = First { company, environment, administrator: "admin".into(), now: clock.now() };
        store.initialise(first).await.unwrap();
        let company = store.all_companies().await.unwrap().remove(0);
        let environment = store.environment(company.id, None).await.unwrap().id;
        store.create_environment(company.id, "sandbox", clock.now()).await.unwrap();
        // What a killed server has left.
        std::fs::create_dir_all(folder.path().join("work/run_old-0-1/source")).unwrap();
        let live = Live::start(Parts {
            store: store.clone(),
            clock: clock.clone(),
            catalog: Arc::new(sallyport_connectors::catalog()),
            secrets: crate::rig::key(),
            hash_credential: Arc::new(|password| password.as_bytes().to_vec()),
            open_secrets,
            files_root: folder.path().join("files"),
            scratch_root: folder.path().join("work"),
            reconnect_grace: Duration::from_secs(60),
            heartbeat_seconds: 60,
        });
        let live = live.await.unwrap();
        Self { folder, store, clock, environment, live }
    }

    /// Where the background agent of the environment works.
    fn files(&self) -> PathBuf {
        let files = self.folder.path().join("files").join(self.environment.to_string());
        std::fs::create_dir_all(&files).unwrap();
        files
    }

    /// Starts a run of a new task.
    async fn begin(&self, document: &str) -> RunId {
        self.try_begin(document).await.unwrap().run.id
    }

    async fn try_begin(&self, document: &str) -> Result<Started, StartError> {
        let parsed = sallyport_domain::task::parse(document).unwrap();
        let new = NewTask {
            name: parsed.task.clone(),
            active: true,
            document: document.into(),
            parsed: serde_json::to_value(&parsed).unwrap(),
            triggers: Vec::new(),
            author: "test".into(),
            now: self.clock.now(),
        };
        let (environment, task) = (self.environment, self.store.create_task(self.environment, new).await.unwrap().id);
        let (trigger, who) = ("api".to_owned(), "test".to_owned());
        let parameters = serde_json::Map::new();
        let start = StartRun {
            environment,
            task,
            trigger,
            who,
            key: None,
            priority: None,
            parameters,
            rerun: None,
            fired: None,
            reads: Reads::New,
            caller: None,
        };
        self.live.engine.start_run(start).await
    }

    /// Runs a task to its end.
    async fn run(&self, document: &str) -> Run {
        let run = self.begin(document).await;
        let mut changes = self.live.engine.live(run);
        let ended = async {
            loop {
                let found = self.store.run(self.environment, run).await.unwrap();
                if found.finished_at.is_some() {
                    return found;
                }
                changes.changed().await;
            }
        };
        tokio::time::timeout(DEADLINE, ended).await.unwrap()
    }

    /// Saves a connection of the background agent.
    async fn connection(&self, name: &str, kind: &str, settings: serde_json::Value) {
        let agent = self.store.agent(self.environment, "background").await.unwrap().id;
        let edit = ConnectionEdit {
            agent,
            others: Vec::new(),
            name: name.into(),
            kind: kind.into(),
            settings,
            secret_names: Vec::new(),
            sealed_secrets: None,
            now: self.clock.now(),
        };
        let new = NewConnection { id: ConnectionId::new(), edit };
        self.store.create_connection(self.environment, new).await.unwrap();
    }

    async fn stop(&self) {
        tokio::time::timeout(DEADLINE, self.live.stop()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_background_agent_moves_rows_between_files_of_the_server() {
    let server = Server::start().await;
    let files = server.files();
    std::fs::write(files.join("in.csv"), "id,name\n1,one\n2,two\n").unwrap();
    let document = "
task: convert
steps:
  - { name: source, connector: file, agent: background, with: { path: in.csv } }
  - { name: target, connector: file, agent: background, input: source, with: { path: out.jsonl } }
";
    let ended = server.run(document).await;
    assert_eq!(ended.state, "succeeded", "{ended:?}");
    assert_eq!(std::fs::read_to_string(files.join("out.jsonl")).unwrap().lines().count(), 2);

    server.stop().await;
    assert!(!server.folder.path().join("work/run_old-0-1").exists());
    let lines = server.store.run_log_after(server.environment, ended.id, LogFilter::default()).await.unwrap();
    for step in ["source", "target"] {
        assert!(lines.iter().any(|line| line.step.as_deref() == Some(step)), "{step}: {lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_background_agent_reaches_nothing_outside_its_folder() {
    let server = Server::start().await;
    std::fs::write(server.folder.path().join("secret.csv"), "key\n1\n").unwrap();
    let outside = server.folder.path().display().to_string();
    let other = server.store.all_companies().await.unwrap().remove(0).id;
    let sandbox = server.store.environment(other, Some("sandbox")).await.unwrap().id;
    let places = [
        ("file", json!({ "root": "/etc" }), "path: hostname, format: csv"),
        ("file", json!({ "root": outside }), "path: secret.csv"),
        ("file", json!({ "root": format!("../{sandbox}") }), "path: secret.csv"),
        ("sqlite", json!({ "path": format!("{outside}/sallyport.db") }), "table: agent"),
    ];
    for (number, (kind, settings, with)) in places.into_iter().enumerate() {
        // As a database from before the rule may hold it: the API saves no such connection.
        server.connection(&format!("outside-{number}"), kind, settings).await;
        let ended = server
            .run(&format!(
                "task: steal-{number}\nsteps:\n  - {{ name: source, connection: outside-{number}, with: {{ {with} }} }}\n  - {{ name: target, \
                 connector: file, agent: background, input: source, with: {{ path: out.jsonl }} }}\n"
            ))
            .await;
        assert_eq!(ended.state, "failed", "{ended:?}");
        assert!(!server.files().join("out.jsonl").exists());
        let steps = server.store.step_runs(server.environment, ended.id).await.unwrap();
        let code = steps.iter().find(|step| step.step == "source").and_then(|step| step.failure.clone());
        assert!(matches!(code.unwrap().code.as_str(), "bad_settings" | "path_refused"), "{steps:?}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_meets_a_bug_is_told_and_not_taken_for_healthy() {
    let server = Server::with(Arc::new(|_| panic!("a bug"))).await;
    assert!(server.live.engine.is_running());
    server.connection("folder", "file", json!({ "root": "." })).await;
    let task = "task: t\nsteps:\n  - { name: one, connection: folder, with: { path: in.csv } }\n";
    assert!(matches!(server.try_begin(task).await, Err(StartError::Stopped)), "an answer of an engine that has ended");
    tokio::time::timeout(DEADLINE, server.live.broken()).await.unwrap();
    assert!(!server.live.engine.is_running());
    server.stop().await;
}
