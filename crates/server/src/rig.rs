//! For tests: the live side of a server inside the process, reached over real sockets, and agents that follow a script.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use sallyport_domain::licence::Tier;
use sallyport_domain::run::Taken;
use sallyport_protocol::{
    AgentId, AgentMessage, AttemptKey, Clock, Descriptor, EnvironmentId, InstallationId, InstanceId, Levels,
    OrderReport, Origin, Presence, Reach, RunId, ServerToAgent, StepCounts, StepOutcome, StepReport, Timestamp,
    Versions, WorkOrder, capability, path,
};
use sallyport_store::{First, NewAgent, NewTask, Run, Started, Store, Task};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::{Reads, Rerun, StartError, StartRun};
use crate::relay::Relay;
use crate::secrets::Secrets;
use crate::{engine, gateway, outbox, schedule};

/// No wait in these tests is longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A server on a loopback port.
pub(crate) struct Rig {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) engine: engine::Handle,
    pub(crate) schedule: schedule::Handle,
    pub(crate) gateway: gateway::Handle,
    pub(crate) relay: Relay,
    pub(crate) stop: CancellationToken,
    pub(crate) environment: EnvironmentId,
    address: SocketAddr,
    folder: Arc<TempDir>,
    server: JoinSet<()>,
}

/// What an agent logs in with.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) agent: AgentId,
    pub(crate) password: String,
}

/// One end of a WebSocket.
pub(crate) type Socket = WebSocketStream<TcpStream>;

/// An agent that says what the test wants.
pub(crate) struct Scripted {
    pub(crate) socket: Socket,
    /// What came while an acknowledgement was waited for.
    early: VecDeque<ServerToAgent>,
}

impl Rig {
    /// With this many agents allowed, and agents given up after this long.
    pub(crate) async fn start(tier: Tier, grace: Duration) -> Self {
        let rig = Self::open(Arc::new(tempfile::tempdir().unwrap()), grace).await;
        rig.store.set_tier(None, tier).await.unwrap();
        rig
    }

    /// As after `kill -9`: nothing is said goodbye to, the same data is opened by a new process.
    pub(crate) async fn killed_and_started(mut self, grace: Duration) -> Self {
        self.server.shutdown().await;
        // From here on the old process stores nothing.
        self.store.close().await;
        self.stop.cancel();
        Self::open(Arc::clone(&self.folder), grace).await
    }

    async fn open(folder: Arc<TempDir>, grace: Duration) -> Self {
        let store = Store::open(&folder.path().join("sallyport.db")).unwrap();
        let clock = Clock::system();
        let (company, environment) = ("Acme".to_owned(), "production".to_owned());
        let first = First { company, environment, administrator: "admin".into(), now: clock.now() };
        store.initialise(first).await.unwrap();
        store.clear_sessions("rig").await.unwrap();
        let company = store.all_companies().await.unwrap().remove(0);
        let environment = store.environment(company.id, None).await.unwrap().id;
        outbox::register(&store).await.unwrap();
        let (news, _) = watch::channel(());
        let (relay, tasks, stop) = (Relay::new(key()), TaskTracker::new(), CancellationToken::new());
        let catalog = Arc::new(vec![
            descriptor("plain", Origin::BuiltIn, Reach::Files),
            descriptor("foreign", Origin::ThirdParty, Reach::Programs),
        ]);
        let parts = engine::Parts {
            store: store.clone(),
            clock: clock.clone(),
            knowledge: Arc::new(engine::Knowledge::new(store.clone(), Arc::clone(&catalog))),
            catalog,
            relay: relay.clone(),
            open_secrets: Arc::new(|_| Ok(BTreeMap::new())),
            reconnect_grace: grace,
            news: news.clone(),
        };
        let engine = engine::Handle::start(parts, &tasks, stop.clone(), CancellationToken::new()).await.unwrap();
        let scheduled = schedule::Parts { store: store.clone(), clock: clock.clone(), engine: engine.clone(), news };
        let schedule = schedule::Handle::start(scheduled, &tasks, &stop);
        let gateway = gateway::Handle::new(gateway::Parts {
            store: store.clone(),
            clock: clock.clone(),
            engine: engine.clone(),
            relay: relay.clone(),
            tunnels: crate::tunnel::Tunnels::new(tasks.clone(), stop.clone()),
            hash_credential: Arc::new(|password| password.as_bytes().to_vec()),
            heartbeat_seconds: 60,
            replica: "rig".into(),
            tasks,
            stop: stop.clone(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = gateway::routes(gateway.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { store, clock, engine, schedule, gateway, relay, stop, environment, address, folder, server }
    }

    /// Makes an agent with credentials.
    pub(crate) async fn agent(&self, name: &str) -> Login {
        let now = self.clock.now();
        let new = NewAgent { name: name.into(), levels: Levels::default(), platform: None, now };
        let agent = self.store.create_agent(self.environment, new).await.unwrap().id;
        let password = format!("password of {name}");
        let hash = password.as_bytes().to_vec();
        self.store.issue_credential(self.environment, agent, (hash, None), false, now).await.unwrap();
        Login { agent, password }
    }

    /// Saves a task.
    pub(crate) async fn task(&self, document: &str) -> Task {
        self.store.create_task(self.environment, self.new_task(document)).await.unwrap()
    }

    /// A task as it would be saved.
    pub(crate) fn new_task(&self, document: &str) -> NewTask {
        let parsed = sallyport_domain::task::parse(document).unwrap();
        NewTask {
            name: parsed.task.clone(),
            active: parsed.active,
            document: document.into(),
            parsed: serde_json::to_value(&parsed).unwrap(),
            triggers: schedule::saved(&parsed, self.clock.now()).unwrap(),
            author: "test".into(),
            now: self.clock.now(),
        }
    }

    /// Saves a new version of a task.
    pub(crate) async fn change(&self, task: &Task, document: &str) {
        let new = self.new_task(document);
        self.store.edit_task(self.environment, task.id, None, new).await.unwrap();
    }

    /// Starts a run.
    pub(crate) async fn run(&self, task: &Task) -> RunId {
        self.run_once(task, None).await
    }

    /// Starts a run once for a key.
    pub(crate) async fn run_once(&self, task: &Task, key: Option<&str>) -> RunId {
        let start = StartRun { key: key.map(Into::into), ..self.start_of(task) };
        self.engine.start_run(start).await.unwrap().run.id
    }

    /// Starts a run with parameters.
    pub(crate) async fn run_with(&self, task: &Task, parameters: &serde_json::Value) -> Result<Started, StartError> {
        let parameters = parameters.as_object().cloned().unwrap();
        self.engine.start_run(StartRun { parameters, ..self.start_of(task) }).await
    }

    /// Runs again what a run did, without what it has done already.
    pub(crate) async fn again(&self, old: &Run, taken: BTreeMap<String, Taken>) -> Run {
        let rerun = Rerun { of: old.id, task_version: old.task_version, taken };
        let task = self.store.task(self.environment, &old.task.to_string()).await.unwrap();
        let start = StartRun { rerun: Some(rerun), ..self.start_of(&task) };
        self.engine.start_run(start).await.unwrap().run
    }

    fn start_of(&self, task: &Task) -> StartRun {
        StartRun {
            environment: self.environment,
            task: task.id,
            trigger: "api".into(),
            who: "test".into(),
            key: None,
            priority: None,
            parameters: serde_json::Map::new(),
            rerun: None,
            fired: None,
            reads: Reads::New,
            caller: None,
        }
    }

    /// Waits until the run is in this state.
    pub(crate) async fn until(&self, run: RunId, state: &str) -> Run {
        let mut live = self.engine.live(run);
        let waiting = async {
            loop {
                let found = self.store.run(self.environment, run).await.unwrap();
                if found.state == state {
                    return found;
                }
                live.changed().await;
            }
        };
        match tokio::time::timeout(DEADLINE, waiting).await {
            Ok(run) => run,
            Err(_) => panic!("{run} is not {state}: {:?}", self.store.run(self.environment, run).await),
        }
    }

    /// Dials a path; the error carries status and body.
    pub(crate) async fn dial(&self, path: &str, login: &Login) -> Result<Socket, (u16, String)> {
        let text = format!("{}:{}", login.agent.uuid(), login.password);
        let basic = base64::engine::general_purpose::STANDARD.encode(text);
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Basic {basic}").parse().unwrap());
        let stream = TcpStream::connect(self.address).await.unwrap();
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(socket),
            Err(SocketError::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8(body).unwrap()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Dials in and says hello; what comes first is the welcome or a refusal.
    pub(crate) async fn hello(&self, login: &Login, instance: InstanceId, running: Vec<AttemptKey>) -> Scripted {
        self.greeted(login, &hello(instance, running)).await
    }

    /// Dials in and says this first.
    pub(crate) async fn greeted(&self, login: &Login, hello: &AgentMessage) -> Scripted {
        let socket = self.dial(path::AGENT, login).await.unwrap();
        let mut agent = Scripted { socket, early: VecDeque::new() };
        agent.say(hello).await;
        agent
    }

    /// An agent that is online.
    pub(crate) async fn online(&self, login: &Login, running: Vec<AttemptKey>) -> Scripted {
        let mut agent = self.hello(login, InstanceId::new(), running).await;
        match agent.next().await {
            ServerToAgent::Welcome { .. } => agent,
            other => panic!("{other:?}"),
        }
    }
}

impl Scripted {
    pub(crate) async fn say(&mut self, message: &AgentMessage) {
        say(&mut self.socket, message).await;
    }

    /// The next message of the server.
    pub(crate) async fn next(&mut self) -> ServerToAgent {
        match self.early.pop_front() {
            Some(message) => message,
            None => hear(&mut self.socket).await,
        }
    }

    /// Takes the next order.
    pub(crate) async fn order(&mut self) -> WorkOrder {
        match self.next().await {
            ServerToAgent::Start { order } => {
                self.say(&AgentMessage::Accepted { key: order.key }).await;
                order
            }
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the order to stop an attempt.
    pub(crate) async fn cancel(&mut self) -> (AttemptKey, String) {
        match self.next().await {
            ServerToAgent::Cancel { key, reason } => (key, reason),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the server ends the connection, without another word.
    pub(crate) async fn until_closed(&mut self) {
        loop {
            match tokio::time::timeout(DEADLINE, self.socket.next()).await.unwrap() {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(other)) => panic!("{other:?}"),
            }
        }
    }

    /// Ends an order, every step alike, and waits for the acknowledgement.
    pub(crate) async fn finish(&mut self, order: &WorkOrder, outcome: StepOutcome) {
        self.say(&AgentMessage::Finished { report: report(order, &outcome) }).await;
        loop {
            match hear(&mut self.socket).await {
                ServerToAgent::FinishedAck { key } => return assert_eq!(key, order.key),
                other => self.early.push_back(other),
            }
        }
    }
}

/// Sends a message.
pub(crate) async fn say<T: Serialize>(socket: &mut Socket, message: &T) {
    socket.send(Message::text(serde_json::to_string(message).unwrap())).await.unwrap();
}

/// The next text message.
pub(crate) async fn hear<T: DeserializeOwned>(socket: &mut Socket) -> T {
    loop {
        match tokio::time::timeout(DEADLINE, socket.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => return serde_json::from_str(text.as_str()).unwrap(),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Every step of an order ended alike, with ten rows each.
/// A secret key of its own.
pub(crate) fn key() -> Arc<Secrets> {
    Arc::new(Secrets::from_key(&Secrets::new_key().unwrap()).unwrap())
}

pub(crate) fn report(order: &WorkOrder, outcome: &StepOutcome) -> OrderReport {
    let steps = order.steps.iter().map(|step| StepReport {
        step: step.name.clone(),
        outcome: outcome.clone(),
        counts: StepCounts { rows_in: 10, rows_out: 10, bytes: 100, rows_rejected: 0 },
        already_committed: false,
        committed: None,
    });
    OrderReport { key: order.key, steps: steps.collect(), ended_at: None }
}

/// The first message of an agent.
pub(crate) fn hello(instance: InstanceId, running: Vec<AttemptKey>) -> AgentMessage {
    AgentMessage::Hello {
        versions: Versions::ours(&[capability::CHECKPOINT]),
        presence: presence("machine", 4711),
        installation: InstallationId::new(),
        instance,
        running,
        programs: Vec::new(),
    }
}

/// A process on a machine.
pub(crate) fn presence(machine: &str, process_id: u32) -> Presence {
    Presence {
        machine_name: machine.into(),
        directory: format!("/opt/{machine}"),
        process_id,
        said_at: Timestamp(0),
        ..Presence::default()
    }
}

fn descriptor(kind: &str, origin: Origin, reach: Reach) -> Descriptor {
    Descriptor {
        kind: kind.into(),
        title: kind.into(),
        summary: String::new(),
        origin,
        reach,
        promise: None,
        needs_connection: false,
        connection_schema: None,
        secrets: Vec::new(),
        read_schema: Some(serde_json::json!({})),
        write_schema: Some(serde_json::json!({})),
    }
}
