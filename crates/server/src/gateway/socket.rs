//! A control connection's socket: JSON text both ways, pings, and the end of it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::registry::Slot;
use crate::relay::PING_EVERY;
use sallyport_protocol::Clock;

/// A connection without a byte for so long is lost.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(65);

/// How long the first message may take.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// How long the last messages may take.
pub(super) const GOODBYE_WITHIN: Duration = Duration::from_secs(2);

/// Acknowledgements that may wait; a peer that does not read them is not read from either.
pub(super) const ACKS_MAX: usize = 64;

/// What a session wants said, by urgency.
pub(super) struct Outbox<M> {
    /// Before everything else.
    pub(super) commands: mpsc::Receiver<M>,
    /// Answers to what the peer said.
    pub(super) acks: mpsc::Receiver<M>,
    /// Asks for a ping now.
    pub(super) pings: mpsc::Receiver<()>,
}

/// Reads the first message.
pub(super) async fn first<T: DeserializeOwned>(socket: &mut WebSocket) -> Option<T> {
    let read = async {
        loop {
            match socket.recv().await?.ok()? {
                Message::Text(text) => return serde_json::from_str(text.as_str()).ok(),
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Binary(_) | Message::Close(_) => return None,
            }
        }
    };
    timeout(HELLO_WITHIN, read).await.ok().flatten()
}

/// Says one thing and closes.
pub(super) async fn turn_away<T: Serialize>(mut socket: WebSocket, message: &T) {
    let goodbye = async {
        if let Some(text) = text(message) {
            socket.send(text).await?;
        }
        socket.send(Message::Close(None)).await?;
        // The peer's close comes back, or its end: until then the message may still be on its way.
        while let Some(Ok(_)) = socket.recv().await {}
        Ok::<(), axum::Error>(())
    };
    // One that has gone needs no telling.
    let _ = timeout(GOODBYE_WITHIN, goodbye).await;
}

/// Reads until the peer ends or falls silent; each message is worked on before the next is read.
pub(super) async fn read<In, Out, Work>(
    mut stream: SplitStream<WebSocket>,
    slot: &Arc<Slot<Out>>,
    clock: &Clock,
    mut take: impl FnMut(In) -> Work,
) -> String
where
    In: DeserializeOwned,
    Work: Future<Output = Result<(), String>>,
{
    loop {
        let message = match timeout(SILENCE_MAX, stream.next()).await {
            Err(_) => return format!("nothing came for {} s", SILENCE_MAX.as_secs()),
            Ok(None) => return "the connection ended".to_owned(),
            Ok(Some(Err(error))) => return format!("the connection broke: {error}"),
            Ok(Some(Ok(message))) => message,
        };
        slot.lives(clock.now());
        match message {
            Message::Text(text) => match serde_json::from_str(text.as_str()) {
                Ok(message) => {
                    if let Err(why) = take(message).await {
                        return why;
                    }
                }
                // A newer peer may say what this build does not know.
                Err(error) => tracing::warn!(%error, bytes = text.len(), "a message was not understood"),
            },
            Message::Binary(_) => return "it sent bytes on a control connection".to_owned(),
            Message::Close(_) => return "it closed the connection".to_owned(),
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
}

enum Next<M> {
    Say(M),
    Ping,
    Close,
}

/// Writes until the session is to end.
pub(super) async fn write<M: Serialize>(
    mut sink: SplitSink<WebSocket, Message>,
    mut outbox: Outbox<M>,
    slot: &Arc<Slot<M>>,
) -> String {
    let mut tick = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = tokio::select! {
            biased;
            () = slot.link.closed() => Next::Close,
            Some(command) = outbox.commands.recv() => Next::Say(command),
            Some(()) = outbox.pings.recv() => Next::Ping,
            Some(ack) = outbox.acks.recv() => Next::Say(ack),
            _ = tick.tick() => Next::Ping,
        };
        let message = match next {
            Next::Say(message) => text(&message),
            Next::Ping => Some(Message::Ping(Bytes::new())),
            Next::Close => break,
        };
        let Some(message) = message else { continue };
        match timeout(SILENCE_MAX, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return format!("the connection broke: {error}"),
            Err(_) => return format!("it took no message for {} s", SILENCE_MAX.as_secs()),
        }
    }
    let goodbye = async {
        while let Ok(command) = outbox.commands.try_recv() {
            if let Some(text) = text(&command) {
                sink.send(text).await?;
            }
        }
        let frame = CloseFrame { code: close_code::NORMAL, reason: Utf8Bytes::from_static("") };
        sink.send(Message::Close(Some(frame))).await
    };
    // One that does not take the last words goes without.
    let _ = timeout(GOODBYE_WITHIN, goodbye).await;
    "the server ended the connection".to_owned()
}

fn text<T: Serialize>(message: &T) -> Option<Message> {
    match serde_json::to_string(message) {
        Ok(text) => Some(Message::Text(text.into())),
        Err(error) => {
            tracing::error!(%error, "a message could not be written");
            None
        }
    }
}
