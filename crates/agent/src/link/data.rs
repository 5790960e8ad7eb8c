//! Data connections: a few are opened ahead and wait, so that a stream costs one round trip and no handshake.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use sallyport_dataplane::tunnel::Line;
use sallyport_dataplane::{Message as Part, Transport, stream};
use sallyport_protocol::{DataReply, DataRequest, Ticket, event, path};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::dial::{DialError, Server, Socket};
use super::{DATA_SILENCE_MAX, PING_EVERY, SILENCE_MAX};
use crate::execute::{BoxFuture, OpenData, OpenError, Remedy};

/// Connections kept ready.
const WARM: usize = 2;

/// How long the other agent may take to attach its end.
const ATTACH_MAX: Duration = Duration::from_secs(120);

/// How long to wait after a connection that could not be opened ahead.
const REFILL_PAUSE: Duration = Duration::from_secs(15);

/// How long the last messages may take.
const GOODBYE_MAX: Duration = Duration::from_secs(10);

/// Large: a data connection is there to be fast.
const BUFFER_BYTES: usize = 128 * 1024;

/// Opens data connections; keeps some ready while the agent is online.
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    server: Arc<Server>,
    idle: Mutex<VecDeque<Idle>>,
    changed: Notify,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The handle of a connection that waits in its task.
struct Idle {
    ask: oneshot::Sender<Ask>,
}

struct Ask {
    ticket: Ticket,
    answer: oneshot::Sender<Result<Transport, Attach>>,
}

/// Why a connection did not attach.
enum Attach {
    /// It had died while it waited; another may do.
    Stale,
    /// The stream does not come about.
    Failed(OpenError),
}

impl Pool {
    /// Opens nothing yet.
    pub fn new(server: Arc<Server>) -> Self {
        let shared = Shared {
            server,
            idle: Mutex::default(),
            changed: Notify::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What orders open their streams with.
    pub fn opener(&self) -> Arc<dyn OpenData> {
        Arc::new(Opener(Arc::clone(&self.shared)))
    }

    /// Keeps connections ready while `online` is true; never returns.
    pub async fn keep_warm(&self, mut online: watch::Receiver<bool>) {
        loop {
            if online.wait_for(|online| *online).await.is_err() {
                return std::future::pending().await;
            }
            if self.shared.waiting() < WARM
                && let Err(error) = self.shared.add_idle().await
            {
                debug!(error = %error, "a data connection could not be opened ahead");
                tokio::time::sleep(REFILL_PAUSE).await;
                continue;
            }
            if self.shared.waiting() >= WARM {
                tokio::select! {
                    () = self.shared.changed.notified() => {}
                    _ = online.changed() => {}
                }
                if !*online.borrow() {
                    self.shared.drop_idle();
                }
            }
        }
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.shared.stop.cancel();
        self.shared.drop_idle();
        self.shared.tasks.close();
        let _ = timeout(Duration::from_secs(1), self.shared.tasks.wait()).await;
    }
}

/// Gives streams their connections.
struct Opener(Arc<Shared>);

impl OpenData for Opener {
    fn open<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<Transport, OpenError>> {
        Box::pin(self.0.open(ticket))
    }

    fn line<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<Line, OpenError>> {
        Box::pin(async move { Ok(self.0.server.line(path::THROUGH, Some(ticket)).await?) })
    }
}

impl From<DialError> for OpenError {
    fn from(error: DialError) -> Self {
        let remedy = match &error {
            DialError::Network { .. } => Remedy::Again,
            DialError::Refused(refusal) => refusal.code.into(),
        };
        Self { message: error.to_string(), remedy }
    }
}

impl Shared {
    /// Takes a waiting connection, or dials.
    async fn open(self: &Arc<Self>, ticket: &Ticket) -> Result<Transport, OpenError> {
        while let Some(idle) = self.take_idle() {
            match attach(idle, ticket).await {
                Ok(transport) => return Ok(transport),
                Err(Attach::Failed(error)) => return Err(error),
                Err(Attach::Stale) => {}
            }
        }
        let idle = self.connect().await?;
        match attach(idle, ticket).await {
            Ok(transport) => Ok(transport),
            Err(Attach::Failed(error)) => Err(error),
            Err(Attach::Stale) => {
                let message = "the server closed the data connection at once".to_owned();
                Err(OpenError { message, remedy: Remedy::Again })
            }
        }
    }

    fn waiting(&self) -> usize {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| !idle.ask.is_closed());
        idle.len()
    }

    fn take_idle(&self) -> Option<Idle> {
        let taken = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        self.changed.notify_one();
        taken
    }

    fn drop_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn add_idle(self: &Arc<Self>) -> Result<(), DialError> {
        let idle = self.connect().await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push_back(idle);
        Ok(())
    }

    async fn connect(self: &Arc<Self>) -> Result<Idle, DialError> {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_write_buffer_size(BUFFER_BYTES + 4 * stream::MESSAGE_BYTES_MAX)
            .max_message_size(Some(2 * stream::MESSAGE_BYTES_MAX))
            .max_frame_size(Some(2 * stream::MESSAGE_BYTES_MAX));
        let (socket, _) = self.server.open(path::DATA, config).await?;
        debug!(event = event::TUNNEL_CREATED, "data connection opened");
        let (ask, asked) = oneshot::channel();
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                () = live(socket, asked) => {}
                () = shared.stop.cancelled() => {}
            }
            shared.changed.notify_one();
        });
        Ok(Idle { ask })
    }
}

async fn attach(idle: Idle, ticket: &Ticket) -> Result<Transport, Attach> {
    let (answer, answered) = oneshot::channel();
    idle.ask.send(Ask { ticket: ticket.clone(), answer }).map_err(|_| Attach::Stale)?;
    answered.await.unwrap_or(Err(Attach::Stale))
}

/// The life of one connection: it waits, attaches, carries one stream, and closes.
async fn live(mut socket: Socket, mut asked: oneshot::Receiver<Ask>) {
    let ask = loop {
        tokio::select! {
            ask = &mut asked => match ask {
                Ok(ask) => break ask,
                Err(_) => {
                    let _ = timeout(GOODBYE_MAX, socket.close(None)).await;
                    return;
                }
            },
            // Reading answers the server's pings.
            message = timeout(SILENCE_MAX, socket.next()) => match message {
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                _ => return,
            },
        }
    };
    let Ask { ticket, answer } = ask;
    match timeout(ATTACH_MAX, request(&mut socket, &ticket)).await {
        Ok(Ok(())) => {
            let (ours, theirs) = Transport::pair();
            if answer.send(Ok(theirs)).is_ok() {
                carry(socket, ours).await;
            }
        }
        Ok(Err(error)) => {
            let _ = answer.send(Err(error));
        }
        Err(_) => {
            let message = format!("the other agent did not open its end within {} s", ATTACH_MAX.as_secs());
            let _ = answer.send(Err(Attach::Failed(OpenError { message, remedy: Remedy::Again })));
        }
    }
}

async fn request(socket: &mut Socket, ticket: &Ticket) -> Result<(), Attach> {
    let request = DataRequest::Attach { ticket: ticket.clone() };
    let text = serde_json::to_string(&request).map_err(|_| Attach::Stale)?;
    socket.send(Message::Text(text.into())).await.map_err(|_| Attach::Stale)?;
    let failed = |message: String| Attach::Failed(OpenError { message, remedy: Remedy::Again });
    loop {
        let text = match socket.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(_)) => return Err(failed("the server closed the data connection while it attached".to_owned())),
            Some(Err(error)) => return Err(failed(format!("the data connection broke while it attached: {error}"))),
            None => return Err(failed("the data connection ended while it attached".to_owned())),
        };
        return match serde_json::from_str(&text) {
            Ok(DataReply::Ready) => Ok(()),
            Ok(DataReply::Refused { refusal }) => {
                Err(Attach::Failed(OpenError { remedy: refusal.code.into(), message: refusal.message }))
            }
            Ok(DataReply::Unknown) => {
                Err(failed("this agent is too old for the server's answer; update it".to_owned()))
            }
            Err(error) => Err(failed(format!("the server's answer cannot be read: {error}"))),
        };
    }
}

/// Carries one stream between the socket and its queues.
async fn carry(socket: Socket, transport: Transport) {
    let (sink, stream) = socket.split();
    let Transport { outgoing, incoming } = transport;
    let mut writing = std::pin::pin!(write(sink, incoming));
    let mut reading = std::pin::pin!(read(stream, outgoing));
    let written = tokio::select! {
        () = &mut reading => None,
        whole = &mut writing => Some(whole),
    };
    match written {
        // What the stream still says (that it is done, or why it ends) must leave.
        None => drop(timeout(GOODBYE_MAX, writing).await),
        // The peer may have said why it does not take more.
        Some(false) => drop(timeout(GOODBYE_MAX, reading).await),
        Some(true) => {}
    }
}

async fn read(mut stream: SplitStream<Socket>, to_stream: mpsc::Sender<Part>) {
    loop {
        let part = match timeout(DATA_SILENCE_MAX, stream.next()).await {
            Err(_) => Err(format!("nothing came for {} s", DATA_SILENCE_MAX.as_secs())),
            Ok(Some(Ok(Message::Binary(bytes)))) => Ok(bytes),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(None | Some(Ok(_))) => return,
            Ok(Some(Err(error))) => Err(error.to_string()),
        };
        let broken = part.is_err();
        if to_stream.send(part).await.is_err() || broken {
            return;
        }
    }
}

/// Says whether all that the stream had to say was written.
async fn write(mut sink: SplitSink<Socket, Message>, mut from_stream: mpsc::Receiver<Part>) -> bool {
    let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    loop {
        let next = tokio::select! {
            part = from_stream.recv() => Some(part),
            _ = ping.tick() => None,
        };
        let sent = match next {
            None => sink.send(Message::Ping(bytes::Bytes::new())).await,
            Some(Some(Ok(bytes))) => {
                // Flushed when nothing more waits: fewer, fuller writes.
                let fed = sink.feed(Message::Binary(bytes)).await;
                if fed.is_ok() && from_stream.is_empty() { sink.flush().await } else { fed }
            }
            Some(Some(Err(_)) | None) => {
                let _ = sink.close().await;
                return true;
            }
        };
        if let Err(error) = sent {
            warn!(event = event::FORWARD_IN_ERROR, error = %error, "a data connection broke while rows were sent");
            return false;
        }
    }
}
