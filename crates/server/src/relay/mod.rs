//! Joins two data connections into one stream.
//!
//! Invariant: bytes pass through; nothing here looks into them, stores them or keeps more of them than the two
//! sockets' write buffers. A ticket is good for one side of one stream, by one agent, while its attempt is at work; of
//! two connections with it the newer one counts.

mod end;
mod splice;
#[cfg(test)]
mod tests;
mod ticket;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sallyport_dataplane::Transport;
use sallyport_domain::run::Streaming;
use sallyport_protocol::{AgentId, AttemptKey, Refusal, RefusalCode, RunId, Side, Ticket};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use end::{End, reply};
pub(crate) use splice::PING_EVERY;
use ticket::{Claim, Tickets};
pub(crate) use ticket::{Passage, Stream};

use crate::secrets::Secrets;

/// How long an end waits for the other one: orders travel in milliseconds, but a step may wait for its target's login.
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
#[derive(Clone)]
pub(crate) struct Relay {
    tickets: Tickets,
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
    /// The attempts whose streams may be attached to, by run.
    at_work: HashMap<RunId, Vec<Streaming>>,
    streams: HashMap<Stream, Standing>,
    /// Tells one standing from the next of the same stream.
    next_number: u64,
}

/// Where a stream stands.
struct Standing {
    number: u64,
    state: State,
}

enum State {
    /// One end waits for the other one.
    Waiting { side: Side, other: oneshot::Sender<Result<Joined, Refusal>> },
    /// Both are joined, until this fires.
    Carried(CancellationToken),
}

/// The second end, and what ends the two.
type Joined = (End, CancellationToken);

enum Turn {
    First { number: u64, other: oneshot::Receiver<Result<Joined, Refusal>> },
    Second { first: oneshot::Sender<Result<Joined, Refusal>>, cut: CancellationToken },
}

impl Relay {
    /// A relay without streams, whose tickets are signed with a key of the server.
    pub(crate) fn new(secrets: Arc<Secrets>) -> Self {
        Self { tickets: Tickets::new(secrets), inner: Arc::default() }
    }

    /// Makes the two tickets of a stream: the producer's, then the consumer's. They are good while the attempt is at
    /// work: see [`Relay::set_at_work`].
    ///
    /// # Errors
    /// When a ticket cannot be written.
    pub(crate) fn open(
        &self,
        stream: Stream,
        producer: AgentId,
        consumer: AgentId,
    ) -> Result<(Ticket, Ticket), serde_json::Error> {
        let ticket = |side, agent| self.tickets.write(&Claim { stream, side, agent });
        Ok((ticket(Side::Producer, producer)?, ticket(Side::Consumer, consumer)?))
    }

    /// Makes the ticket of a step's way to what another agent reaches; good while the attempt is at work.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn permit(&self, passage: &Passage) -> Result<Ticket, serde_json::Error> {
        self.tickets.write(passage)
    }

    /// What the ticket permits this agent.
    pub(crate) fn permitted(&self, agent: AgentId, ticket: &Ticket) -> Result<Passage, Refusal> {
        let passage = self.tickets.read(ticket).filter(|passage: &Passage| passage.agent == agent);
        passage.filter(|passage| self.is_at_work(passage.key)).ok_or_else(unusable)
    }

    /// Whether streams of the attempt may be opened.
    pub(crate) fn is_at_work(&self, key: AttemptKey) -> bool {
        self.table().at_work.get(&key.run).is_some_and(|attempts| attempts.iter().any(|attempt| attempt.key == key))
    }

    /// Says which attempts of a run are at work: tickets of others are refused, and so are those of producers whose
    /// consumer has all and is gone.
    pub(crate) fn set_at_work(&self, run: RunId, attempts: Vec<Streaming>) {
        let mut table = self.table();
        table.dismiss(run, &attempts);
        if attempts.is_empty() {
            table.at_work.remove(&run);
        } else {
            table.at_work.insert(run, attempts);
        }
    }

    /// Attaches an end. The first of a stream's two waits for the other, then carries the stream until it ends; the
    /// second hands its connection over and returns at once. An end that comes again takes the place of its older
    /// connection, which it has given up.
    pub(crate) async fn attach(&self, agent: AgentId, ticket: &Ticket, end: End) -> Result<(), (Refusal, End)> {
        let (claim, turn) = match self.take_seat(agent, ticket) {
            Ok(taken) => taken,
            Err(refusal) => return Err((refusal, end)),
        };
        match turn {
            Turn::Second { first, cut } => {
                let gone = later("the other side has stopped waiting");
                match first.send(Ok((end, cut))) {
                    Err(Ok((end, _))) => Err((gone, end)),
                    Ok(()) | Err(Err(_)) => Ok(()),
                }
            }
            Turn::First { number, other } => {
                let other = tokio::time::timeout(ATTACH_WITHIN, other).await;
                let (other, cut) = match other {
                    Ok(Ok(Ok(joined))) => joined,
                    Ok(Ok(Err(refusal))) => return Err((refusal, end)),
                    Ok(Err(_)) => return Err((later("a newer connection took its place"), end)),
                    Err(_) => {
                        self.forget(claim.stream, number);
                        return Err((later("the other side did not attach in time"), end));
                    }
                };
                let (producer, consumer) = match claim.side {
                    Side::Producer => (end, other),
                    Side::Consumer => (other, end),
                };
                tokio::select! {
                    () = self.carry(producer, consumer) => {}
                    () = cut.cancelled() => tracing::info!("an end of a stream came again"),
                }
                self.forget(claim.stream, number);
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

    /// Ends that wait for their other one.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.table().streams.values().filter(|standing| matches!(standing.state, State::Waiting { .. })).count()
    }

    fn take_seat(&self, agent: AgentId, ticket: &Ticket) -> Result<(Claim, Turn), Refusal> {
        let claim = self.tickets.read(ticket).filter(|claim: &Claim| claim.agent == agent);
        let mut table = self.table();
        let claim = claim.ok_or_else(unusable)?;
        let key = claim.stream.key;
        let attempts = table.at_work.get(&key.run).map(Vec::as_slice).unwrap_or_default();
        let attempt = attempts.iter().find(|attempt| attempt.key == key).ok_or_else(unusable)?;
        if claim.side == Side::Producer && is_served(attempt, claim.stream) {
            return Err(delivered());
        }
        let before = table.streams.remove(&claim.stream);
        if let Some(Standing { number, state: State::Waiting { side, other } }) = before {
            // One that has gone is as good as none.
            if side != claim.side && !other.is_closed() {
                let cut = CancellationToken::new();
                table.streams.insert(claim.stream, Standing { number, state: State::Carried(cut.clone()) });
                return Ok((claim, Turn::Second { first: other, cut }));
            }
        } else if let Some(Standing { state: State::Carried(cut), .. }) = before {
            cut.cancel();
        }
        let number = table.next_number;
        table.next_number += 1;
        let (first, other) = oneshot::channel();
        let state = State::Waiting { side: claim.side, other: first };
        table.streams.insert(claim.stream, Standing { number, state });
        Ok((claim, Turn::First { number, other }))
    }

    /// A stream stands no longer, unless it does so anew.
    fn forget(&self, stream: Stream, number: u64) {
        let mut table = self.table();
        if table.streams.get(&stream).is_some_and(|standing| standing.number == number) {
            table.streams.remove(&stream);
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.inner.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Sends away the producers that wait for a consumer that waits for nothing more.
    fn dismiss(&mut self, run: RunId, attempts: &[Streaming]) {
        let dismissed = self.streams.extract_if(|stream, standing| {
            let waits = matches!(standing.state, State::Waiting { side: Side::Producer, .. });
            waits && stream.key.run == run && attempts.iter().any(|a| a.key == stream.key && is_served(a, *stream))
        });
        for (_, standing) in dismissed {
            if let State::Waiting { other, .. } = standing.state {
                // It may have gone by itself.
                let _ = other.send(Err(delivered()));
            }
        }
    }
}

fn is_served(attempt: &Streaming, stream: Stream) -> bool {
    attempt.served.iter().any(|step| u32::try_from(*step) == Ok(stream.to))
}

/// A data connection that waits for its use.
pub(crate) struct Idle(Relay);

impl Drop for Idle {
    fn drop(&mut self) {
        self.0.inner.counters.idle.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One text for all, so that a wrong guess learns nothing.
fn unusable() -> Refusal {
    gone("the ticket is unknown, of an attempt that is over, or another agent's")
}

/// The ticket is of no use.
fn gone(message: &str) -> Refusal {
    Refusal { code: RefusalCode::Other, message: message.to_owned(), retry_after_seconds: None }
}

/// The ticket is needed no more.
fn delivered() -> Refusal {
    let message = "the other side has taken every row and has ended";
    Refusal { code: RefusalCode::Delivered, ..gone(message) }
}

/// The same ticket may be used again.
fn later(message: &str) -> Refusal {
    Refusal { code: RefusalCode::Unavailable, ..gone(message) }
}
