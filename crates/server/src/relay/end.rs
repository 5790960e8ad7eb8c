//! One end of a stream: a WebSocket, or a channel to the agent inside this process.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use sallyport_dataplane::Transport;
use sallyport_protocol::DataReply;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// One end, before the stream begins.
pub(crate) enum End {
    /// A data connection.
    Socket {
        /// Its socket.
        socket: Box<WebSocket>,
        /// Fires when its agent is sent away.
        revoked: CancellationToken,
    },
    /// The agent inside this process.
    Local {
        /// Our end of its channel.
        transport: Transport,
        /// Told once the stream begins.
        ready: Option<oneshot::Sender<()>>,
    },
}

/// What comes from an end.
pub(super) enum Arrival {
    /// Payload.
    Data(Bytes),
    /// Something that is no payload.
    Nothing,
    /// The end has closed after all it wanted to say.
    Closed,
    /// The end broke off.
    Lost(String),
}

/// The reading half.
pub(super) enum Source {
    Socket(SplitStream<WebSocket>),
    Local(mpsc::Receiver<sallyport_dataplane::Message>),
}

/// The writing half.
pub(super) enum Target {
    Socket(SplitSink<WebSocket, Message>),
    Local(mpsc::Sender<sallyport_dataplane::Message>),
}

/// The end cannot be written to any more.
#[derive(Debug)]
pub(crate) struct Broken(pub(super) String);

impl End {
    pub(super) fn local(transport: Transport, ready: oneshot::Sender<()>) -> Self {
        Self::Local { transport, ready: Some(ready) }
    }

    /// Fires when its agent may no longer take part.
    pub(super) fn revoked(&self) -> CancellationToken {
        match self {
            Self::Socket { revoked, .. } => revoked.clone(),
            Self::Local { .. } => CancellationToken::new(),
        }
    }

    /// Says that both ends are attached.
    pub(super) async fn ready(&mut self) -> Result<(), Broken> {
        match self {
            Self::Socket { socket, .. } => socket.send(reply(&DataReply::Ready)?).await.map_err(broken),
            Self::Local { ready, .. } => match ready.take().map(|ready| ready.send(())) {
                Some(Err(())) => Err(Broken("the step no longer waits".to_owned())),
                _ => Ok(()),
            },
        }
    }

    pub(super) fn split(self) -> (Source, Target) {
        match self {
            Self::Socket { socket, .. } => {
                let (target, source) = (*socket).split();
                (Source::Socket(source), Target::Socket(target))
            }
            Self::Local { transport, .. } => (Source::Local(transport.incoming), Target::Local(transport.outgoing)),
        }
    }
}

impl Source {
    pub(super) async fn next(&mut self) -> Arrival {
        match self {
            Self::Socket(stream) => match stream.next().await {
                Some(Ok(Message::Binary(bytes))) => Arrival::Data(bytes),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => Arrival::Nothing,
                Some(Ok(Message::Text(_))) => Arrival::Lost("a text message came where bytes belong".to_owned()),
                Some(Ok(Message::Close(frame))) => closed(frame),
                Some(Err(error)) => Arrival::Lost(error.to_string()),
                None => Arrival::Lost("the connection ended without a word".to_owned()),
            },
            Self::Local(queue) => match queue.recv().await {
                Some(Ok(bytes)) => Arrival::Data(bytes),
                Some(Err(why)) => Arrival::Lost(why),
                None => Arrival::Closed,
            },
        }
    }

    /// What is there already, if anything.
    pub(super) fn now(&mut self) -> Option<Arrival> {
        self.next().now_or_never()
    }
}

impl Target {
    /// Takes a message; it may stay in the write buffer until [`Target::flush`].
    pub(super) async fn feed(&mut self, bytes: Bytes) -> Result<(), Broken> {
        match self {
            Self::Socket(sink) => sink.feed(Message::Binary(bytes)).await.map_err(broken),
            Self::Local(queue) => queue.send(Ok(bytes)).await.map_err(|_| Broken("the step has ended".to_owned())),
        }
    }

    pub(super) async fn flush(&mut self) -> Result<(), Broken> {
        match self {
            Self::Socket(sink) => sink.flush().await.map_err(broken),
            Self::Local(_) => Ok(()),
        }
    }

    /// Keeps an idle connection from being cut by what lies between.
    pub(super) async fn ping(&mut self) -> Result<(), Broken> {
        match self {
            Self::Socket(sink) => sink.send(Message::Ping(Bytes::new())).await.map_err(broken),
            Self::Local(_) => Ok(()),
        }
    }

    /// Says that the stream is over: well, or because the other end broke off.
    pub(super) async fn close(&mut self, lost: Option<&str>) {
        // The end may be gone already: then there is nobody to tell.
        match self {
            Self::Socket(sink) => {
                let (code, reason) = match lost {
                    None => (close_code::NORMAL, String::new()),
                    Some(why) => (close_code::ERROR, cut(why)),
                };
                let _ = sink.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
            }
            Self::Local(queue) => {
                if let Some(why) = lost {
                    let _ = queue.send(Err(why.to_owned())).await;
                }
            }
        }
    }
}

/// A control reply as a message.
pub(crate) fn reply(reply: &DataReply) -> Result<Message, Broken> {
    serde_json::to_string(reply).map(|text| Message::Text(Utf8Bytes::from(text))).map_err(broken)
}

fn closed(frame: Option<CloseFrame>) -> Arrival {
    match frame {
        Some(frame) if frame.code != close_code::NORMAL => {
            Arrival::Lost(format!("the peer closed with code {}: {}", frame.code, frame.reason.as_str()))
        }
        _ => Arrival::Closed,
    }
}

/// A close frame's reason holds at most 123 bytes.
fn cut(text: &str) -> String {
    let mut end = text.len().min(120);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn broken(error: impl std::fmt::Display) -> Broken {
    Broken(error.to_string())
}
