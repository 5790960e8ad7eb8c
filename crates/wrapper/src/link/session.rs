//! One connection: handshake, hello, then a loop that sends what waits and reads for a moment at a time.

use std::io;
use std::time::Duration;

use sallyport_protocol::{ServerToWrapper, Versions, WrapperMessage, capability, event, path};
use sallyport_site::dial::Route;
use sallyport_site::redact;
use tracing::{debug, info, warn};
use tungstenite::{Message, WebSocket};

use super::handshake::{self, Opened, Shared};
use super::{Link, Over};
use crate::agent;
use crate::moment::Moment;
use crate::supervise::Event;
use crate::update::Said;

/// How long one read waits; what waits to be sent waits at most as long.
const READ_STEP: Duration = Duration::from_millis(500);
/// No byte for this long: the connection is dead, whatever the system thinks. The server pings every 20 s.
const SILENCE_MAX: Duration = Duration::from_secs(65);
/// How often a heartbeat asks what the server sees of the agent while a new version is on trial.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Messages of one connection that may be passed over; more are a server that speaks something else.
const UNREADABLE_MAX: u32 = 16;

/// A connection on which the server has said welcome, or is about to.
struct Session<'a> {
    link: &'a mut Link,
    socket: WebSocket<Shared>,
    /// Since when the server knows the wrapper.
    welcome: Option<Moment>,
    heard_at: Moment,
    heartbeat_every: Duration,
    heartbeat: u64,
    heartbeat_at: Moment,
    acknowledged: u64,
    unreadable: u32,
    /// The number of the last report about updates that was sent.
    updates_told: u64,
    own_updates_told: u64,
}

impl Link {
    /// Makes a connection and stays with it until it is over.
    pub(super) fn session(&mut self) -> Over {
        match self.connect() {
            Ok(over) | Err(over) => over,
        }
    }

    fn connect(&mut self) -> Result<Over, Over> {
        // Asked each time: the agent may have been installed or updated since.
        self.agent_version = agent::version_of(&self.agent_program.path());
        let Opened { socket, route, local } = handshake::open(&self.door, path::WRAPPER, READ_STEP)?;
        let now = self.watch.now();
        let hello = WrapperMessage::Hello {
            versions: Versions::ours(&[capability::EXAMINE]),
            presence: self.presence(local),
            installation: self.installation,
            instance: self.instance,
        };
        let mut session = Session {
            socket,
            welcome: None,
            heard_at: now,
            heartbeat_every: Duration::from_secs(60),
            heartbeat: 0,
            heartbeat_at: now,
            acknowledged: 0,
            unreadable: 0,
            updates_told: 0,
            own_updates_told: 0,
            link: self,
        };
        session.send(&hello)?;
        Ok(session.stay(&route))
    }
}

impl Session<'_> {
    fn stay(&mut self, route: &Route) -> Over {
        loop {
            if self.link.stop.is_set() {
                return self.leave(route);
            }
            let turn = self.send_what_waits().and_then(|()| self.receive(route)).and_then(|()| self.check_life());
            if let Err(over) = turn {
                return over;
            }
        }
    }

    /// Sends what still waits, gives the server a moment to acknowledge it, and says farewell.
    fn leave(&mut self, route: &Route) -> Over {
        const TURNS: u32 = 2;
        // The farewell is a courtesy: the connection is over with or without it.
        let mut alive = self.send_what_waits().is_ok();
        for _ in 0..TURNS {
            alive = alive && (self.acknowledged == self.heartbeat || self.receive(route).is_ok());
        }
        if alive {
            let _ = self.send(&WrapperMessage::Leaving { reason: "the wrapper was stopped".to_owned() });
            let _ = self.socket.close(None);
            let _ = self.socket.flush();
        }
        Over::Stopped
    }

    fn send_what_waits(&mut self) -> Result<(), Over> {
        if self.welcome.is_none() {
            return Ok(());
        }
        if let Some((number, report)) = self.link.updates.newer(self.updates_told) {
            self.send(&WrapperMessage::Update { report })?;
            self.updates_told = number;
        }
        if let Some((number, report)) = self.link.own_updates.newer(self.own_updates_told) {
            self.send(&WrapperMessage::WrapperUpdate { report })?;
            self.own_updates_told = number;
        }
        let every = if self.link.updates.is_watching() || self.link.own_updates.is_watching() {
            WATCH_EVERY
        } else {
            self.heartbeat_every
        };
        let reports = self.link.reports.take_unsent(self.heartbeat + 1);
        let due = self.link.watch.now().since(self.heartbeat_at) >= every;
        if !reports.is_empty() || due || self.heartbeat == 0 {
            for report in &reports {
                self.send(report)?;
            }
            self.heartbeat += 1;
            self.heartbeat_at = self.link.watch.now();
            self.send(&WrapperMessage::Heartbeat { seq: self.heartbeat, said_at: self.heartbeat_at.at })?;
        }
        let answers: Vec<WrapperMessage> = self.link.errands.answers().collect();
        for answer in &answers {
            self.send(answer)?;
        }
        self.link.gather_lines();
        while let Some(batch) = self.link.spool.next_batch() {
            self.send(&WrapperMessage::Logs { batch })?;
        }
        Ok(())
    }

    fn receive(&mut self, route: &Route) -> Result<(), Over> {
        let message = match self.socket.read() {
            Ok(message) => message,
            Err(tungstenite::Error::Io(error)) if is_patience(&error) => return Ok(()),
            Err(tungstenite::Error::ConnectionClosed) => return Err(Over::lost("the server closed the connection")),
            Err(error) => return Err(Over::lost(format!("the connection broke: {error}"))),
        };
        self.heard_at = self.link.watch.now();
        match message {
            Message::Text(text) => {
                if self.link.log_bodies {
                    debug!(target: "sallyport_wrapper::body::ship", body = redact::text(&text), "received");
                }
                match serde_json::from_str(&text) {
                    Ok(message) => self.handle(message, route),
                    Err(error) if self.unreadable < UNREADABLE_MAX => {
                        self.unreadable += 1;
                        warn!(%error, "a message of the server cannot be read; is this wrapper too old?");
                        Ok(())
                    }
                    Err(error) => Err(Over::lost(format!("the server said what is not understood: {error}"))),
                }
            }
            Message::Close(_) => Err(Over::lost("the server closed the connection")),
            // Pings are answered by the library with the next read or write.
            _ => Ok(()),
        }
    }

    fn handle(&mut self, message: ServerToWrapper, route: &Route) -> Result<(), Over> {
        match message {
            ServerToWrapper::Welcome { name, heartbeat_seconds, .. } => {
                self.welcome = Some(self.link.watch.now());
                self.heartbeat_every = Duration::from_secs(u64::from(heartbeat_seconds.max(1)));
                let server = &self.link.door.address;
                info!(%route, "Online as \"{name}\" at {server}");
                self.link.board.update(|status| {
                    status.server.online = true;
                    status.server.name = Some(name);
                    status.server.problem = None;
                });
            }
            ServerToWrapper::Refused { refusal } => return Err(Over::Refused(refusal)),
            ServerToWrapper::HeartbeatAck { seq, .. } => {
                debug!(event = event::HEARTBEAT_SENT, seq, "heartbeat acknowledged");
                self.acknowledged = self.acknowledged.max(seq);
                self.link.reports.acknowledged(seq);
            }
            ServerToWrapper::LogsAck { seq } => self.link.spool.acknowledge(seq),
            ServerToWrapper::RestartAgent { reason } => {
                info!(reason, "the platform wants the agent restarted");
                // The supervisor listens until everything has ended.
                let _ = self.link.events.send(Event::RestartAsked);
            }
            ServerToWrapper::Offer { release, reason } => {
                self.link.updates.say(Said::Offer { release: release.map(Box::new), reason });
            }
            ServerToWrapper::OfferWrapper { release, reason } => {
                self.link.own_updates.say(Said::Offer { release: release.map(Box::new), reason });
            }
            ServerToWrapper::AgentSeen { process_id, online_seconds, runs } => {
                let online = Duration::from_secs(online_seconds.into());
                self.link.updates.say(Said::Seen { process_id, online, runs });
                // It follows an acknowledged heartbeat: the server knows this wrapper, and since when.
                let online = self.welcome.map(|since| self.link.watch.now().since(since)).unwrap_or_default();
                self.link.own_updates.say(Said::Seen { process_id: Some(std::process::id()), online, runs });
            }
            ServerToWrapper::RetryUpdate { reason } => {
                info!(reason, "the platform wants a failed version tried again");
                self.link.updates.say(Said::Retry);
                self.link.own_updates.say(Said::Retry);
            }
            ServerToWrapper::Examine { request } => self.link.errands.examine(request),
            ServerToWrapper::Bundle { request } => self.link.errands.bundle(request),
            ServerToWrapper::GoAway { spread_ms } => {
                return Err(Over::GoAway { spread: Duration::from_millis(spread_ms) });
            }
            ServerToWrapper::Unknown => debug!("the server said something that this version does not know"),
        }
        Ok(())
    }

    /// Gives a connection up that looks alive and is not.
    fn check_life(&self) -> Result<(), Over> {
        let now = self.link.watch.now();
        let silent = now.since(self.heard_at);
        if silent >= SILENCE_MAX {
            return Err(Over::lost(format!("nothing was heard from the server for {} s", silent.as_secs())));
        }
        let patience = self.link.acknowledge_within;
        let waited = now.since(self.heartbeat_at);
        if self.welcome.is_none() && waited >= patience {
            return Err(Over::lost(format!("the server did not answer the hello within {} s", patience.as_secs())));
        }
        if self.acknowledged < self.heartbeat && waited >= patience {
            warn!(event = event::HEARTBEAT_FAILED, seq = self.heartbeat, "heartbeat not acknowledged");
            return Err(Over::lost(format!("a heartbeat was not acknowledged within {} s", patience.as_secs())));
        }
        Ok(())
    }

    fn send(&mut self, message: &WrapperMessage) -> Result<(), Over> {
        let text = serde_json::to_string(message).map_err(|error| Over::lost(error.to_string()))?;
        if self.link.log_bodies {
            debug!(target: "sallyport_wrapper::body::ship", body = redact::text(&text), "sent");
        }
        self.socket.send(Message::text(text)).map_err(|error| Over::lost(format!("the connection broke: {error}")))
    }
}

/// Whether a read only ran out of its moment.
fn is_patience(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
