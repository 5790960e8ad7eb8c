//! The wrapper's control connection: online while it can be, patient while it cannot.

mod errands;
mod handshake;
mod session;

use std::io;
use std::net::IpAddr;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use sallyport_protocol::{ExecutedBy, InstallationId, InstanceId, Presence, Refusal, RefusalCode, event};
use sallyport_site::backoff::{Backoff, Jitter};
use sallyport_site::dial;
use sallyport_site::lines::Spool;
use sallyport_site::log::Tap;
use sallyport_site::presence::Machine;
use sallyport_site::random;
use tracing::{info, warn};

use crate::fetch::{self, Door};
use crate::moment::Watch;
use crate::reports::Reports;
use crate::status::Board;
use crate::supervise::Event;
use crate::update::{Line, Program, Said};

pub(crate) use errands::Errands;
pub(crate) use handshake::rehearse;

/// A connection that lasted this long was good: the next loss starts the delays anew.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// A refused login is tried again slowly: a person has to do something first.
const REFUSED_BASE: Duration = Duration::from_secs(5);
const REFUSED_CAP: Duration = Duration::from_secs(5 * 60);

/// Everything a connection needs.
pub(crate) struct Link {
    pub(crate) door: Door,
    pub(crate) watch: Watch,
    pub(crate) machine: Machine,
    pub(crate) executed_by: ExecutedBy,
    pub(crate) installation: InstallationId,
    pub(crate) instance: InstanceId,
    pub(crate) agent_program: Program,
    pub(crate) agent_version: Option<String>,
    /// How long a heartbeat may stay unacknowledged.
    pub(crate) acknowledge_within: Duration,
    /// Whether bodies of messages are logged.
    pub(crate) log_bodies: bool,
    pub(crate) reports: Arc<Reports>,
    pub(crate) tap: Tap,
    pub(crate) spool: Spool,
    pub(crate) board: Arc<Board>,
    pub(crate) events: SyncSender<Event>,
    /// To and from the updater of the agent.
    pub(crate) updates: Line,
    /// To and from the updater of the wrapper itself.
    pub(crate) own_updates: Line,
    /// What the platform asks for.
    pub(crate) errands: Errands,
    pub(crate) stop: Arc<Stop>,
    /// Whether a refused login ends everything (`IsTesting`).
    pub(crate) testing: bool,
}

/// Why a connection is over.
#[derive(Debug)]
pub(crate) enum Over {
    /// The wrapper ends.
    Stopped,
    /// The server said when to come back at the latest.
    GoAway { spread: Duration },
    /// The server does not let the wrapper in.
    Refused(Refusal),
    /// It could not be made, or broke.
    Lost { reason: String, no_internet: bool },
}

impl From<fetch::Error> for Over {
    fn from(error: fetch::Error) -> Self {
        match error {
            fetch::Error::Refused(refusal) => Self::Refused(refusal),
            fetch::Error::Dial(error) => {
                Self::Lost { reason: error.to_string(), no_internet: error.kind.is_no_internet() }
            }
            other => Self::Lost { reason: other.to_string(), no_internet: false },
        }
    }
}

impl Link {
    /// Connects, again and again, until it is told to stop. Leaves what the server has not heard on disk.
    pub(crate) fn run(mut self) {
        let mut lost = Backoff::reconnect();
        let mut refused = Backoff::new(REFUSED_BASE, REFUSED_CAP, Jitter::Half);
        while !self.stop.is_set() {
            let began = self.watch.now();
            let over = self.session();
            self.updates.say(Said::Offline);
            self.own_updates.say(Said::Offline);
            self.reports.disconnected();
            self.spool.disconnected();
            let delay = match &over {
                Over::Stopped => break,
                Over::GoAway { spread } => spread.mul_f64(random::unit()),
                Over::Refused(refusal) => {
                    let least = Duration::from_secs(refusal.retry_after_seconds.unwrap_or(0).into());
                    refused.next(random::unit()).max(least)
                }
                Over::Lost { .. } => {
                    if self.watch.now().since(began) >= STABLE_AFTER {
                        lost.reset();
                    }
                    lost.next(random::unit())
                }
            };
            self.tell(&over, delay);
            self.gather_lines();
            note(self.spool.spill());
            self.stop.wait(delay);
        }
        self.gather_lines();
        note(self.spool.persist());
    }

    /// Says why it is not online, in the log and in the status.
    fn tell(&self, over: &Over, delay: Duration) {
        let next_try_s = delay.as_secs();
        let problem = match over {
            Over::Stopped => return,
            Over::GoAway { .. } => {
                info!(next_try_s, "the server stops for a while, connecting again soon");
                "the server stops for a while".to_owned()
            }
            Over::Refused(refusal) => {
                warn!(event = event::HEARTBEAT_FAILED, code = ?refusal.code, next_try_s, "the server does not let the wrapper in: {refusal}");
                // A server that is busy or full says nothing about this installation.
                let passing = matches!(refusal.code, RefusalCode::Unavailable | RefusalCode::LicenceFull);
                if self.testing && !passing {
                    // The supervisor listens until everything has ended.
                    let _ = self.events.send(Event::TrialFailed);
                }
                refusal.to_string()
            }
            Over::Lost { reason, no_internet } => {
                let name = if *no_internet { event::NO_INTERNET } else { event::HEARTBEAT_FAILED };
                warn!(event = name, next_try_s, "not online: {reason}");
                reason.clone()
            }
        };
        self.board.update(|status| {
            status.server.online = false;
            status.server.problem = Some(problem);
        });
    }

    fn presence(&self, ip_address: Option<IpAddr>) -> Presence {
        self.machine.presence(
            self.watch.now().at,
            ip_address,
            self.agent_version.as_deref(),
            Some(env!("CARGO_PKG_VERSION")),
            self.executed_by,
        )
    }

    fn gather_lines(&mut self) {
        let drained = self.tap.drain(usize::MAX);
        self.spool.lost(drained.dropped);
        drained.lines.into_iter().for_each(|line| self.spool.push(line));
    }
}

fn note(kept: io::Result<()>) {
    if let Err(error) = kept {
        warn!(%error, "log lines for the server are only in memory");
    }
}

impl Over {
    fn lost(reason: impl Into<String>) -> Self {
        Self::Lost { reason: reason.into(), no_internet: false }
    }
}

impl From<dial::Error> for Over {
    fn from(error: dial::Error) -> Self {
        fetch::Error::from(error).into()
    }
}

/// Tells threads to end, and wakes those that sleep.
#[derive(Default)]
pub(crate) struct Stop {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Tells everyone.
    pub(crate) fn set(&self) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Whether it was told.
    pub(crate) fn is_set(&self) -> bool {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps, unless it is told before.
    pub(crate) fn wait(&self, most: Duration) {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits looks at the state again, whatever woke it.
        let _ = self.changed.wait_timeout_while(set, most, |set| !*set);
    }
}
