//! Joins two data connections into one stream.
//!
//! Invariant: bytes pass through; nothing here looks into them, stores them or keeps more of them than the two
//! sockets' write buffers. A ticket is good for one use, by one agent, on one side, until its deadline.

mod end;
mod splice;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sallyport_dataplane::Transport;
use sallyport_protocol::{AgentId, Refusal, RefusalCode, Side, Ticket};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub(crate) use end::{End, reply};
pub(crate) use splice::PING_EVERY;

/// How long both agents have to attach: orders travel in milliseconds, but a step may wait for its target's login.
const ATTACH_WITHIN: Duration = Duration::from_secs(60);

/// Figures for operators; all of them grow but those that say `open` or `idle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Streams that carry data now.
    pub(crate) streams_open: u64,
    /// Streams since the start.
    pub(crate) streams_total: u64,
    /// Payload bytes forwarded since the start.
    pub(crate) bytes_total: u64,
    /// Data connections that wait to be used.
    pub(crate) idle_connections: u64,
}

/// The relay. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Relay {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    table: Mutex<Table>,
    counters: Counters,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Counters {
    open: AtomicU64,
    total: AtomicU64,
    bytes: AtomicU64,
    idle: AtomicU64,
}

#[derive(Default)]
struct Table {
    next_stream: u64,
    seats: HashMap<String, Seat>,
    waiting: HashMap<u64, oneshot::Sender<End>>,
}

#[derive(Clone, Copy)]
struct Seat {
    stream: u64,
    side: Side,
    agent: AgentId,
    deadline: Instant,
}

enum Turn {
    First(oneshot::Receiver<End>),
    Second(oneshot::Sender<End>),
}

impl Relay {
    /// A relay without streams.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Makes the two tickets of a stream: the producer's, then the consumer's.
    ///
    /// # Errors
    /// When the machine gives no random bytes.
    pub(crate) fn open(&self, producer: AgentId, consumer: AgentId) -> Result<(Ticket, Ticket), getrandom::Error> {
        let deadline = Instant::now() + ATTACH_WITHIN;
        let (to_producer, to_consumer) = (random_text()?, random_text()?);
        let mut table = self.table();
        let now = Instant::now();
        // Few are open at one time, because orders are sent the moment their tickets are made.
        table.seats.retain(|_, seat| seat.deadline > now);
        let stream = table.next_stream;
        table.next_stream += 1;
        table.seats.insert(to_producer.clone(), Seat { stream, side: Side::Producer, agent: producer, deadline });
        table.seats.insert(to_consumer.clone(), Seat { stream, side: Side::Consumer, agent: consumer, deadline });
        Ok((Ticket::new(to_producer), Ticket::new(to_consumer)))
    }

    /// Attaches an end. The first of a stream's two waits for the other, then carries the stream until it ends; the
    /// second hands its connection over and returns at once.
    pub(crate) async fn attach(&self, agent: AgentId, ticket: &Ticket, end: End) -> Result<(), (Refusal, End)> {
        let (seat, turn) = match self.take_seat(agent, ticket) {
            Ok(taken) => taken,
            Err(refusal) => return Err((refusal, end)),
        };
        match turn {
            Turn::Second(first) => first.send(end).map_err(|end| (gone("the other side has stopped waiting"), end)),
            Turn::First(other) => {
                let other = tokio::time::timeout_at(seat.deadline, other).await;
                self.table().waiting.remove(&seat.stream);
                let Ok(Ok(other)) = other else {
                    return Err((gone("the other side did not attach in time"), end));
                };
                let (producer, consumer) = match seat.side {
                    Side::Producer => (end, other),
                    Side::Consumer => (other, end),
                };
                self.carry(producer, consumer).await;
                Ok(())
            }
        }
    }

    /// Attaches an end inside this process; returns once both ends are attached.
    pub(crate) async fn attach_local(&self, agent: AgentId, ticket: &Ticket) -> Result<Transport, Refusal> {
        let (mine, its) = Transport::pair();
        let (ready, attached) = oneshot::channel();
        let (relay, ticket) = (self.clone(), ticket.clone());
        let (refused, refusal) = oneshot::channel();
        self.inner.tasks.spawn(async move {
            if let Err((refusal, _)) = relay.attach(agent, &ticket, End::local(mine, ready)).await {
                // Nobody listens once the step has given up.
                let _ = refused.send(refusal);
            }
        });
        match attached.await {
            Ok(()) => Ok(its),
            Err(_) => Err(refusal.await.unwrap_or_else(|_| gone("the other side's connection was lost"))),
        }
    }

    /// What has passed so far.
    pub(crate) fn figures(&self) -> Figures {
        let counters = &self.inner.counters;
        Figures {
            streams_open: counters.open.load(Ordering::Relaxed),
            streams_total: counters.total.load(Ordering::Relaxed),
            bytes_total: counters.bytes.load(Ordering::Relaxed),
            idle_connections: counters.idle.load(Ordering::Relaxed),
        }
    }

    /// Counts a data connection that waits for its use while the value lives.
    pub(crate) fn count_idle(&self) -> Idle {
        self.inner.counters.idle.fetch_add(1, Ordering::Relaxed);
        Idle(self.clone())
    }

    async fn carry(&self, mut producer: End, mut consumer: End) {
        if producer.ready().await.is_err() || consumer.ready().await.is_err() {
            tracing::info!("a stream ended before it began");
            return;
        }
        let counters = &self.inner.counters;
        counters.open.fetch_add(1, Ordering::Relaxed);
        counters.total.fetch_add(1, Ordering::Relaxed);
        let (producers, consumers) = (producer.revoked(), consumer.revoked());
        tokio::select! {
            () = splice::splice(producer, consumer, &counters.bytes) => {}
            () = producers.cancelled() => tracing::info!("a stream ended: its producer was sent away"),
            () = consumers.cancelled() => tracing::info!("a stream ended: its consumer was sent away"),
        }
        counters.open.fetch_sub(1, Ordering::Relaxed);
    }

    fn take_seat(&self, agent: AgentId, ticket: &Ticket) -> Result<(Seat, Turn), Refusal> {
        let mut table = self.table();
        let seat = table.seats.get(ticket.expose()).copied();
        // One text for all, so that a wrong guess learns nothing.
        let unusable = || gone("the ticket is unknown, used, too late, or another agent's");
        let seat = seat.filter(|seat| seat.agent == agent && seat.deadline > Instant::now()).ok_or_else(unusable)?;
        table.seats.remove(ticket.expose());
        let turn = match table.waiting.remove(&seat.stream) {
            Some(first) => Turn::Second(first),
            None => {
                let (first, other) = oneshot::channel();
                table.waiting.insert(seat.stream, first);
                Turn::First(other)
            }
        };
        Ok((seat, turn))
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.inner.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A data connection that waits for its use.
pub(crate) struct Idle(Relay);

impl Drop for Idle {
    fn drop(&mut self) {
        self.0.inner.counters.idle.fetch_sub(1, Ordering::Relaxed);
    }
}

fn random_text() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn gone(message: &str) -> Refusal {
    Refusal { code: RefusalCode::Other, message: message.to_owned(), retry_after_seconds: None }
}
