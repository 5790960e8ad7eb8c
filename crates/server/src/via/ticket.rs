//! Addresses by which a browser sees a service: whoever has one may use that connection as the person who opened it.
//!
//! A page in a sandbox has no credentials of its own; its address is the credential. It ends with the login it was made
//! with, after half a day, and with the server's process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sallyport_protocol::{ConnectionId, EnvironmentId, Secret, Timestamp};

use crate::secrets::{Purpose, Secrets};

/// How long an address is good.
const VALID: Duration = Duration::from_secs(12 * 3600);

/// Addresses of one login; the oldest goes for a newer.
const OF_ONE_MAX: usize = 32;

/// All addresses.
const ALL_MAX: usize = 16 * 1024;

/// What an address gives a right to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The hash of the login or API token that it was made with.
    pub(crate) token: Vec<u8>,
    /// Where.
    pub(crate) environment: EnvironmentId,
    /// Which connection.
    pub(crate) connection: ConnectionId,
}

/// The addresses that are good, by the hash of what makes them hard to guess.
#[derive(Default)]
pub(crate) struct Tickets {
    held: Mutex<HashMap<Vec<u8>, (Ticket, Timestamp)>>,
}

impl Tickets {
    /// Makes an address's secret part; gives when it ends too.
    pub(crate) fn issue(
        &self,
        secrets: &Secrets,
        ticket: Ticket,
        now: Timestamp,
    ) -> anyhow::Result<(Secret, Timestamp)> {
        let (secret, ends_at) = (Secrets::token("")?, now.plus(VALID));
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, (_, ends_at)| *ends_at > now);
        let oldest = |held: &HashMap<Vec<u8>, (Ticket, Timestamp)>, all: bool| {
            let of_one = held.iter().filter(|(_, (standing, _))| all || standing.token == ticket.token);
            let count = of_one.clone().count();
            let most = if all { ALL_MAX } else { OF_ONE_MAX };
            (count >= most)
                .then(|| of_one.min_by_key(|(_, (_, ends_at))| *ends_at).map(|(hash, _)| hash.clone()))
                .flatten()
        };
        for all in [false, true] {
            if let Some(hash) = oldest(&held, all) {
                held.remove(&hash);
            }
        }
        held.insert(secrets.hash(Purpose::View, &secret), (ticket, ends_at));
        Ok((secret, ends_at))
    }

    /// What an address is good for now.
    pub(crate) fn find(&self, secrets: &Secrets, secret: &Secret, now: Timestamp) -> Option<Ticket> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (ticket, ends_at) = held.get(&secrets.hash(Purpose::View, secret))?;
        (*ends_at > now).then(|| ticket.clone())
    }
}
