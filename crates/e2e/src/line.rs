//! The network between one machine and another: a small TCP relay that can be cut, because a packet filter needs
//! rights that not every machine gives.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How much is carried at a time: small, so that a cut falls between bytes and not between messages.
const PIECE_BYTES: usize = 16 * 1024;

/// How the line carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Everything passes.
    Open,
    /// Nothing passes, nobody is told: a cable that was pulled, a packet filter that drops.
    Stalled,
    /// Connections are reset, and so is every new one: a packet filter that rejects.
    Refused,
}

#[derive(Clone, Copy)]
struct State {
    flow: Flow,
    /// How often everything was reset.
    resets: u64,
    /// How often what had carried more than `over` bytes was reset.
    bulk_resets: u64,
    over: u64,
}

/// A line from a port of the loopback to another one.
pub struct Line {
    port: u16,
    state: watch::Sender<State>,
    /// Ends its tasks when it is dropped.
    _runtime: Runtime,
}

impl Line {
    /// A line to a port of the loopback, open.
    pub fn to(target: u16) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("line")
            .enable_all()
            .build()
            .context("starting a line")?;
        let (state, watched) = watch::channel(State { flow: Flow::Open, resets: 0, bulk_resets: 0, over: 0 });
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let port = listener.local_addr()?.port();
        // The runtime owns the task and ends it.
        drop(runtime.spawn(serve(listener, target, watched)));
        Ok(Self { port, state, _runtime: runtime })
    }

    /// The port that is dialled instead of the target's.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes how it carries.
    pub fn set(&self, flow: Flow) {
        self.state.send_modify(|state| state.flow = flow);
    }

    /// Resets every connection; new ones are carried as before.
    pub fn reset(&self) {
        self.state.send_modify(|state| state.resets += 1);
    }

    /// Resets the connections that have carried more than so many bytes: those of rows, not those of words.
    pub fn reset_over(&self, bytes: u64) {
        self.state.send_modify(|state| {
            state.bulk_resets += 1;
            state.over = bytes;
        });
    }
}

async fn serve(listener: TcpListener, target: u16, state: watch::Receiver<State>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => Some(accepted),
            Some(_) = connections.join_next() => None,
        };
        match accepted {
            Some(Ok((inbound, _))) => {
                connections.spawn(connection(inbound, target, state.clone()));
            }
            // Out of descriptors: those that end free some.
            Some(Err(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
            None => {}
        }
    }
}

/// One connection, to its end or until it is reset.
async fn connection(mut inbound: TcpStream, target: u16, state: watch::Receiver<State>) {
    let mut outbound = None;
    let (resets, mut bulk_resets) = (state.borrow().resets, state.borrow().bulk_resets);
    let carried_bytes = AtomicU64::new(0);
    let mut watched = state.clone();
    let is_meant = |now: &State| {
        let is_bulk = bulk_resets != now.bulk_resets && carried_bytes.load(Ordering::Relaxed) > now.over;
        bulk_resets = now.bulk_resets;
        is_bulk || now.flow == Flow::Refused || now.resets != resets
    };
    let was_reset = tokio::select! {
        _ = watched.wait_for(is_meant) => true,
        carried = carry(&mut inbound, &mut outbound, target, state, &carried_bytes) => carried.is_err(),
    };
    if was_reset {
        // Whatever is still to be sent is dropped and the other side is told so; one that is gone needs no telling.
        let _ = inbound.set_zero_linger();
        let _ = outbound.as_ref().map(TcpStream::set_zero_linger);
    }
}

async fn carry(
    inbound: &mut TcpStream,
    outbound: &mut Option<TcpStream>,
    target: u16,
    state: watch::Receiver<State>,
    bytes: &AtomicU64,
) -> io::Result<()> {
    open(&mut state.clone()).await;
    let outbound = outbound.insert(TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await?);
    inbound.set_nodelay(true)?;
    outbound.set_nodelay(true)?;
    let (from_here, to_here) = inbound.split();
    let (from_there, to_there) = outbound.split();
    let (forth, back) =
        (one_way(from_here, to_there, state.clone(), bytes), one_way(from_there, to_here, state, bytes));
    tokio::try_join!(forth, back).map(drop)
}

async fn one_way(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut state: watch::Receiver<State>,
    bytes: &AtomicU64,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        open(&mut state).await;
        let length = from.read(&mut piece).await?;
        // What was read while the line was being cut waits here.
        open(&mut state).await;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..length]).await?;
        bytes.fetch_add(length as u64, Ordering::Relaxed);
    }
}

async fn open(state: &mut watch::Receiver<State>) {
    // An error says that the line itself is gone, and its tasks with it.
    let _ = state.wait_for(|now| now.flow == Flow::Open).await;
}

#[cfg(test)]
mod tests;
