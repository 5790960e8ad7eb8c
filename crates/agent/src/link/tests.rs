//! The agent's connections against a server of a few lines: real sockets, real TLS.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use futures_util::{SinkExt, StreamExt};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use sallyport_dataplane::edge;
use sallyport_dataplane::stream::{self, Ending};
use sallyport_protocol::{AgentMessage, DataReply, DataRequest, LogBatch, RefusalCode, Secret, ServerToAgent, path};
use sallyport_site::dial::{Dialer, NoProxy};
use sallyport_site::tls;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_util::task::TaskTracker;

use super::*;
use crate::Link;

const MAX: Duration = Duration::from_secs(20);

pub(crate) type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Accepts WebSockets of the right login and gives them with their path.
pub(crate) struct Fake {
    port: u16,
    pub(crate) ca: String,
    sockets: mpsc::Receiver<(String, Socket)>,
    tasks: TaskTracker,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (accepted, sockets) = mpsc::channel(16);
        let tasks = TaskTracker::new();
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Some(socket) = accept(&acceptor, stream).await
                    && accepted.send(socket).await.is_err()
                {
                    return;
                }
            }
        });
        Self { port, ca: certified.cert.pem(), sockets, tasks }
    }

    pub(crate) fn client(&self, password: &str, ca: &str) -> Arc<Server> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server-ca.pem");
        std::fs::write(&file, ca).unwrap();
        let dialer = Dialer::new(None, NoProxy::default(), Duration::from_secs(5));
        let address = format!("https://localhost:{}", self.port).parse().unwrap();
        let tls = tls::client_config(&file).unwrap();
        Arc::new(Server::new(address, dialer, tls, "b10db7c4", &Secret::new(password)))
    }

    pub(crate) async fn next(&mut self) -> (String, Socket) {
        tokio::time::timeout(MAX, self.sockets.recv()).await.unwrap().unwrap()
    }
}

async fn accept(acceptor: &TlsAcceptor, stream: TcpStream) -> Option<(String, Socket)> {
    let stream = acceptor.accept(stream).await.ok()?;
    let mut asked = String::new();
    #[expect(clippy::result_large_err, reason = "the library's shape")]
    let check = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        asked = request.uri().path().to_owned();
        let login = sallyport_site::login::basic("b10db7c4", &Secret::new("right"));
        if request.headers()["authorization"].to_str().unwrap() == login.expose() {
            return Ok(response);
        }
        let body = r#"{"status":401,"refusal":{"code":"revoked_credentials","message":"the password was rotated"}}"#;
        let mut refused = ErrorResponse::new(Some(body.to_owned()));
        *refused.status_mut() = http::StatusCode::UNAUTHORIZED;
        let length = body.len().to_string().parse().unwrap();
        refused.headers_mut().insert("content-length", length);
        Err(refused)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, check).await.ok()?;
    Some((asked, socket))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_messages_pass_both_ways_and_the_end_is_explained() {
    let mut fake = Fake::start().await;
    let client = fake.client("right", &fake.ca);
    let (control, served) = tokio::join!(client.control(), fake.next());
    let (asked, mut socket) = served;
    assert_eq!(asked, path::AGENT);
    let (mut link, end) = Link::pair();
    let carrying = fake.tasks.spawn(carry(control.unwrap(), end, true));
    link.to_server.send(AgentMessage::Logs { batch: LogBatch::default() }).await.unwrap();
    let text = tokio::time::timeout(MAX, socket.next()).await.unwrap().unwrap().unwrap().into_text().unwrap();
    assert_eq!(serde_json::from_str::<AgentMessage>(&text).unwrap(), AgentMessage::Logs { batch: LogBatch::default() });
    let away = ServerToAgent::GoAway { spread_ms: 5 };
    socket.send(Message::Text(serde_json::to_string(&away).unwrap().into())).await.unwrap();
    assert_eq!(tokio::time::timeout(MAX, link.from_server.recv()).await.unwrap(), Some(away));
    drop(socket);
    let why = tokio::time::timeout(MAX, carrying).await.unwrap().unwrap();
    assert!(why.starts_with("the connection broke") || why.starts_with("the server closed"), "{why}");
    assert_eq!(link.from_server.recv().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_logins_and_wrong_authorities_are_told_apart() {
    let fake = Fake::start().await;
    let Err(DialError::Refused(refusal)) = fake.client("old", &fake.ca).control().await else { panic!("let in") };
    assert_eq!((refusal.code, refusal.message.as_str()), (RefusalCode::RevokedCredentials, "the password was rotated"));

    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem();
    let Err(DialError::Network { word, message, .. }) = fake.client("right", &other).control().await else {
        panic!("trusted")
    };
    assert_eq!(word, "tls_unknown_authority");
    assert!(message.contains("server-ca.pem"), "{message}");

    let closed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
    let fake = Fake { port: closed, ..fake };
    let Err(DialError::Network { word, .. }) = fake.client("right", &fake.ca).control().await else { panic!("open") };
    assert_eq!(word, "refused");
}

/// Joins the sockets of one ticket, as the relay does.
async fn relay(mut fake: Fake, mut refuse: usize) {
    let mut waiting: HashMap<String, Socket> = HashMap::new();
    let tasks = fake.tasks.clone();
    while let Some((asked, mut socket)) = fake.sockets.recv().await {
        assert_eq!(asked, path::DATA);
        let Some(Ok(Message::Text(text))) = socket.next().await else { continue };
        let DataRequest::Attach { ticket } = serde_json::from_str(&text).unwrap();
        if refuse > 0 {
            refuse -= 1;
            let refusal = sallyport_protocol::Refusal {
                code: RefusalCode::Other,
                message: "the ticket is too late".to_owned(),
                retry_after_seconds: None,
            };
            let reply = serde_json::to_string(&DataReply::Refused { refusal }).unwrap();
            socket.send(Message::Text(reply.into())).await.unwrap();
            continue;
        }
        let Some(mut other) = waiting.remove(ticket.expose()) else {
            waiting.insert(ticket.expose().to_owned(), socket);
            continue;
        };
        for socket in [&mut socket, &mut other] {
            let reply = serde_json::to_string(&DataReply::Ready).unwrap();
            socket.send(Message::Text(reply.into())).await.unwrap();
        }
        tasks.spawn(async move {
            let ((mut to_left, from_left), (mut to_right, from_right)) = (socket.split(), other.split());
            let left = async {
                let _ = from_left.forward(&mut to_right).await;
            };
            let right = async {
                let _ = from_right.forward(&mut to_left).await;
            };
            tokio::join!(left, right)
        });
    }
}

fn batch() -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..256 * 1024));
    RecordBatch::try_from_iter([("n", column)]).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_crosses_two_data_connections() {
    let fake = Fake::start().await;
    let pools = [Pool::new(fake.client("right", &fake.ca)), Pool::new(fake.client("right", &fake.ca))];
    let tasks = fake.tasks.clone();
    let relaying = tasks.spawn(relay(fake, 0));
    let ticket = Secret::new("t1");
    let [left, right] = pools.each_ref().map(Pool::opener);
    let opened = async { tokio::join!(left.open(&ticket), right.open(&ticket)) };
    let (left, right) = tokio::time::timeout(MAX, opened).await.unwrap();
    let (producer, to_send) = edge();
    let (received, mut input) = edge();
    let giving = async move {
        producer.start(batch().schema()).await.unwrap();
        for _ in 0..32 {
            producer.send(batch()).await.unwrap();
        }
        producer.finish().await.unwrap();
    };
    let taking = async move {
        let mut rows = 0;
        while let Some(batch) = input.next_batch_async().await.unwrap() {
            rows += batch.num_rows();
        }
        rows
    };
    let ending = Ending::default();
    let pumps = async {
        tokio::join!(stream::send(to_send, left.unwrap(), &ending), stream::receive(received, right.unwrap(), &ending))
    };
    let all = async { tokio::join!(giving, taking, pumps) };
    let ((), rows, (sent, got)) = tokio::time::timeout(MAX, all).await.unwrap();
    assert_eq!(rows, 32 * 256 * 1024);
    assert_eq!(sent.unwrap(), got.unwrap());
    relaying.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_ticket_says_why() {
    let fake = Fake::start().await;
    let pool = Pool::new(fake.client("right", &fake.ca));
    let tasks = fake.tasks.clone();
    let relaying = tasks.spawn(relay(fake, 1));
    let opener = pool.opener();
    let ticket = Secret::new("t1");
    let error = tokio::time::timeout(MAX, opener.open(&ticket)).await.unwrap().unwrap_err();
    assert_eq!(error.message, "the ticket is too late");
    relaying.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_connections_are_kept_ready_while_online() {
    let mut fake = Fake::start().await;
    let pool = Arc::new(Pool::new(fake.client("right", &fake.ca)));
    let (online, is_online) = watch::channel(false);
    let keeper = Arc::clone(&pool);
    let keeping = fake.tasks.spawn(async move { keeper.keep_warm(is_online).await });
    online.send_replace(true);
    let (_, first) = fake.next().await;
    let (_, mut second) = fake.next().await;
    // A connection that dies is replaced.
    drop(first);
    let (_, third) = fake.next().await;
    let sockets = Arc::new(Mutex::new(vec![third]));
    // Offline, what waits is closed.
    online.send_replace(false);
    let closed = tokio::time::timeout(MAX, async { while let Some(Ok(_)) = second.next().await {} }).await;
    assert!(closed.is_ok());
    drop(sockets);
    keeping.abort();
    pool.close().await;
}
