//! What the site's log says about tunnels: one line when a tunnel begins and one when it ends; its streams, which may be
//! thousands, are told at debug level, and those that did not come about as warnings.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sallyport_dataplane::tunnel::{Carried, End};
use sallyport_protocol::{TunnelId, TunnelOrder, TunnelRefusal, event};
use tracing::{debug, info, warn};

/// Tunnels that are remembered; ids grow with time, so that the oldest go first.
const TUNNELS_MAX: usize = 1024;

/// The tunnels that stand.
#[derive(Default)]
pub(super) struct Book {
    tunnels: Mutex<BTreeMap<TunnelId, Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    connection: String,
    target: String,
    who: String,
    streams: u64,
    /// Streams that stand.
    open: u64,
    /// Why nothing more comes, once that is said.
    ending: Option<String>,
    refused: u64,
    sent: u64,
    received: u64,
    ready: bool,
}

impl Book {
    /// A stream was asked for.
    pub(super) fn begins(&self, order: &TunnelOrder) {
        let target = format!("{}:{}", order.host, order.port);
        let mut tunnels = self.tunnels();
        if let Some(entry) = tunnels.get_mut(&order.tunnel) {
            entry.streams += 1;
            entry.open += 1;
            return;
        }
        let entry = Entry {
            connection: order.connection.clone(),
            target: target.clone(),
            who: order.who.clone(),
            streams: 1,
            open: 1,
            ending: None,
            refused: 0,
            sent: 0,
            received: 0,
            ready: false,
        };
        tunnels.insert(order.tunnel, entry);
        let oldest = if tunnels.len() > TUNNELS_MAX { tunnels.pop_first() } else { None };
        drop(tunnels);
        if let Some((tunnel, entry)) = oldest {
            entry.tell(tunnel, "too many tunnels are remembered");
        }
        let (tunnel, connection, who) = (order.tunnel, &order.connection, &order.who);
        info!(event = event::REQUEST_TUNNEL, %tunnel, connection, target, who, "a tunnel was asked for");
    }

    /// The target has answered.
    pub(super) fn opened(&self, order: &TunnelOrder, address: SocketAddr) {
        let first = match self.tunnels().get_mut(&order.tunnel) {
            Some(entry) => !std::mem::replace(&mut entry.ready, true),
            None => false,
        };
        if first {
            let (tunnel, connection, who) = (order.tunnel, &order.connection, &order.who);
            info!(event = event::TUNNEL_READY_FOR_USE, %tunnel, connection, %address, who, "the tunnel's target answers");
        }
        debug!(event = event::TUNNEL_CREATED, tunnel = %order.tunnel, stream = order.stream, %address, "stream opened");
    }

    /// A stream did not come about.
    pub(super) fn refused(&self, order: &TunnelOrder, refusal: &TunnelRefusal) {
        self.closes(order.tunnel, |entry| entry.refused += 1);
        let (code, reason, who) = (refusal.code, &refusal.message, &order.who);
        warn!(event = event::FORWARD_IN_ERROR, tunnel = %order.tunnel, ?code, who, reason, "a stream was refused");
    }

    /// A stream has ended.
    pub(super) fn carried(&self, order: &TunnelOrder, address: SocketAddr, carried: &Carried, micros: u64) {
        let Carried { sent, received, end } = carried;
        let (tunnel, stream, reason) = (order.tunnel, order.stream, end.words());
        if let End::Lost(_) = end {
            warn!(event = event::FORWARD_IN_ERROR, %tunnel, stream, %address, sent, received, micros, reason, "stream lost");
        } else {
            debug!(%tunnel, stream, %address, sent, received, micros, reason, "stream ended");
        }
        self.closes(tunnel, |entry| {
            entry.sent += sent;
            entry.received += received;
        });
    }

    /// A stream is over; the last one of a tunnel that has ended tells of it.
    fn closes(&self, tunnel: TunnelId, note: impl FnOnce(&mut Entry)) {
        let mut tunnels = self.tunnels();
        let Some(entry) = tunnels.get_mut(&tunnel) else { return };
        note(entry);
        entry.open = entry.open.saturating_sub(1);
        let Some(reason) = entry.ending.clone().filter(|_| entry.open == 0) else { return };
        let entry = tunnels.remove(&tunnel);
        drop(tunnels);
        if let Some(entry) = entry {
            entry.tell(tunnel, &reason);
        }
    }

    /// Nothing more comes for a tunnel.
    pub(super) fn ended(&self, tunnel: TunnelId, reason: &str) {
        let mut tunnels = self.tunnels();
        let is_over = tunnels.get_mut(&tunnel).is_some_and(|entry| {
            entry.ending = Some(reason.to_owned());
            entry.open == 0
        });
        let entry = if is_over { tunnels.remove(&tunnel) } else { None };
        drop(tunnels);
        if let Some(entry) = entry {
            entry.tell(tunnel, reason);
        }
    }

    /// The agent ends.
    pub(super) fn close(&self) {
        for (tunnel, entry) in std::mem::take(&mut *self.tunnels()) {
            entry.tell(tunnel, "the agent ends");
        }
    }

    fn tunnels(&self) -> MutexGuard<'_, BTreeMap<TunnelId, Entry>> {
        self.tunnels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn tell(&self, tunnel: TunnelId, reason: &str) {
        let Self { connection, target, who, streams, refused, sent, received, .. } = self;
        info!(%tunnel, connection, target, who, streams, refused, sent, received, reason, "the tunnel has ended");
    }
}
