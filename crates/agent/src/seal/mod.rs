//! Streams between two agents, sealed end to end: the relay passes on what it cannot read.
//!
//! Invariant: TLS 1.3 between the agents, inside the data connection; both show their own keys, and each believes the key
//! of the other that it has first seen. Nothing is sent before both have said so. A new connection of a stream is sealed
//! anew.

mod pump;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use sallyport_dataplane::Transport;
use sallyport_protocol::{Clock, Peer};
use sallyport_site::keys::{OwnKey, Peers};
use tokio::sync::{mpsc, oneshot};

pub(crate) use session::Error;
use session::Session;

/// Streams that are being opened for one end at one time: one, which may be opened again before its last connection is
/// quite gone.
const OPENING_MAX: usize = 2;

/// What streams of this agent are sealed with.
#[derive(Clone, Debug)]
pub struct Seal {
    key: OwnKey,
    peers: Arc<Peers>,
    clock: Clock,
}

/// Which end of the stream this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Gives rows.
    Producer,
    /// Takes rows.
    Consumer,
}

/// One stream, whatever its connections.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) peer: Peer,
    pub(crate) side: Side,
    /// The same on both sides, and of no other stream.
    pub(crate) name: String,
}

impl Seal {
    /// With this agent's key, and what the site knows of others.
    pub fn new(key: OwnKey, peers: Peers, clock: Clock) -> Self {
        Self { key, peers: Arc::new(peers), clock }
    }

    /// This agent's key as others see it.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint()
    }
}

/// Seals the connections of one stream, one after the other.
pub(crate) struct Sealer {
    seal: Arc<Seal>,
    stream: Stream,
    jobs: mpsc::Sender<Job>,
}

/// One connection to seal.
struct Job {
    session: Session,
    /// Towards the stream.
    near: Transport,
    /// Towards the other agent.
    far: Transport,
    opened: oneshot::Sender<Result<(), Error>>,
}

/// Does the sealing: to be polled as long as the stream.
pub(crate) struct Worker(mpsc::Receiver<Job>);

impl Sealer {
    pub(crate) fn new(seal: Arc<Seal>, stream: Stream) -> (Self, Worker) {
        let (jobs, queue) = mpsc::channel(OPENING_MAX);
        (Self { seal, stream, jobs }, Worker(queue))
    }

    /// The same connection, sealed: returns once both sides have said that they believe each other.
    pub(crate) async fn seal(&self, connection: Transport) -> Result<Transport, Error> {
        let session = Session::new(&self.seal, &self.stream)?;
        let (inside, near) = Transport::pair();
        let (opened, told) = oneshot::channel();
        let gone = || Error::Lost("the stream has ended".to_owned());
        self.jobs.send(Job { session, near, far: connection, opened }).await.map_err(|_| gone())?;
        told.await.map_err(|_| gone())??;
        Ok(inside)
    }
}

impl Worker {
    /// Seals until nobody can ask for it any more and the last is over. A newer connection takes the place of an older.
    pub(crate) async fn run(mut self) {
        let mut next = self.0.recv().await;
        while let Some(job) = next.take() {
            let mut work = std::pin::pin!(job.work());
            let newer = tokio::select! {
                newer = self.0.recv() => Some(newer),
                () = &mut work => None,
            };
            next = match newer {
                Some(Some(newer)) => Some(newer),
                Some(None) => return work.await,
                None => self.0.recv().await,
            };
        }
    }
}

impl Job {
    async fn work(self) {
        let Self { mut session, near, mut far, opened } = self;
        match pump::open(&mut session, &mut far).await {
            Ok(()) => {
                if opened.send(Ok(())).is_ok() {
                    pump::carry(session, near, far).await;
                }
            }
            // Whoever asked may have gone.
            Err(error) => drop(opened.send(Err(error))),
        }
    }
}
