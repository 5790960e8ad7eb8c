//! Orders over real files, on one executor and on two that are joined by streams.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

use sallyport_protocol::{Action, Inlet, Outlet, RunId, Secret, StepCounts, StepOutcome, StepReport, Via};
use sallyport_site::policy::PolicyFile;
use serde_json::json;

use super::*;

const MAX: Duration = Duration::from_secs(20);

/// Streams by ticket, made ahead, and what helps where there is none.
struct Tickets(Mutex<HashMap<String, Transport>>, Remedy);

impl OpenData for Tickets {
    fn open<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<Transport, OpenError>> {
        let found = self.0.lock().unwrap().remove(ticket.expose());
        let error = OpenError { message: "the ticket is unknown".to_owned(), remedy: self.1 };
        Box::pin(async { found.ok_or(error) })
    }

    fn line<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<Line, OpenError>> {
        NoRelay.line(ticket)
    }
}

/// A site with its folders; the folders go with it.
struct Place {
    folder: tempfile::TempDir,
    surroundings: Surroundings,
    lines: Arc<Mutex<Vec<LogLine>>>,
}

impl Place {
    fn new(streams: impl IntoIterator<Item = (&'static str, Transport)>) -> Self {
        Self::with(streams, Remedy::None)
    }

    fn with(streams: impl IntoIterator<Item = (&'static str, Transport)>, remedy: Remedy) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files_root = folder.path().join("files");
        std::fs::create_dir(&files_root).unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let streams = streams.into_iter().map(|(ticket, transport)| (ticket.to_owned(), transport)).collect();
        let surroundings = Surroundings {
            site: Arc::new(Site { files_root, ..Site::default() }),
            scratch_root: folder.path().join("work"),
            data: Arc::new(Tickets(Mutex::new(streams), remedy)),
            log: Arc::new(move |line| sink.lock().unwrap().push(line)),
            transform_memory: 16 * 1024 * 1024,
            clock: Clock::system(),
            background: false,
            egress: Egress::unkept(),
            seal: None,
        };
        Self { folder, surroundings, lines }
    }

    fn files(&self) -> &Path {
        &self.surroundings.site.files_root
    }

    fn orders(self, rows: usize) -> Self {
        let mut text = "id,name\n".to_owned();
        for id in 0..rows {
            text.push_str(&format!("{id},name {id}\n"));
        }
        std::fs::write(self.files().join("orders.csv"), text).unwrap();
        self
    }

    async fn run(&self, order: WorkOrder) -> OrderReport {
        let execution = Execution::new(&order, &Egress::unkept());
        tokio::time::timeout(MAX, execute(order, &self.surroundings, &execution)).await.unwrap()
    }

    /// What steps may leave: the output itself.
    fn left_over(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in ["files", "work"] {
            let entries = std::fs::read_dir(self.folder.path().join(folder)).into_iter().flatten().flatten();
            names.extend(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        }
        names.sort();
        names
    }
}

fn key() -> AttemptKey {
    AttemptKey { run: RunId::new(), pipeline: 0, attempt: 1, fence: 1 }
}

fn order(steps: Vec<StepOrder>) -> WorkOrder {
    WorkOrder {
        key: key(),
        task: "orders-to-training".to_owned(),
        steps,
        incremental: None,
        resumes: false,
        who: "ada@example.com".to_owned(),
    }
}

fn step(name: &str, path: &str, inputs: Vec<Inlet>) -> StepOrder {
    StepOrder {
        name: name.to_owned(),
        action: Action::Connector { kind: "file".to_owned(), connection: None, settings: json!({"path": path}) },
        inputs,
        outputs: Vec::new(),
        timeout_ms: None,
        through: None,
    }
}

fn from(name: &str) -> Vec<Inlet> {
    vec![Inlet { from: name.to_owned(), via: Via::Local }]
}

fn through(name: &str, ticket: &str) -> Vec<Inlet> {
    vec![Inlet { from: name.to_owned(), via: Via::Relay { ticket: Secret::new(ticket), peer: None } }]
}

fn outlet(to: &str, ticket: &str) -> Vec<Outlet> {
    vec![Outlet { to: to.to_owned(), ticket: Secret::new(ticket), peer: None }]
}

fn outcomes(report: &OrderReport) -> Vec<(&str, &StepOutcome)> {
    report.steps.iter().map(|step| (step.step.as_str(), &step.outcome)).collect()
}

fn failure_of<'a>(report: &'a OrderReport, step: &str) -> &'a Failure {
    match &report.steps.iter().find(|report| report.step == step).unwrap().outcome {
        StepOutcome::Failed { failure } => failure,
        other => panic!("{step}: {other:?}"),
    }
}

fn cancelled_because<'a>(report: &'a OrderReport, step: &str) -> &'a str {
    match &report.steps.iter().find(|report| report.step == step).unwrap().outcome {
        StepOutcome::Cancelled { reason } => reason,
        other => panic!("{step}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_consumer_gets_every_row() {
    let place = Place::new([]).orders(5000);
    let report = place
        .run(order(vec![
            step("orders", "orders.csv", vec![]),
            step("one", "one.csv", from("orders")),
            step("two", "two.jsonl", from("orders")),
        ]))
        .await;
    assert!(report.steps.iter().all(|step| step.outcome == StepOutcome::Succeeded), "{report:?}");
    let rows: Vec<_> = report.steps.iter().map(|StepReport { counts, .. }| (counts.rows_in, counts.rows_out)).collect();
    assert_eq!(rows, [(0, 5000), (5000, 5000), (5000, 5000)]);
    let lines = |name| std::fs::read_to_string(place.files().join(name)).unwrap().lines().count();
    assert_eq!((lines("one.csv"), lines("two.jsonl")), (5001, 5000));
    assert_eq!(place.left_over(), ["one.csv", "orders.csv", "two.jsonl"]);
    let logged = place.lines.lock().unwrap();
    assert!(logged.iter().any(|line| line.run.as_ref().and_then(|run| run.step.as_deref()) == Some("one")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_failure_is_the_cause_and_the_rest_is_cancelled() {
    let place = Place::new([]);
    let report =
        place.run(order(vec![step("orders", "missing.csv", vec![]), step("csv", "out.csv", from("orders"))])).await;
    let failure = failure_of(&report, "orders");
    assert!(failure.message.contains("missing.csv"), "{failure:?}");
    let reason = cancelled_because(&report, "csv");
    assert!(reason.starts_with("step `orders` failed: ") && reason.contains("missing.csv"), "{reason}");
    assert!(place.left_over().is_empty(), "{:?}", place.left_over());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_executors_are_joined_by_a_stream() {
    let (left, right) = Transport::pair();
    let client = Place::new([("t1", left)]).orders(20_000);
    let training = Place::new([("t2", right)]);
    let mut source = step("orders", "orders.csv", vec![]);
    source.outputs = outlet("csv", "t1");
    let (sent, received) = tokio::join!(
        client.run(order(vec![source])),
        training.run(order(vec![step("csv", "copy.csv", through("orders", "t2"))]))
    );
    assert_eq!(outcomes(&sent), [("orders", &StepOutcome::Succeeded)]);
    assert_eq!(outcomes(&received), [("csv", &StepOutcome::Succeeded)]);
    let read = |place: &Place, name| std::fs::read(place.files().join(name)).unwrap();
    assert_eq!(read(&client, "orders.csv"), read(&training, "copy.csv"));
    assert_eq!(received.steps[0].counts.rows_in, 20_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_took_everything_and_is_gone_makes_no_failure() {
    let (left, mut near) = Transport::pair();
    let (right, mut far) = Transport::pair();
    let client = Place::with([("t1", left)], Remedy::Delivered).orders(5000);
    let training = Place::new([("t2", right)]);
    let copy = training.files().join("copy.csv");
    // Of what the consumer says only its greeting arrives: its last word is lost.
    let bridge = async move {
        near.outgoing.send(far.incoming.recv().await.unwrap()).await.unwrap();
        while !copy.exists() {
            let next = tokio::time::timeout(Duration::from_millis(10), near.incoming.recv()).await;
            if let Ok(Some(message)) = next {
                far.outgoing.send(message).await.unwrap();
            }
        }
    };
    let mut source = step("orders", "orders.csv", vec![]);
    source.outputs = outlet("csv", "t1");
    let resumed = |steps| WorkOrder { resumes: true, ..order(steps) };
    let (sent, received, ()) = tokio::join!(
        client.run(resumed(vec![source])),
        training.run(resumed(vec![step("csv", "copy.csv", through("orders", "t2"))])),
        bridge
    );
    assert_eq!(outcomes(&received), [("csv", &StepOutcome::Succeeded)]);
    assert_eq!(outcomes(&sent), [("orders", &StepOutcome::Succeeded)]);
    assert!(client.lines.lock().unwrap().iter().any(|line| line.message.contains("have all arrived")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_on_one_executor_cancels_the_other_with_its_reason() {
    let (left, right) = Transport::pair();
    let client = Place::new([("t1", left)]);
    let training = Place::new([("t2", right)]);
    let mut source = step("orders", "missing.csv", vec![]);
    source.outputs = outlet("csv", "t1");
    let (sent, received) = tokio::join!(
        client.run(order(vec![source])),
        training.run(order(vec![step("csv", "copy.csv", through("orders", "t2"))]))
    );
    failure_of(&sent, "orders");
    let reason = cancelled_because(&received, "csv");
    assert!(reason.starts_with("step `orders` failed: "), "{reason}");
    assert!(training.left_over().is_empty(), "{:?}", training.left_over());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_stream_is_a_transient_failure_of_the_input() {
    let (left, right) = Transport::pair();
    left.outgoing.send(Err("reset by peer".to_owned())).await.unwrap();
    let place = Place::new([("t", right)]);
    let report = place.run(order(vec![step("csv", "copy.csv", through("orders", "t"))])).await;
    let failure = failure_of(&report, "csv");
    assert_eq!((failure.kind, failure.code.as_str(), failure.transient), (FailureKind::Input, "stream_lost", true));
    assert!(failure.message.contains("`orders`") && failure.message.contains("reset by peer"), "{failure:?}");
    assert!(place.left_over().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_leaves_out_the_seal_gets_no_rows_where_the_site_wants_it() {
    let (left, right) = Transport::pair();
    let mut place = Place::new([("out", left), ("in", right)]).orders(3);
    let file = place.folder.path().join("policy.toml");
    std::fs::write(&file, "default = \"allow\"\nsealed = true").unwrap();
    let policy = Arc::new(PolicyFile::open(&file, Clock::system()));
    place.surroundings.site = Arc::new(Site { files_root: place.files().to_path_buf(), policy, ..Site::default() });
    let mut source = step("orders", "orders.csv", vec![]);
    source.outputs = outlet("csv", "out");
    for (steps, name, words) in [
        (vec![source], "orders", "rows to step `csv`"),
        (vec![step("csv", "copy.csv", through("orders", "in"))], "csv", "rows from step `orders`"),
    ] {
        let report = place.run(order(steps)).await;
        let failure = failure_of(&report, name);
        assert_eq!((failure.code.as_str(), failure.transient), ("not_allowed_by_site", false), "{failure:?}");
        assert!(failure.message.contains(words) && failure.message.contains("sealed = true"), "{failure:?}");
        assert!(failure.advice.as_ref().is_some_and(|advice| advice.contains("the server left the seal out")));
    }
    assert!(!place.files().join("copy.csv").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_does_not_open_names_the_other_step() {
    let place = Place::new([]);
    let report = place.run(order(vec![step("csv", "copy.csv", through("orders", "no-such"))])).await;
    let failure = failure_of(&report, "csv");
    assert!(failure.message.contains("`orders`") && failure.message.contains("ticket is unknown"), "{failure:?}");
    assert!(!failure.transient);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_stops_a_waiting_sink_and_leaves_nothing() {
    let (silent, right) = Transport::pair();
    let place = Place::new([("t", right)]);
    let order = order(vec![step("csv", "copy.csv", through("orders", "t"))]);
    let execution = Execution::new(&order, &Egress::unkept());
    let running = execute(order, &place.surroundings, &execution);
    let cancelling = async {
        while !place.lines.lock().unwrap().iter().any(|line| line.message == "step starts") {
            tokio::task::yield_now().await;
        }
        assert_eq!(execution.counts(), [("csv".to_owned(), StepCounts::default())]);
        execution.cancel("cancelled by ann");
    };
    let began = Instant::now();
    let (report, ()) = tokio::time::timeout(MAX, async { tokio::join!(running, cancelling) }).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "promised to people");
    assert_eq!(cancelled_because(&report, "csv"), "cancelled by ann");
    assert!(place.left_over().is_empty(), "{:?}", place.left_over());
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_names_the_step_and_its_limit() {
    let (silent, right) = Transport::pair();
    let place = Place::new([("t", right)]);
    let mut sink = step("csv", "copy.csv", through("orders", "t"));
    sink.timeout_ms = Some(100);
    let report = place.run(order(vec![sink])).await;
    let failure = failure_of(&report, "csv");
    assert_eq!((failure.kind, failure.code.as_str()), (FailureKind::TimedOut, "timeout"));
    assert!(failure.message.contains("`csv`") && failure.message.contains("100ms"), "{failure:?}");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_cannot_be_joined_are_refused() {
    let place = Place::new([]);
    let report = place.run(order(vec![step("csv", "out.csv", from("nobody"))])).await;
    assert_eq!(failure_of(&report, "csv").code, "bad_order");
    let twice = order(vec![step("a", "a.csv", vec![]), step("a", "b.csv", vec![])]);
    assert_eq!(execution_failure(&place.run(twice).await), "two steps are named `a`");
}

fn execution_failure(report: &OrderReport) -> &str {
    let failed = report.steps.iter().find_map(|step| match &step.outcome {
        StepOutcome::Failed { failure } => Some(failure.message.as_str()),
        _ => None,
    });
    failed.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_background_agent_refuses_what_reaches_outside() {
    let mut place = Place::new([]);
    place.surroundings.background = true;
    for kind in ["program", "postgres"] {
        let mut step = step("out", "x", vec![]);
        step.action = Action::Connector { kind: kind.to_owned(), connection: None, settings: json!({}) };
        let report = place.run(order(vec![step])).await;
        let failure = failure_of(&report, "out");
        assert_eq!(failure.code, "background_agent_refuses");
        assert!(failure.message.contains(kind));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_that_quotes_a_huge_value_is_cut() {
    let place = Place::new([]);
    std::fs::write(place.files().join("orders.csv"), format!("id\n{}\n", "x".repeat(2 * 1024 * 1024))).unwrap();
    let mut cast = step("cast", "", from("orders"));
    cast.action = Action::Transform { sql: "select cast(id as bigint) as id from orders".to_owned() };
    let steps = vec![step("orders", "orders.csv", vec![]), cast, step("csv", "copy.csv", from("cast"))];
    let report = place.run(order(steps)).await;
    assert!(failure_of(&report, "cast").message.ends_with('…'), "{report:?}");
    assert!(cancelled_because(&report, "csv").contains("step `cast` failed"));
    assert!(serde_json::to_vec(&report).unwrap().len() < 4 * LINE_BYTES_MAX);
    assert!(place.lines.lock().unwrap().iter().all(|line| line.message.len() <= LINE_BYTES_MAX));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_of_a_later_server_fail_their_step_with_what_to_do() {
    let place = Place::new([]).orders(1);
    let mut dance = step("dance", "", vec![]);
    dance.action = serde_json::from_value(json!({"type": "dance", "tempo": 120})).unwrap();
    assert_eq!(failure_of(&place.run(order(vec![dance])).await, "dance").code, "agent_too_old");
    let via = serde_json::from_value(json!({"type": "pigeon"})).unwrap();
    let sink = step("csv", "copy.csv", vec![Inlet { from: "orders".to_owned(), via }]);
    let report = place.run(order(vec![step("orders", "orders.csv", vec![]), sink])).await;
    assert!(failure_of(&report, "csv").message.contains("update"), "{report:?}");
}
