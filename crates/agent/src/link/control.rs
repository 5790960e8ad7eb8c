//! The control connection: text messages between a WebSocket and a [`Link`](crate::Link).

use std::net::IpAddr;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use sallyport_protocol::{AgentMessage, CONTROL_MESSAGE_BYTES_MAX, ServerToAgent, path};
use sallyport_site::redact;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tracing::{debug, warn};

use super::dial::{DialError, Server, Socket};
use super::{PING_EVERY, SILENCE_MAX};
use crate::control::ServerEnd;

/// Small: a control connection rests most of its life.
const BUFFER_BYTES: usize = 8 * 1024;

/// Messages of one connection that may be passed over; more are a server that speaks something else.
const UNREADABLE_MAX: u32 = 16;

/// How long the last messages may take.
const GOODBYE_MAX: std::time::Duration = std::time::Duration::from_secs(2);

/// An open control connection before its first message.
pub struct Control {
    socket: Socket,
    /// The address it leaves from.
    pub local: Option<IpAddr>,
}

impl Server {
    /// Opens the control connection.
    pub async fn control(&self) -> Result<Control, DialError> {
        let (socket, local) = self.open(path::AGENT, config()).await?;
        Ok(Control { socket, local })
    }

    /// Opens the connection of a rehearsal: the same in everything but that the server gives it no place.
    pub(crate) async fn rehearsal(&self) -> Result<Socket, DialError> {
        self.open(path::REHEARSAL, config()).await.map(|(socket, _)| socket)
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(BUFFER_BYTES + 4 * CONTROL_MESSAGE_BYTES_MAX)
        .max_message_size(Some(CONTROL_MESSAGE_BYTES_MAX))
        .max_frame_size(Some(CONTROL_MESSAGE_BYTES_MAX))
}

/// Carries messages until either side ends; says why it ended.
pub async fn carry(control: Control, end: ServerEnd, log_bodies: bool) -> String {
    let ServerEnd { from_agent, to_agent } = end;
    let (sink, stream) = control.socket.split();
    let session = to_agent.clone();
    let over = async move {
        session.closed().await;
        // A network that is gone must not hold the next connection up.
        tokio::time::sleep(GOODBYE_MAX).await;
        "the agent ended the connection".to_owned()
    };
    tokio::select! {
        why = read(stream, to_agent, log_bodies) => why,
        why = write(sink, from_agent, log_bodies) => why,
        why = over => why,
    }
}

async fn read(mut stream: SplitStream<Socket>, to_agent: mpsc::Sender<ServerToAgent>, log_bodies: bool) -> String {
    let mut unreadable = 0;
    loop {
        let message = match timeout(SILENCE_MAX, stream.next()).await {
            Err(_) => {
                return format!(
                    "nothing came from the server for {} s: network, firewall or proxy, or the server hangs",
                    SILENCE_MAX.as_secs()
                );
            }
            Ok(None) => return "the server closed the connection".to_owned(),
            Ok(Some(Err(error))) => return format!("the connection broke: {error}"),
            Ok(Some(Ok(message))) => message,
        };
        match message {
            Message::Text(text) => {
                if log_bodies {
                    debug!(target: "sallyport_agent::link::ship", body = redact::text(&text), "received");
                }
                match serde_json::from_str(&text) {
                    Ok(message) => {
                        if to_agent.send(message).await.is_err() {
                            // The session has ended; its last messages are still being written.
                            std::future::pending::<()>().await;
                        }
                    }
                    Err(error) if unreadable < UNREADABLE_MAX => {
                        unreadable += 1;
                        warn!(error = %error, "a message of the server cannot be read; is this agent too old?");
                    }
                    Err(error) => return format!("the server sent messages that cannot be read: {error}"),
                }
            }
            Message::Close(frame) => {
                let why = frame.map(|frame| frame.reason.to_string()).filter(|why| !why.is_empty());
                return why.map_or_else(
                    || "the server closed the connection".to_owned(),
                    |why| format!("the server closed the connection: {why}"),
                );
            }
            Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => {}
        }
    }
}

async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut from_agent: mpsc::Receiver<AgentMessage>,
    log_bodies: bool,
) -> String {
    let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    loop {
        let next = tokio::select! {
            message = from_agent.recv() => Some(message),
            _ = ping.tick() => None,
        };
        let message = match next {
            None => Message::Ping(bytes::Bytes::new()),
            Some(Some(message)) => match serde_json::to_string(&message) {
                Ok(text) => {
                    if log_bodies {
                        debug!(target: "sallyport_agent::link::ship", body = redact::text(&text), "sent");
                    }
                    Message::Text(text.into())
                }
                Err(error) => return format!("a message cannot be written: {error}"),
            },
            Some(None) => {
                let _ = sink.close().await;
                return "the agent ended the connection".to_owned();
            }
        };
        match timeout(SILENCE_MAX, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return format!("sending failed: {error}"),
            Err(_) => return format!("the server took nothing for {} s", SILENCE_MAX.as_secs()),
        }
    }
}
