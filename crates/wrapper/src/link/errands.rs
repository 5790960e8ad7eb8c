//! What the platform asks the wrapper to find out: done on a thread of its own, because it takes seconds.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use sallyport_protocol::{Clock, RequestId, WrapperMessage, path};
use sallyport_site::Layout;
use tracing::{info, warn};

use crate::fetch::Door;
use crate::{bundle, doctor};

/// Errands at once: the server asks for one at a time, and a lost connection may leave one behind.
const ERRANDS_MAX: usize = 2;

/// The errands of one wrapper.
pub(crate) struct Errands {
    layout: Layout,
    door: Door,
    clock: Clock,
    running: Vec<thread::JoinHandle<()>>,
    done: (SyncSender<WrapperMessage>, Receiver<WrapperMessage>),
}

impl Errands {
    pub(crate) fn new(layout: Layout, door: Door, clock: Clock) -> Self {
        Self { layout, door, clock, running: Vec::new(), done: mpsc::sync_channel(ERRANDS_MAX) }
    }

    /// Looks at the installation.
    pub(super) fn examine(&mut self, request: RequestId) {
        let (layout, clock, done) = (self.layout.clone(), self.clock.clone(), self.done.0.clone());
        self.run("doctor", move || {
            let examination = doctor::examine(&layout, &clock);
            // Nobody asks any more when there is no room.
            let _ = done.try_send(WrapperMessage::Examined { request, examination });
        });
    }

    /// Makes a support bundle and sends it.
    pub(super) fn bundle(&mut self, request: RequestId) {
        let (layout, clock, door) = (self.layout.clone(), self.clock.clone(), self.door.clone());
        self.run("bundle", move || {
            let sent = bundle::make(&layout, &clock).map_err(|error| error.to_string()).and_then(|zip| {
                door.post(&format!("{}?request={request}", path::BUNDLE), &zip).map_err(|error| error.to_string())
            });
            match sent {
                Ok(()) => info!("a support bundle was sent to the platform"),
                Err(reason) => warn!(reason, "a support bundle could not be sent"),
            }
        });
    }

    /// The answers that are to be sent.
    pub(super) fn answers(&self) -> impl Iterator<Item = WrapperMessage> {
        self.done.1.try_iter()
    }

    fn run(&mut self, name: &str, work: impl FnOnce() + Send + 'static) {
        self.running.retain(|errand| !errand.is_finished());
        if self.running.len() >= ERRANDS_MAX {
            return warn!(name, "the platform asked for more than is done at once");
        }
        info!(name, "asked for by the platform");
        match thread::Builder::new().name(name.to_owned()).spawn(work) {
            Ok(errand) => self.running.push(errand),
            Err(error) => warn!(%error, "no thread for what the platform asked for"),
        }
    }
}
