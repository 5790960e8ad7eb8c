//! Entries: addresses on the server's own machine that lead to connections' targets.
//!
//! A stream that begins here has one encrypted way, the agent's line. Nobody logs in: who can reach the address may use
//! it, so it serves this machine alone unless the server's file allows others. The site's policy holds as for any stream.

mod environment;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sallyport_dataplane::tunnel::{self, Moved};
use sallyport_protocol::{ConnectionId, EnvironmentId, TunnelRefusalCode, event};
use sallyport_store::{Error, Store};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::grounds::{Grounds, unchecked};
use super::open::Opened;
use super::{GROUNDS_KEPT, LIMITS, Owner, Tunnels};
use crate::config::Entry;
use crate::gateway::Handle;

/// Connections of one entry at a time: what one agent carries.
const CONNECTIONS_MAX: usize = 1023;

/// After an accept that failed (out of descriptors), the next is tried this much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An address that another program has is tried again this much later.
const BUSY_PAUSE: Duration = Duration::from_secs(5);

/// The same words about an entry are said at most this often.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// All entries of this server. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Entries {
    all: Arc<[Arc<Door>]>,
}

/// Whether an entry listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not yet.
    Starts,
    /// It does.
    Listens,
    /// It cannot, and why.
    Fails(String),
}

/// One of them.
struct Door {
    number: usize,
    entry: Entry,
    /// For logs and the site.
    who: String,
    standing: Mutex<Standing>,
    /// Where it leads, and since when that is known.
    known: Mutex<Option<(Instant, Grounds)>>,
    said: Mutex<Option<(String, Instant)>>,
}

impl Entries {
    /// Has each listen until the server stops. One that cannot is named, and tried again.
    pub(crate) fn start(gateway: &Handle, entries: &[Entry]) -> Self {
        let doors = entries.iter().enumerate().map(|(number, entry)| {
            let (entry, who) = (entry.clone(), format!("entry {}", entry.listen));
            let (standing, known, said) = (Mutex::new(Standing::Starts), Mutex::default(), Mutex::default());
            Arc::new(Door { number, entry, who, standing, known, said })
        });
        let all: Arc<[Arc<Door>]> = doors.collect();
        for door in all.iter() {
            let (door, gateway) = (Arc::clone(door), gateway.clone());
            let stop = gateway.parts().stop.clone();
            gateway.parts().tasks.clone().spawn(async move {
                stop.run_until_cancelled(door.run(&gateway)).await;
            });
        }
        Self { all }
    }

    /// Those that lead to a connection: where they listen, and whether they do.
    pub(crate) async fn to(
        &self,
        store: &Store,
        environment: EnvironmentId,
        (id, name): (ConnectionId, &str),
    ) -> Result<Vec<(SocketAddr, Standing)>, Error> {
        let mut found = Vec::new();
        for door in self.all.iter() {
            let named = door.entry.connection.eq_ignore_ascii_case(name) || door.entry.connection == id.to_string();
            if named && environment::find(store, &door.entry.environment).await? == Ok(environment) {
                found.push((door.entry.listen, door.standing().clone()));
            }
        }
        Ok(found)
    }
}

impl Door {
    async fn run(self: Arc<Self>, gateway: &Handle) {
        let listener = self.listen().await;
        let Entry { listen, environment, connection, .. } = &self.entry;
        tracing::info!(%listen, environment, connection, "an entry listens");
        if let Err(reason) = self.grounds(&gateway.parts().store).await {
            tracing::warn!(entry = %listen, reason, "an entry leads nowhere yet: what connects to it is reset");
        }
        self.serve(gateway, &listener).await;
    }

    async fn listen(&self) -> TcpListener {
        loop {
            let error = match tunnel::listen(self.entry.listen).await {
                Ok(listener) => {
                    *self.standing() = Standing::Listens;
                    return listener;
                }
                Err(error) => error,
            };
            let reason = match error.kind() {
                io::ErrorKind::AddrInUse => "the address is in use: another program listens there; stop that one, or \
                                             give the entry another in `sallyport.toml`"
                    .to_owned(),
                _ => error.to_string(),
            };
            let told = std::mem::replace(&mut *self.standing(), Standing::Fails(reason.clone()));
            if told != Standing::Fails(reason.clone()) {
                tracing::error!(entry = %self.entry.listen, reason, "an entry cannot listen; it is tried again");
            }
            tokio::time::sleep(BUSY_PAUSE).await;
        }
    }

    async fn serve(self: Arc<Self>, gateway: &Handle, listener: &TcpListener) {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let tunnels = &gateway.parts().tunnels;
        loop {
            let (socket, from) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.say(&format!("a connection could not be accepted: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if !self.entry.serves(from) {
                let from = from.ip().to_canonical();
                self.refuse(tunnels, &socket, &format!("{from} is not one that the entry's `allow` names"));
                continue;
            }
            let Ok(place) = Arc::clone(&connections).try_acquire_owned() else {
                self.refuse(tunnels, &socket, &format!("it has {CONNECTIONS_MAX} connections, as many as it may"));
                continue;
            };
            let (door, gateway) = (Arc::clone(&self), gateway.clone());
            gateway.parts().tasks.clone().spawn(async move {
                door.stream(&gateway, socket, from).await;
                drop(place);
            });
        }
    }

    /// One connection from its beginning to its end.
    async fn stream(&self, gateway: &Handle, socket: TcpStream, from: SocketAddr) {
        let (tunnels, stop) = (&gateway.parts().tunnels, &gateway.parts().stop);
        if tunnel::keep_alive(&socket).is_err() {
            // It has gone already.
            return;
        }
        let grounds = match self.grounds(&gateway.parts().store).await {
            Ok(grounds) => grounds,
            Err(why) => return self.refuse(tunnels, &socket, &why),
        };
        let owner = (Owner::Entry(self.number), self.who.clone());
        let Some(seat) = tunnels.join_kept(gateway, owner, grounds.about()) else {
            return self.refuse(tunnels, &socket, "its tunnel has too many streams at one time");
        };
        let session = &seat.0;
        let order = grounds.order(session);
        let stream = order.stream;
        tracing::debug!(tunnel = %session.id(), stream, %from, "a stream begins at an entry");
        let opened = stop.run_until_cancelled(tunnels.open(session, &grounds.agents, &order)).await;
        let Opened { agent, line: mut theirs, .. } = match opened {
            Some(Ok(opened)) => opened,
            Some(Err(refusal)) => {
                session.refuses(&refusal);
                return reset(&socket);
            }
            None => return reset(&socket),
        };
        let counted = tunnels.counted();
        let (moved, seen) = (Moved::default(), AtomicU64::new(0));
        // Long streams count while they last.
        let total = || {
            let total = moved.total();
            counted.moved(total.saturating_sub(seen.swap(total, Ordering::Relaxed)));
            total
        };
        let ending = tunnels.ending(&theirs);
        let ended = async {
            tokio::select! {
                why = LIMITS.reached(total) => why,
                why = ending => why,
            }
        };
        let began = Instant::now();
        let (carried, back) = tunnel::carry(theirs.line, socket, &moved, ended, |_| {}).await;
        total();
        drop(counted);
        session.carried((stream, agent), (carried.sent, carried.received), began.elapsed(), &carried.end);
        if let Some(line) = back {
            theirs.line = line;
            tunnels.give(agent, theirs);
        }
    }

    /// Where it leads now; what was known a moment ago still holds.
    async fn grounds(&self, store: &Store) -> Result<Grounds, String> {
        let fresh = |(at, _): &&(Instant, Grounds)| at.elapsed() <= GROUNDS_KEPT;
        if let Some((_, grounds)) = self.known().as_ref().filter(fresh) {
            return Ok(grounds.clone());
        }
        let environment =
            environment::find(store, &self.entry.environment).await.map_err(|error| unchecked(&error))??;
        let Entry { environment: name, connection, .. } = &self.entry;
        let found = match store.connection(environment, connection).await {
            Ok(connection) => Grounds::of(connection)?,
            Err(Error::NotFound) => {
                return Err(format!(
                    "environment `{name}` has no connection `{connection}`; make it, or correct the entry in \
                     `sallyport.toml` and start the server again"
                ));
            }
            Err(error) => return Err(unchecked(&error)),
        };
        *self.known() = Some((Instant::now(), found.clone()));
        Ok(found)
    }

    /// Turns a connection away before any agent is asked.
    fn refuse(&self, tunnels: &Tunnels, socket: &TcpStream, why: &str) {
        reset(socket);
        tunnels.refused();
        self.say(why);
    }

    /// Tells the log, unless that was just done.
    fn say(&self, reason: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.as_ref().is_none_or(|(last, at)| last != reason || at.elapsed() > SAID_EVERY) {
            *said = Some((reason.to_owned(), Instant::now()));
            drop(said);
            let (who, code) = (&self.who, TunnelRefusalCode::NotAllowed);
            tracing::warn!(event = event::FORWARD_IN_ERROR, who, ?code, reason, "a connection was turned away");
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Option<(Instant, Grounds)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The other side must not take it for all that there was.
fn reset(socket: &TcpStream) {
    // One that is gone already needs no reset.
    let _ = socket.set_zero_linger();
}
