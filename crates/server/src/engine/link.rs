//! A line to one connection of an agent or wrapper.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Commands that may wait for a socket: room for an agent that comes back to many waiting runs. One that lets more pile
/// up does not read; its connection is ended and it starts again from what is stored.
const COMMANDS_MAX: usize = 4096;

/// Sends commands to one connection.
#[derive(Clone, Debug)]
pub(crate) struct Link<M> {
    epoch: i64,
    commands: mpsc::Sender<M>,
    closed: CancellationToken,
    /// What the other side can do, in the protocol's words.
    capabilities: Arc<[String]>,
}

impl<M> Link<M> {
    /// A link, and where its commands come out. Cancelling `closed` ends the connection.
    pub(crate) fn new(epoch: i64, closed: CancellationToken) -> (Self, mpsc::Receiver<M>) {
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        (Self { epoch, commands, closed, capabilities: Arc::default() }, queue)
    }

    /// The link to a side that can do this.
    #[must_use]
    pub(crate) fn able_to(mut self, capabilities: Vec<String>) -> Self {
        self.capabilities = capabilities.into();
        self
    }

    /// Whether the other side has said that it can do something.
    pub(crate) fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|known| known == capability)
    }

    /// Which connection of the agent it is.
    pub(crate) const fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Queues a command. A connection that cannot take it is ended: at its return the agent says what it works on, and
    /// what got lost is sent again.
    pub(crate) fn send(&self, command: M) {
        if self.commands.try_send(command).is_err() {
            self.closed.cancel();
        }
    }

    /// Ends the connection once what is queued has been sent.
    pub(crate) fn close(&self) {
        self.closed.cancel();
    }

    /// Returns when the connection is to end or has ended.
    pub(crate) async fn closed(&self) {
        self.closed.cancelled().await;
    }
}
