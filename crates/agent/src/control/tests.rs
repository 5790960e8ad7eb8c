//! The agent against a scripted server, over queues.

use sallyport_connectors::Site;
use sallyport_dataplane::Transport;
use sallyport_protocol::{Action, Clock, Inlet, LogLevel, RunId, Secret, StepOrder, Ticket, Timestamp, Versions, Via};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::Egress;
use sallyport_dataplane::tunnel::Line;

use crate::execute::{BoxFuture, NoRelay, OpenData, OpenError};

const MAX: Duration = Duration::from_secs(20);

/// Streams whose other end says nothing: a step that reads one runs until it is cancelled.
#[derive(Default)]
struct Silent(std::sync::Mutex<Vec<Transport>>);

impl OpenData for Silent {
    fn open<'a>(&'a self, _ticket: &'a Ticket) -> BoxFuture<'a, Result<Transport, OpenError>> {
        let (ours, theirs) = Transport::pair();
        self.0.lock().unwrap().push(theirs);
        Box::pin(async { Ok(ours) })
    }

    fn line<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<Line, OpenError>> {
        NoRelay.line(ticket)
    }
}

struct Place {
    _folder: tempfile::TempDir,
    agent: Agent,
    levels: Arc<std::sync::Mutex<Vec<Levels>>>,
}

fn place() -> Place {
    place_with(Duration::from_secs(15))
}

fn place_with(answer_max: Duration) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let surroundings = Surroundings {
        site: Arc::new(Site { files_root: folder.path().to_owned(), ..Site::default() }),
        scratch_root: folder.path().join("work"),
        data: Arc::new(Silent::default()),
        log: Arc::new(|_| {}),
        transform_memory: 1024 * 1024,
        clock: Clock::system(),
        background: false,
        egress: Egress::unkept(),
        seal: None,
    };
    let identity = Identity {
        presence: Box::new(Presence::default),
        installation: InstallationId::new(),
        instance: InstanceId::new(),
        programs: vec!["shout".to_owned()],
        tunnels: true,
        seals: true,
    };
    let levels = Arc::default();
    let seen: Arc<std::sync::Mutex<Vec<Levels>>> = Arc::clone(&levels);
    let behaviour = Behaviour {
        answer_max,
        print_queue_events: false,
        on_levels: Box::new(move |levels| seen.lock().unwrap().push(levels)),
        on_tunnel: Box::new(|_| {}),
        on_online: Box::new(|_| {}),
    };
    Place { _folder: folder, agent: Agent::new(identity, surroundings, behaviour, None), levels }
}

/// The server's side of one session.
struct Server {
    end: ServerEnd,
}

impl Server {
    async fn say(&self, message: ServerToAgent) {
        self.end.to_agent.send(message).await.unwrap();
    }

    /// The next message that matters here.
    async fn hear(&mut self) -> AgentMessage {
        loop {
            let message = tokio::time::timeout(MAX, self.end.from_agent.recv()).await.expect("the agent is silent");
            match message.expect("the agent has left") {
                AgentMessage::Heartbeat { .. } | AgentMessage::Progress { .. } => {}
                other => return other,
            }
        }
    }

    /// Reads hello, says welcome; gives the attempts that the agent says it runs.
    async fn welcome(&mut self) -> Vec<AttemptKey> {
        let AgentMessage::Hello { running, versions, programs, .. } = self.hear().await else { panic!("no hello") };
        assert_eq!(versions.agree(&Versions::ours(&[])), Some(1));
        assert_eq!(programs, ["shout"]);
        self.say(ServerToAgent::Welcome {
            version: 1,
            name: "client-server".to_owned(),
            heartbeat_seconds: 60,
            server_time: Timestamp(0),
            levels: Levels { file: LogLevel::Debug, console: LogLevel::Error },
        })
        .await;
        running
    }
}

/// Runs one session against a script; the script's end closes the connection.
async fn session<F: Future<Output = ServerEnd>>(agent: &mut Agent, script: impl FnOnce(Server) -> F) -> SessionEnd {
    let (link, end) = Link::pair();
    let stop = CancellationToken::new();
    let script = script(Server { end });
    let both = async { tokio::join!(agent.session(link, &stop), async { drop(script.await) }).0 };
    tokio::time::timeout(MAX, both).await.unwrap()
}

fn order_of(step: StepOrder) -> WorkOrder {
    let key = AttemptKey { run: RunId::new(), pipeline: 0, attempt: 1, fence: 1 };
    WorkOrder {
        key,
        task: "t".to_owned(),
        steps: vec![step],
        incremental: None,
        resumes: false,
        who: "ada@example.com".to_owned(),
    }
}

fn step(path: &str, inputs: Vec<Inlet>) -> StepOrder {
    StepOrder {
        name: "csv".to_owned(),
        action: Action::Connector { kind: "file".to_owned(), connection: None, settings: json!({"path": path}) },
        inputs,
        outputs: Vec::new(),
        timeout_ms: None,
        through: None,
    }
}

/// Fails at once.
fn short() -> WorkOrder {
    order_of(step("missing.csv", Vec::new()))
}

/// Runs until it is cancelled.
fn long() -> WorkOrder {
    let ticket = Secret::new("t");
    order_of(step("out.csv", vec![Inlet { from: "orders".to_owned(), via: Via::Relay { ticket, peer: None } }]))
}

fn reason(report: &OrderReport) -> &str {
    match &report.steps[0].outcome {
        StepOutcome::Cancelled { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_executed_once_however_often_it_is_sent() {
    let mut place = place();
    let order = short();
    let key = order.key;
    session(&mut place.agent, |mut server| async move {
        assert!(server.welcome().await.is_empty());
        server.say(ServerToAgent::Start { order: order.clone() }).await;
        assert_eq!(server.hear().await, AgentMessage::Accepted { key });
        let AgentMessage::Finished { report } = server.hear().await else { panic!("not finished") };
        assert_eq!(report.key, key);
        server.say(ServerToAgent::FinishedAck { key }).await;
        server.say(ServerToAgent::Start { order }).await;
        assert_eq!(server.hear().await, AgentMessage::Finished { report }, "from memory, without a second execution");
        server.end
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_are_delivered_after_a_reconnect_until_they_are_stored() {
    let mut place = place();
    let order = long();
    let key = order.key;
    let started = order.clone();
    let end = session(&mut place.agent, |mut server| async move {
        server.welcome().await;
        server.say(ServerToAgent::Start { order: started }).await;
        assert_eq!(server.hear().await, AgentMessage::Accepted { key });
        server.end
    })
    .await;
    assert!(matches!(end, SessionEnd::Lost { online: true, .. }), "{end:?}");

    // The connection is gone, the order goes on; it ends while the server is away.
    let end = session(&mut place.agent, |mut server| async move {
        assert_eq!(server.welcome().await, [key]);
        server.say(ServerToAgent::Start { order }).await;
        assert_eq!(server.hear().await, AgentMessage::Accepted { key }, "it still runs");
        server.say(ServerToAgent::Cancel { key, reason: "cancelled by ann".to_owned() }).await;
        let AgentMessage::Finished { report } = server.hear().await else { panic!("not finished") };
        assert_eq!(reason(&report), "cancelled by ann");
        server.end
    })
    .await;
    assert!(matches!(end, SessionEnd::Lost { .. }));

    for _ in 0..2 {
        session(&mut place.agent, |mut server| async move {
            assert_eq!(server.welcome().await, [key], "not stored yet: it must not count as lost");
            let AgentMessage::Finished { report } = server.hear().await else { panic!("not repeated") };
            assert_eq!(report.key, key);
            server.end
        })
        .await;
    }
    session(&mut place.agent, |mut server| async move {
        server.welcome().await;
        server.hear().await;
        server.say(ServerToAgent::FinishedAck { key }).await;
        // The agent has read the acknowledgement once it answers what came after it.
        let next = short();
        server.say(ServerToAgent::Start { order: next.clone() }).await;
        assert_eq!(server.hear().await, AgentMessage::Accepted { key: next.key });
        server.end
    })
    .await;
    session(&mut place.agent, |mut server| async move {
        assert!(!server.welcome().await.contains(&key));
        server.end
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_ends_while_the_server_is_away_is_reported() {
    let mut place = place();
    let order = long();
    let key = order.key;
    session(&mut place.agent, |mut server| async move {
        server.welcome().await;
        server.say(ServerToAgent::Start { order }).await;
        server.hear().await;
        server.end
    })
    .await;
    place.agent.cancel_all("the machine is shutting down").await;
    session(&mut place.agent, |mut server| async move {
        assert_eq!(server.welcome().await, [key]);
        let AgentMessage::Finished { report } = server.hear().await else { panic!("not reported") };
        assert_eq!(reason(&report), "the machine is shutting down");
        server.end
    })
    .await;
}

/// A process with a journal in this folder.
fn place_with_journal(folder: &std::path::Path) -> Place {
    let place = place();
    Place { agent: place.agent.with_journal(Journal::open(&folder.join("journal"))), ..place }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_had_not_delivered_is_delivered_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let (ended, open) = (short(), long());
    let (ended_key, open_key) = (ended.key, open.key);
    let again = ended.clone();
    let mut place = place_with_journal(folder.path());
    let said = Arc::new(std::sync::Mutex::new(None));
    let heard = Arc::clone(&said);
    session(&mut place.agent, |mut server| async move {
        server.welcome().await;
        server.say(ServerToAgent::Start { order: open }).await;
        assert_eq!(server.hear().await, AgentMessage::Accepted { key: open_key });
        server.say(ServerToAgent::Start { order: ended }).await;
        assert_eq!(server.hear().await, AgentMessage::Accepted { key: ended_key });
        let AgentMessage::Finished { report } = server.hear().await else { panic!("not finished") };
        *heard.lock().unwrap() = Some(report);
        // The server dies before it has stored it; then the agent does.
        server.end
    })
    .await;
    drop(place);
    let report = said.lock().unwrap().take().unwrap();
    assert!(report.ended_at.is_some());

    let mut place = place_with_journal(folder.path());
    session(&mut place.agent, |mut server| async move {
        let mut running = server.welcome().await;
        running.sort();
        let mut expected = [ended_key, open_key];
        expected.sort();
        assert_eq!(running, expected, "neither may count as lost before its report");
        for _ in 0..2 {
            match server.hear().await {
                AgentMessage::Finished { report: told } if told.key == ended_key => assert_eq!(told, report),
                AgentMessage::Finished { report: told } => {
                    let StepOutcome::Failed { failure } = &told.steps[0].outcome else { panic!("{told:?}") };
                    assert_eq!((told.key, failure.kind), (open_key, FailureKind::AgentLost));
                }
                other => panic!("{other:?}"),
            }
        }
        server.say(ServerToAgent::Start { order: again }).await;
        assert!(
            matches!(server.hear().await, AgentMessage::Finished { report: told } if told == report),
            "executed again"
        );
        server.say(ServerToAgent::FinishedAck { key: ended_key }).await;
        server.say(ServerToAgent::FinishedAck { key: open_key }).await;
        let next = short();
        server.say(ServerToAgent::Start { order: next.clone() }).await;
        assert_eq!(server.hear().await, AgentMessage::Accepted { key: next.key });
        let AgentMessage::Finished { report } = server.hear().await else { panic!("not finished") };
        server.say(ServerToAgent::FinishedAck { key: report.key }).await;
        server.say(ServerToAgent::GoAway { spread_ms: 0 }).await;
        server.end.from_agent.recv().await;
        server.end
    })
    .await;
    place.agent.keep().await;
    drop(place);

    let mut place = place_with_journal(folder.path());
    session(&mut place.agent, |mut server| async move {
        assert!(server.welcome().await.is_empty(), "what the server has stored is told no more");
        server.end
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_cancels_reports_and_leaves() {
    let mut place = place();
    let order = long();
    let key = order.key;
    let end = session(&mut place.agent, |mut server| async move {
        server.welcome().await;
        server.say(ServerToAgent::Start { order }).await;
        assert_eq!(server.hear().await, AgentMessage::Accepted { key });
        server.say(ServerToAgent::Restart { reason: "asked by ann".to_owned() }).await;
        let AgentMessage::Finished { report } = server.hear().await else { panic!("not finished") };
        assert_eq!(reason(&report), "the agent was restarted: asked by ann");
        server.say(ServerToAgent::FinishedAck { key }).await;
        assert!(matches!(server.hear().await, AgentMessage::Leaving { .. }));
        server.end.from_agent.recv().await;
        server.end
    })
    .await;
    assert_eq!(end, SessionEnd::Restart { reason: "asked by ann".to_owned() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_and_ends_of_sessions_are_passed_on() {
    let mut place = place();
    let quiet = Levels { file: LogLevel::Warning, console: LogLevel::Fatal };
    let end = session(&mut place.agent, |mut server| async move {
        server.welcome().await;
        server.say(ServerToAgent::SetLevels { levels: quiet }).await;
        server.say(ServerToAgent::GoAway { spread_ms: 700 }).await;
        server.end.from_agent.recv().await;
        server.end
    })
    .await;
    assert_eq!(end, SessionEnd::GoAway { spread_ms: 700 });
    let seen = place.levels.lock().unwrap().clone();
    assert_eq!(seen, [Levels { file: LogLevel::Debug, console: LogLevel::Error }, quiet]);

    let refusal = Refusal {
        code: sallyport_protocol::RefusalCode::LicenceFull,
        message: "Max parallel agents 1 reached.".to_owned(),
        retry_after_seconds: None,
    };
    let told = refusal.clone();
    let end = session(&mut place.agent, |mut server| async move {
        assert!(matches!(server.hear().await, AgentMessage::Hello { .. }));
        server.say(ServerToAgent::Refused { refusal: told }).await;
        server.end.from_agent.recv().await;
        server.end
    })
    .await;
    assert_eq!(end, SessionEnd::Refused { refusal });
}

#[tokio::test]
async fn a_server_that_stops_answering_is_given_up() {
    let mut place = place_with(Duration::from_secs(1));
    let (link, end) = Link::pair();
    let stop = CancellationToken::new();
    let mut server = Server { end };
    let script = async {
        server.welcome().await;
        // Reads on, answers nothing.
        while server.end.from_agent.recv().await.is_some() {}
    };
    let both = async { tokio::join!(place.agent.session(link, &stop), script) };
    let (end, ()) = tokio::time::timeout(MAX, both).await.unwrap();
    let SessionEnd::Lost { why, online: true } = end else { panic!("{end:?}") };
    assert_eq!(why, "the server did not answer a heartbeat within 1 s");
}

#[test]
fn urgent_messages_overtake_and_newer_counts_replace_older() {
    let mut outbox = outbox::Outbox::default();
    let key = short().key;
    outbox.progress(key, Vec::new());
    outbox.progress(key, vec![("csv".to_owned(), Default::default())]);
    outbox.heartbeat(AgentMessage::Heartbeat { seq: 1, said_at: Timestamp(0) });
    outbox.heartbeat(AgentMessage::Heartbeat { seq: 2, said_at: Timestamp(0) });
    outbox.command(AgentMessage::Accepted { key });
    assert_eq!(outbox.len(), 3);
    assert_eq!(outbox.next(), Some(AgentMessage::Accepted { key }));
    assert_eq!(outbox.next(), Some(AgentMessage::Heartbeat { seq: 2, said_at: Timestamp(0) }));
    assert!(matches!(outbox.next(), Some(AgentMessage::Progress { steps, .. }) if steps.len() == 1));
    assert!(outbox.is_empty() && outbox.next().is_none());
}

#[test]
fn heartbeats_measure_the_clocks_and_tell_gaps() {
    let seconds = |n| Duration::from_secs(n);
    let now = |n: i64| Timestamp(n * 1_000_000);
    let mut heartbeat = heartbeat::Heartbeat::default();
    heartbeat.begin(seconds(60), seconds(10));
    assert_eq!(heartbeat.due(seconds(10), now(1000)), Some(1));
    assert_eq!(heartbeat.due(seconds(80), now(1070)), None, "the last one is not answered");
    assert_eq!(heartbeat.unanswered(seconds(14)), Some(seconds(4)));
    let measured = heartbeat.answered(1, now(1101), seconds(12)).unwrap();
    assert_eq!((measured.round_trip, measured.offset_ms, measured.warn), (seconds(2), 100_000, true));
    assert_eq!(heartbeat.due(seconds(70), now(1060)), Some(2));
    assert!(!heartbeat.answered(2, now(1160), seconds(70)).unwrap().warn, "said once");
    assert_eq!(heartbeat.tick(seconds(100), now(1090)), None);
    assert_eq!(heartbeat.tick(seconds(101), now(1091)), None);
    assert_eq!(heartbeat.tick(seconds(131), now(1121)).unwrap().0, seconds(30));
    assert!(heartbeat.tick(seconds(132), now(2122)).unwrap().1.contains("slept"));
}
