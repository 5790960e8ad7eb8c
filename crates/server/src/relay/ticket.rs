//! Tickets: what a stream's end may attach to, signed by the server, so that they outlive its process.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sallyport_protocol::{AgentId, AttemptKey, ConnectionId, EnvironmentId, Secret, Side, Ticket, TunnelId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::secrets::{Purpose, Secrets};

/// One stream of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Stream {
    /// The attempt.
    pub(crate) key: AttemptKey,
    /// The number of the step that sends.
    pub(crate) from: u32,
    /// The number of the step that takes.
    pub(crate) to: u32,
}

/// The right to one end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) stream: Stream,
    pub(super) side: Side,
    pub(super) agent: AgentId,
}

/// A step's right to streams to a connection that other agents than its own reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Passage {
    /// The attempt.
    pub(crate) key: AttemptKey,
    /// The step's agent.
    pub(crate) agent: AgentId,
    /// Where the connection is.
    pub(crate) environment: EnvironmentId,
    /// The connection.
    pub(crate) connection: ConnectionId,
    /// All streams of the step are one tunnel.
    pub(crate) tunnel: TunnelId,
    /// Who asked for the run, and which step it is.
    pub(crate) who: String,
}

/// What a ticket can be for; none passes for another.
pub(super) trait Right: Serialize + DeserializeOwned {
    const PURPOSE: Purpose;
}

impl Right for Claim {
    const PURPOSE: Purpose = Purpose::Stream;
}

impl Right for Passage {
    const PURPOSE: Purpose = Purpose::Passage;
}

/// Writes and reads tickets.
#[derive(Clone)]
pub(super) struct Tickets(Arc<Secrets>);

impl Tickets {
    pub(super) fn new(secrets: Arc<Secrets>) -> Self {
        Self(secrets)
    }

    pub(super) fn write<T: Right>(&self, right: &T) -> Result<Ticket, serde_json::Error> {
        let text = Secret::new(URL_SAFE_NO_PAD.encode(serde_json::to_vec(right)?));
        let signature = URL_SAFE_NO_PAD.encode(self.0.hash(T::PURPOSE, &text));
        Ok(Ticket::new(format!("{}.{signature}", text.expose())))
    }

    /// The right that the ticket claims; `None` where this server has not written it.
    pub(super) fn read<T: Right>(&self, ticket: &Ticket) -> Option<T> {
        let (text, signature) = ticket.expose().split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let signed = self.0.is_hash(T::PURPOSE, &Secret::new(text), &signature);
        let bytes = signed.then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()?;
        serde_json::from_slice(&bytes).ok()
    }
}
