//! Tickets: what a stream's end may attach to, signed by the server, so that they outlive its process.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sallyport_protocol::{AgentId, AttemptKey, Secret, Side, Ticket};
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

/// Writes and reads tickets.
#[derive(Clone)]
pub(super) struct Tickets(Arc<Secrets>);

impl Tickets {
    pub(super) fn new(secrets: Arc<Secrets>) -> Self {
        Self(secrets)
    }

    pub(super) fn write(&self, claim: &Claim) -> Result<Ticket, serde_json::Error> {
        let text = Secret::new(URL_SAFE_NO_PAD.encode(serde_json::to_vec(claim)?));
        let signature = URL_SAFE_NO_PAD.encode(self.0.hash(Purpose::Stream, &text));
        Ok(Ticket::new(format!("{}.{signature}", text.expose())))
    }

    /// What the ticket claims; `None` where this server has not written it.
    pub(super) fn read(&self, ticket: &Ticket) -> Option<Claim> {
        let (text, signature) = ticket.expose().split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let signed = self.0.is_hash(Purpose::Stream, &Secret::new(text), &signature);
        let bytes = signed.then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()?;
        serde_json::from_slice(&bytes).ok()
    }
}
