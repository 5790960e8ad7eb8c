//! A wrapper's session: how the platform hears why an agent is down.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::WebSocket;
use futures_util::StreamExt as _;
use sallyport_domain::liveness::Part;
use sallyport_domain::rollout::Product;
use sallyport_protocol::{
    AgentExit, Crash, InstanceId, LogBatch, LogLevel, Refusal, RefusalCode, ServerToWrapper, UpdateReport,
    WrapperMessage, event,
};
use sallyport_store::{Agent, LogSource, SessionKind};
use tokio::sync::{Notify, mpsc};

use super::login::Known;
use super::registry::{Answer, Slot};
use super::seat::{self, Newcomer, Seat};
use super::socket::{self, Outbox};
use super::{Handle, offer};

/// Names of events that the server writes into the agent's log.
const AGENT_STARTED: &str = "agentStarted";
const AGENT_EXITED: &str = "agentExited";
const AGENT_UPDATE: &str = "agentUpdate";
const WRAPPER_UPDATE: &str = "wrapperUpdate";

/// Why an agent is offline, as its wrapper saw it end.
pub(crate) fn exit_text(exit: &AgentExit) -> String {
    let how = match (exit.code, exit.signal) {
        (Some(code), _) => format!("agent process exited with code {code}"),
        (None, Some(signal)) => format!("agent process was ended by signal {signal}"),
        (None, None) => "agent process ended".to_owned(),
    };
    let how = match exit.cause {
        Some(cause) => format!("{how}: it {}", cause.words()),
        None => how,
    };
    if exit.expected {
        return format!("{how}, as asked");
    }
    let wait = match exit.next_start_ms {
        millis if millis >= 1000 => format!("{} s", millis.div_ceil(1000)),
        millis => format!("{millis} ms"),
    };
    format!("{how}, restarting in {wait} ({} restart)", ordinal(exit.restarts.saturating_add(1)))
}

fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

struct Session {
    gateway: Handle,
    agent: Agent,
    instance: InstanceId,
    slot: Arc<Slot<ServerToWrapper>>,
    acks: mpsc::Sender<ServerToWrapper>,
    /// What it said last about updates of its agent and of itself; nothing is offered before.
    updates: Mutex<HashMap<Product, UpdateReport>>,
    news: Notify,
    /// It has said that it leaves.
    left: AtomicBool,
}

/// Serves a wrapper's control connection from its hello to its end.
pub(super) async fn serve(gateway: Handle, known: Known, address: String, mut socket: WebSocket) {
    let Some(hello) = socket::first::<WrapperMessage>(&mut socket).await else {
        return tracing::info!(agent = known.agent.name, %address, "a wrapper connected and said no hello");
    };
    let (session, outbox) = match open(&gateway, known, hello, address).await {
        Ok(opened) => opened,
        Err(refusal) => return socket::turn_away(socket, &ServerToWrapper::Refused { refusal }).await,
    };
    tracing::info!(agent = session.agent.name, "wrapper online");
    let (sink, stream) = socket.split();
    let why = tokio::select! {
        why = socket::read(stream, &session.slot, &gateway.parts().clock, |message| session.take(message)) => why,
        why = socket::write(sink, outbox, &session.slot) => why,
        never = session.keep_offering() => match never {},
    };
    session.end(&why).await;
}

async fn open(
    gateway: &Handle,
    known: Known,
    hello: WrapperMessage,
    address: String,
) -> Result<(Session, Outbox<ServerToWrapper>), Refusal> {
    let WrapperMessage::Hello { versions, presence, installation, instance } = hello else {
        return Err(Refusal {
            code: RefusalCode::Other,
            message: "The first message must be a hello.".to_owned(),
            retry_after_seconds: None,
        });
    };
    let newcomer = Newcomer {
        agent: known.agent.id,
        credential: Some(known.credential),
        versions,
        presence,
        installation,
        instance,
        programs: Vec::new(),
        address: Some(address),
    };
    let Seat { agent, instance, slot, acks, outbox } = seat::take(gateway, newcomer).await?;
    let session = Session {
        gateway: gateway.clone(),
        agent,
        instance,
        slot,
        acks,
        updates: Mutex::default(),
        news: Notify::new(),
        left: AtomicBool::new(false),
    };
    Ok((session, outbox))
}

impl Session {
    async fn take(&self, message: WrapperMessage) -> Result<(), String> {
        match message {
            WrapperMessage::Heartbeat { seq, .. } => {
                let server_time = self.gateway.parts().clock.now();
                self.acknowledge(ServerToWrapper::HeartbeatAck { seq, server_time }).await;
                self.acknowledge(self.seen().await).await;
            }
            WrapperMessage::Update { report } => self.updating(Product::Agent, report).await?,
            WrapperMessage::WrapperUpdate { report } => self.updating(Product::Wrapper, report).await?,
            WrapperMessage::AgentStarted { process_id, .. } => {
                let text = format!("agent process {process_id} started");
                self.line(LogLevel::Info, AGENT_STARTED, text).await?;
            }
            WrapperMessage::AgentExited { exit } => self.exited(exit).await?,
            WrapperMessage::Logs { batch } => self.logs(batch).await?,
            WrapperMessage::Crashed { crash } => self.crashed(crash).await?,
            WrapperMessage::Examined { request, examination } => {
                self.slot.answer(request, Answer::Examination(Box::new(examination)));
            }
            WrapperMessage::Leaving { reason } => {
                self.left.store(true, Ordering::Relaxed);
                return Err(format!("it left: {reason}"));
            }
            WrapperMessage::Hello { .. } => return Err("it said hello twice".to_owned()),
            WrapperMessage::Unknown => {
                tracing::debug!(agent = self.agent.name, "a newer wrapper's message was ignored")
            }
        }
        Ok(())
    }

    /// What the server sees of the agent.
    async fn seen(&self) -> ServerToWrapper {
        let id = self.agent.id;
        let runs = self.gateway.parts().engine.runs_at(id).await;
        let slot = self.gateway.shared().agents.get(id);
        let online = slot.as_ref().map_or(0, |slot| self.gateway.parts().clock.now().since(slot.since).as_secs());
        ServerToWrapper::AgentSeen {
            process_id: slot.map(|slot| slot.presence.process_id),
            online_seconds: u32::try_from(online).unwrap_or(u32::MAX),
            runs,
        }
    }

    /// Kept as the reason why agent and wrapper have the version that they have.
    async fn updating(&self, product: Product, report: UpdateReport) -> Result<(), String> {
        self.gateway.make_way(&self.agent, product, report.step).await;
        let before = self.reported().insert(product, report.clone());
        self.news.notify_one();
        if before.is_some_and(|before| before.text != report.text) {
            tracing::info!(agent = self.agent.name, ?product, step = ?report.step, text = report.text, "update");
            let (name, text) = match product {
                Product::Agent => (AGENT_UPDATE, report.text.clone()),
                Product::Wrapper => (WRAPPER_UPDATE, format!("wrapper: {}", report.text)),
            };
            self.line(LogLevel::Info, name, text).await?;
        }
        let stored = self.gateway.parts().store.note_update(self.agent.id, product, report).await;
        stored.map_err(|error| format!("storing how an update stands: {error}"))
    }

    fn reported(&self) -> MutexGuard<'_, HashMap<Product, UpdateReport>> {
        self.updates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says which versions are wanted, whenever that changes.
    async fn keep_offering(&self) -> Infallible {
        let mut changed = self.gateway.shared().offers.subscribe();
        let mut tick = tokio::time::interval(offer::LOOK_EVERY);
        let mut said = HashMap::new();
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.news.notified() => {}
                // The sender lives as long as the gateway that this holds.
                _ = changed.changed() => {}
            }
            let (id, now) = (self.agent.id, self.gateway.parts().clock.now());
            let reports = self.reported().clone();
            for (product, report) in reports {
                let at_once = self.gateway.shared().hurry.of((id, product), now).is_some();
                match offer::offer(&self.gateway, id, product, &report, at_once).await {
                    Ok(offer) if said.get(&product) != Some(&offer) => {
                        self.slot.link.send(offer.clone().of(product));
                        said.insert(product, offer);
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(agent = self.agent.name, %error, "no version could be offered"),
                }
            }
        }
    }

    /// Kept as the reason why the agent is offline; one that is told again after a reconnect is kept once.
    async fn exited(&self, exit: AgentExit) -> Result<(), String> {
        let id = self.agent.id;
        let known = self.gateway.parts().store.agent_anywhere(id).await.map_err(|error| error.to_string())?.last_exit;
        if known.is_some_and(|known| known.at == exit.at && known.restarts == exit.restarts) {
            return Ok(());
        }
        let text = exit_text(&exit);
        tracing::warn!(agent = self.agent.name, expected = exit.expected, text, "an agent process ended");
        let crashed = match exit.cause {
            Some(cause) => cause.is_crash(),
            // Wrappers from before causes.
            None => !exit.expected && (exit.code == Some(101) || exit.signal.is_some()),
        };
        self.gateway.sign(id, Part::Process, exit.expected, &text, exit.cause).await;
        let level = if exit.expected { LogLevel::Info } else { LogLevel::Error };
        for line in &exit.stderr {
            self.line(level, AGENT_EXITED, format!("stderr: {line}")).await?;
        }
        let name = if crashed { event::UNCAUGHT_EXCEPTION } else { AGENT_EXITED };
        self.line(level, name, text).await?;
        self.gateway.parts().store.note_agent_exit(id, exit).await.map_err(|error| error.to_string())
    }

    /// Kept with the agent, and told in its log; one that is told again after a reconnect is kept once.
    async fn crashed(&self, crash: Crash) -> Result<(), String> {
        let text = format!("the {} {}: {} (logs/{})", crash.program, crash.cause.words(), crash.message, crash.file);
        let (store, now) = (&self.gateway.parts().store, self.gateway.parts().clock.now());
        let new = store.note_crash(self.agent.id, crash.bounded(), now).await;
        if new.map_err(|error| format!("storing a crash: {error}"))? {
            tracing::warn!(agent = self.agent.name, text, "a crash was reported");
            self.line(LogLevel::Error, event::UNCAUGHT_EXCEPTION, text).await?;
        }
        Ok(())
    }

    async fn line(&self, level: LogLevel, event: &'static str, text: String) -> Result<(), String> {
        let now = self.gateway.parts().clock.now();
        let stored = self.gateway.parts().store.append_agent_log(self.agent.id, level, Some(event), text, now).await;
        stored.map_err(|error| format!("storing a line of the agent's log: {error}"))
    }

    async fn logs(&self, batch: LogBatch) -> Result<(), String> {
        let (seq, now) = (batch.seq, self.gateway.parts().clock.now());
        let stored = self
            .gateway
            .parts()
            .store
            .store_log_batch(self.agent.id, LogSource::Wrapper, self.instance, batch, now)
            .await;
        stored.map_err(|error| format!("log lines could not be stored: {error}"))?;
        self.acknowledge(ServerToWrapper::LogsAck { seq }).await;
        Ok(())
    }

    async fn end(&self, why: &str) {
        let (agent, epoch) = (self.agent.id, self.slot.link.epoch());
        self.slot.link.close();
        self.gateway.shared().wrappers.remove(agent, epoch);
        if let Err(error) = self
            .gateway
            .parts()
            .store
            .release(SessionKind::Wrapper, agent, epoch, self.gateway.parts().clock.now())
            .await
        {
            tracing::error!(agent = self.agent.name, %error, "a wrapper's session was not taken off");
        }
        let good = self.left.load(Ordering::Relaxed) || self.gateway.is_leaving();
        self.gateway.sign(agent, Part::Wrapper, good, why, None).await;
        tracing::info!(agent = self.agent.name, why, "wrapper offline");
    }

    async fn acknowledge(&self, message: ServerToWrapper) {
        // The writer is gone when the session ends.
        let _ = self.acks.send(message).await;
    }
}
