//! Many agents in one process: each has a connection of its own, takes every order and reports its end at once.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use sallyport_e2e::{Server, within};
use sallyport_protocol::{
    AgentMessage, Clock, InstallationId, InstanceId, OrderReport, Presence, ServerToAgent, StepCounts, StepOutcome,
    StepReport, Timestamp, Versions, WorkOrder, capability, path,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Message, handshake::client::Request};

use super::asking::{Asked, StartTimes, waits};

/// Signs of life; the server asks for no more.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(20);

type Socket = WebSocketStream<TlsStream<TcpStream>>;
type Starts = Arc<Mutex<HashMap<String, Timestamp>>>;

/// Agents that are online while it lives.
pub(crate) struct Crowd {
    starts: Starts,
    _runtime: Runtime,
}

impl Crowd {
    /// Makes the agents and connects them.
    pub(crate) fn gather(server: &Server, names: &[String]) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let tls = tls(server)?;
        let starts = Starts::default();
        for name in names {
            server.api.post("/api/v1/agents", &json!({"name": name}))?;
            let zip = server.api.download(&format!("/api/v1/agents/{name}/download?policy=permissive"))?;
            let request = request(server.port(), &zip)?;
            let socket = runtime.block_on(connect(server.port(), tls.clone(), request));
            let socket = socket.with_context(|| format!("connecting {name}"))?;
            let starts = Arc::clone(&starts);
            let name = name.clone();
            runtime.spawn(async move {
                if let Err(error) = work(socket, &starts).await {
                    eprintln!("the simulated agent {name} has ended: {error:#}");
                }
            });
        }
        within(Duration::from_secs(60), "the agents to be online", || {
            let counts = server.api.get("/api/v1/agents-status")?;
            let online = counts["online"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
            Ok((online >= names.len()).then_some(()))
        })?;
        Ok(Self { starts, _runtime: runtime })
    }
}

impl StartTimes for Crowd {
    fn waits(&self, asked: &[Asked]) -> Result<Vec<Duration>> {
        let starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        waits(asked, &starts).context("a run has ended that has not started")
    }
}

/// Trusts the server's own CA alone.
fn tls(server: &Server) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(server.ca())? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}

/// The upgrade, with the login that the download holds.
fn request(port: u16, zip: &[u8]) -> Result<Request> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(zip))?;
    let mut text = String::new();
    archive.by_name("appsettings.json")?.read_to_string(&mut text)?;
    let settings: Value = serde_json::from_str(&text)?;
    let word = |name: &str| settings["Settings"][name].as_str().with_context(|| format!("the settings have no {name}"));
    let login = format!("{}:{}", word("Username")?, word("Password")?);
    let login = base64::engine::general_purpose::STANDARD.encode(login);
    let mut request = format!("wss://localhost:{port}{}", path::AGENT).into_client_request()?;
    request.headers_mut().insert("authorization", format!("Basic {login}").parse()?);
    Ok(request)
}

async fn connect(port: u16, tls: TlsConnector, request: Request) -> Result<Socket> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let stream = tls.connect(ServerName::try_from("localhost")?, stream).await?;
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await?;
    let hello = AgentMessage::Hello {
        versions: Versions::ours(&[capability::CHECKPOINT, capability::DATA]),
        presence: Presence {
            machine_name: "simulated".to_owned(),
            directory: "/simulated".to_owned(),
            process_id: std::process::id(),
            ..Presence::default()
        },
        installation: InstallationId::new(),
        instance: InstanceId::new(),
        running: Vec::new(),
        programs: Vec::new(),
    };
    socket.send(text(&hello)?).await?;
    match next(&mut socket).await? {
        Some(ServerToAgent::Welcome { .. }) => Ok(socket),
        other => bail!("the server said {other:?} instead of a welcome"),
    }
}

async fn work(mut socket: Socket, starts: &Starts) -> Result<()> {
    let clock = Clock::system();
    let mut heartbeat = tokio::time::interval(HEARTBEAT_EVERY);
    let mut seq = 0;
    loop {
        let said = tokio::select! {
            said = next(&mut socket) => said?,
            _ = heartbeat.tick() => {
                seq += 1;
                socket.send(text(&AgentMessage::Heartbeat { seq, said_at: clock.now() })?).await?;
                continue;
            }
        };
        match said {
            Some(ServerToAgent::Start { order }) => {
                let now = clock.now();
                starts.lock().unwrap_or_else(PoisonError::into_inner).insert(order.key.run.to_string(), now);
                socket.feed(text(&AgentMessage::Accepted { key: order.key })?).await?;
                socket.send(text(&AgentMessage::Finished { report: well(&order) })?).await?;
            }
            Some(ServerToAgent::GoAway { .. }) | None => return Ok(()),
            Some(_) => {}
        }
    }
}

fn well(order: &WorkOrder) -> OrderReport {
    let steps = order.steps.iter().map(|step| StepReport {
        step: step.name.clone(),
        outcome: StepOutcome::Succeeded,
        counts: StepCounts::default(),
        already_committed: false,
        committed: None,
    });
    OrderReport { key: order.key, steps: steps.collect(), ended_at: None }
}

/// What the server says next; nothing when the connection has ended.
async fn next(socket: &mut Socket) -> Result<Option<ServerToAgent>> {
    while let Some(message) = socket.next().await {
        match message? {
            Message::Text(text) => return Ok(Some(serde_json::from_str(&text)?)),
            Message::Close(_) => return Ok(None),
            _ => {}
        }
    }
    Ok(None)
}

fn text(message: &AgentMessage) -> Result<Message> {
    Ok(Message::Text(serde_json::to_string(message)?.into()))
}
