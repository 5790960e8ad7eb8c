//! Runs: from a start to their end.
//!
//! One task holds every unfinished run as a [`sallyport_domain::run::Run`]. What happens goes into the value, what
//! follows is committed in one transaction with its log lines, and only then are the effects performed: a stop of the
//! process at any moment loses nothing that was answered. Effects may be repeated after a restart.
//!
//! Invariant: the engine knows agents only as [`Link`]s; it holds no socket and decides nothing that
//! `sallyport_domain` decides.

mod actor;
mod call;
mod command;
mod entry;
mod handle;
mod known;
mod link;
mod links;
mod load;
mod order;
mod queue;
mod start;
#[cfg(test)]
mod tests;
mod timers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sallyport_protocol::{Clock, Descriptor, Secret};
use sallyport_store::{Connection, Store};
use tokio::sync::watch;

use crate::relay::Relay;

pub(crate) use handle::{CancelError, Fired, Handle, Live, Reads, Rerun, StartError, StartRun};
pub(crate) use known::Knowledge;
pub(crate) use link::Link;

/// Opens the sealed secrets of a connection.
pub(crate) type OpenSecrets = Arc<dyn Fn(&Connection) -> anyhow::Result<BTreeMap<String, Secret>> + Send + Sync>;

/// What the engine works with.
pub(crate) struct Parts {
    /// The truth.
    pub(crate) store: Store,
    /// The time.
    pub(crate) clock: Clock,
    /// The connectors.
    pub(crate) catalog: Arc<Vec<Descriptor>>,
    /// Environments and tasks, as the store has them now.
    pub(crate) knowledge: Arc<Knowledge>,
    /// Joins agents that exchange rows.
    pub(crate) relay: Relay,
    /// Called just before an order is sent.
    pub(crate) open_secrets: OpenSecrets,
    /// How long an agent may be away before what it works on is given up.
    pub(crate) reconnect_grace: Duration,
    /// Wakes those who follow what happens to runs.
    pub(crate) news: watch::Sender<()>,
}
