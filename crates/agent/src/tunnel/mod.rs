//! Tunnels: TCP streams that people open through the server to targets near this agent.
//!
//! Invariant: the server asks, the site decides. Every stream passes the site's policy with the very address that is then
//! dialled, whoever asks and whatever was allowed before.

mod book;
mod http;
mod pool;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use sallyport_dataplane::tunnel::{self, Carried, End, Line, Moved};
use sallyport_protocol::{Clock, Timestamp, TunnelId, TunnelOrder, TunnelRefusal, TunnelWord, path};
use sallyport_site::ledger::{Cause, Direction, Entry};
use sallyport_site::policy::PolicyFile;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use self::http::{Asked, Https};
use crate::egress::{Egress, LOOK_EVERY, Meter};
use crate::link::Server;
use book::Book;
pub use pool::Pool;
use target::Targets;

/// Lines of one agent: a stream needs one as long as it lasts.
pub const LINES_MAX: usize = 1024;

/// Handshakes with the server at one time.
const DIALS_MAX: usize = 16;

/// What the server asks for beside streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Open so many lines.
    Dial(u32),
    /// Nothing more comes for a tunnel.
    Ended {
        /// Which.
        tunnel: TunnelId,
        /// Why.
        reason: String,
    },
}

/// What the site allows, and where it is kept what was done.
pub struct Grounds {
    /// The site's policy.
    pub policy: Arc<PolicyFile>,
    /// The site's count and ledger.
    pub egress: Arc<Egress>,
}

/// Opens lines to the server and streams to targets.
pub struct Tunnels {
    shared: Arc<Shared>,
}

struct Shared {
    server: Arc<Server>,
    targets: Targets,
    https: Https,
    egress: Arc<Egress>,
    book: Book,
    lines: Arc<Semaphore>,
    dials: Semaphore,
    clock: Clock,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Tunnels {
    /// Opens nothing yet.
    pub fn new(server: Arc<Server>, Grounds { policy, egress }: Grounds, clock: Clock) -> Self {
        let shared = Shared {
            server,
            targets: Targets::new(policy, Arc::clone(&egress), clock.clone()),
            https: Https::default(),
            egress,
            book: Book::default(),
            lines: Arc::new(Semaphore::new(LINES_MAX)),
            dials: Semaphore::new(DIALS_MAX),
            clock,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Does what the server asks for, in tasks of its own.
    pub fn take(&self, ask: Ask) {
        match ask {
            Ask::Dial(count) => {
                for _ in 0..count {
                    // More than fit are not dialled: the server waits for those that are there.
                    let Ok(place) = Arc::clone(&self.shared.lines).try_acquire_owned() else { return };
                    let shared = Arc::clone(&self.shared);
                    self.shared.tasks.spawn(async move {
                        let stop = shared.stop.clone();
                        stop.run_until_cancelled(shared.line()).await;
                        drop(place);
                    });
                }
            }
            Ask::Ended { tunnel, reason } => self.shared.book.ended(tunnel, &reason),
        }
    }

    /// Ends every line and stream.
    pub async fn close(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        // Sockets that do not close in time are closed with the process.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.shared.tasks.wait()).await;
        self.shared.book.close();
    }
}

impl Shared {
    /// One line, from its dialling to its end.
    async fn line(&self) {
        let dialled = match self.dials.acquire().await {
            Ok(_turn) => self.server.line(path::TUNNEL, None).await,
            Err(_) => return,
        };
        let mut next = match dialled {
            Ok(line) => Some(line),
            Err(error) => return debug!(%error, "a tunnel line could not be opened"),
        };
        while let Some(mut line) = next.take() {
            match tunnel::wait(&mut line).await {
                Some(TunnelWord::Open { order }) => next = self.stream(line, order).await,
                // What belongs to a stream that was over for this side, or is said by a newer server.
                Some(_) => next = Some(line),
                None => return,
            }
        }
    }

    /// One stream; gives the line back if it can carry another.
    async fn stream(&self, mut line: Line, order: TunnelOrder) -> Option<Line> {
        self.book.begins(&order);
        let began = self.clock.now();
        let micros = || u64::try_from(self.clock.now().since(began).as_micros()).unwrap_or(u64::MAX);
        let (socket, address) = match self.targets.open(&order).await {
            Ok(opened) => opened,
            Err(refusal) => return self.refuse(line, &order, refusal).await,
        };
        let moved = Moved::default();
        let asked = match &order.http {
            None => Asked::Plain(socket),
            Some(http) => match self.https.ask(socket, &order, http).await {
                Ok((asked, head)) => {
                    moved.count_received(head);
                    asked
                }
                Err(refusal) => return self.refuse(line, &order, refusal).await,
            },
        };
        let opened = TunnelWord::Opened { address: address.to_string(), micros: micros() };
        let told = line.writer.word(&opened).await;
        self.book.opened(&order, address);
        let (carried, line) = match (told, asked) {
            (Ok(()), Asked::Plain(socket)) => tunnel::carry(line, socket, &moved, self.full(&moved), |_| {}).await,
            (Ok(()), Asked::Encrypted(tls)) => tunnel::carry(line, *tls, &moved, self.full(&moved), |_| {}).await,
            (Err(error), _) => (lost(&error), None),
        };
        self.book.carried(&order, address, &carried, micros());
        self.egress.note(entry(&order, &carried, self.clock.now())).await;
        line
    }

    /// Counts what a stream moves; ends when the site allows no more today, and says so.
    async fn full(&self, moved: &Moved) -> String {
        let meter = Counted { meter: self.egress.meter(), moved };
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(refused) = meter.meter.at(moved.total()) {
                return format!("not_allowed_by_site: {refused}; {}", refused.advice);
            }
        }
    }

    async fn refuse(&self, line: Line, order: &TunnelOrder, refusal: TunnelRefusal) -> Option<Line> {
        self.book.refused(order, &refusal);
        tunnel::refuse(line, refusal).await
    }
}

/// Counts the rest when the stream ends before the next look.
struct Counted<'a> {
    meter: Meter,
    moved: &'a Moved,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        // What is over the measure now is for the next stream.
        let _ = self.meter.at(self.moved.total());
    }
}

fn entry(order: &TunnelOrder, carried: &Carried, at: Timestamp) -> Entry {
    let TunnelOrder { connection, kind, host, port, who, .. } = order;
    let (connection, kind, who) = (connection.clone(), kind.clone(), who.clone());
    Entry {
        at,
        cause: Cause::Streams { tunnel: order.tunnel, streams: 1 },
        who,
        connection: Some(connection),
        kind,
        target: format!("{host}:{port}"),
        direction: Direction::Both,
        rows: 0,
        bytes_to: carried.received,
        bytes_from: carried.sent,
    }
}

fn lost(error: &std::io::Error) -> Carried {
    Carried { sent: 0, received: 0, end: End::Lost(format!("the line to the server broke: {error}")) }
}
