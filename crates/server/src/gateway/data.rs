//! Data connections: they wait, warm and pinged, until a ticket turns them into one end of a stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use bytes::Bytes;
use sallyport_protocol::{AgentId, DataReply, DataRequest, Ticket};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Handle;
use super::socket::{GOODBYE_WITHIN, SILENCE_MAX};
use crate::relay::{End, PING_EVERY, reply};

/// Data connections of one agent that may wait at one time; an agent keeps two.
const IDLE_MAX: usize = 8;

/// Messages that may lie in a write buffer beside the one that is being written.
const WRITE_BUFFER: usize = 128 * 1024;

/// The largest message: a stream cuts at 1 MiB, and its headers need a little.
const MESSAGE_MAX: usize = 2 * sallyport_dataplane::stream::MESSAGE_BYTES_MAX;

/// Sets buffers for throughput.
pub(super) fn configure(ws: WebSocketUpgrade) -> WebSocketUpgrade {
    ws.read_buffer_size(WRITE_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(WRITE_BUFFER + 2 * MESSAGE_MAX)
        .max_message_size(MESSAGE_MAX)
        .max_frame_size(MESSAGE_MAX)
}

/// The data connections by agent: how many wait, and the signal that ends them, also once they are part of a stream.
#[derive(Clone, Default)]
pub(super) struct Idlers {
    agents: Arc<Mutex<HashMap<AgentId, Waiting>>>,
}

#[derive(Default)]
struct Waiting {
    count: usize,
    drop: CancellationToken,
}

/// A place among the connections that wait; free again when it is dropped.
pub(super) struct Place {
    idlers: Idlers,
    agent: AgentId,
    drop: CancellationToken,
}

impl Idlers {
    pub(super) fn take(&self, agent: AgentId) -> Option<Place> {
        let mut agents = self.agents();
        let waiting = agents.entry(agent).or_default();
        if waiting.count >= IDLE_MAX {
            return None;
        }
        waiting.count += 1;
        Some(Place { idlers: self.clone(), agent, drop: waiting.drop.clone() })
    }

    /// Ends an agent's connections, waiting or part of a stream.
    pub(super) fn drop_all(&self, agent: AgentId) {
        if let Some(waiting) = self.agents().get_mut(&agent) {
            std::mem::take(&mut waiting.drop).cancel();
        }
    }

    fn agents(&self) -> MutexGuard<'_, HashMap<AgentId, Waiting>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The entry stays: streams hold its signal for as long as they go on.
        if let Some(waiting) = self.idlers.agents().get_mut(&self.agent) {
            waiting.count -= 1;
        }
    }
}

/// Serves a data connection: waits for its ticket, then is part of a stream.
pub(super) async fn serve(gateway: Handle, agent: AgentId, place: Place, mut socket: WebSocket) {
    let idle = gateway.parts().relay.count_idle();
    let asked = tokio::select! {
        asked = ticket(&mut socket) => asked,
        () = place.drop.cancelled() => None,
        () = gateway.parts().stop.cancelled() => None,
    };
    let revoked = place.drop.clone();
    drop((idle, place));
    let Some(ticket) = asked else {
        let _ = tokio::time::timeout(GOODBYE_WITHIN, socket.send(Message::Close(None))).await;
        return;
    };
    let attached = tokio::select! {
        attached = gateway.parts().relay.attach(agent, &ticket, End::Socket { socket: Box::new(socket), revoked }) => attached,
        () = gateway.parts().stop.cancelled() => return,
    };
    if let Err((refusal, End::Socket { mut socket, .. })) = attached {
        tracing::info!(%agent, reason = refusal.message, "a data connection was refused");
        if let Ok(text) = reply(&DataReply::Refused { refusal }) {
            let goodbye = async {
                socket.send(text).await?;
                socket.send(Message::Close(None)).await
            };
            // One that has gone needs no telling.
            let _ = tokio::time::timeout(GOODBYE_WITHIN, goodbye).await;
        }
    }
}

/// The ticket that the agent sends when it needs the connection; `None` when it ends before.
async fn ticket(socket: &mut WebSocket) -> Option<Ticket> {
    let mut tick = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silent_at = Instant::now() + SILENCE_MAX;
    loop {
        let message = tokio::select! {
            message = timeout_at(silent_at, socket.recv()) => Some(message.ok()??.ok()?),
            _ = tick.tick() => None,
        };
        match message {
            None => socket.send(Message::Ping(Bytes::new())).await.ok()?,
            Some(Message::Text(text)) => {
                let DataRequest::Attach { ticket } = serde_json::from_str(text.as_str()).ok()?;
                return Some(ticket);
            }
            Some(Message::Ping(_) | Message::Pong(_)) => silent_at = Instant::now() + SILENCE_MAX,
            Some(Message::Binary(_) | Message::Close(_)) => return None,
        }
    }
}
