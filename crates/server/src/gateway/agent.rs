//! An agent's session: what it says is stored or handed to the engine, then acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::ws::WebSocket;
use futures_util::StreamExt as _;
use sallyport_domain::liveness::Part;
use sallyport_protocol::{
    AgentMessage, AttemptKey, InstanceId, LogBatch, LogLevel, OrderReport, RunId, ServerToAgent, Timestamp,
};
use sallyport_store::{Agent, LogSource, SessionKind};
use tokio::sync::mpsc;

use super::login::Known;
use super::registry::{Answer, Slot};
use super::socket::{self, Outbox};
use super::{Handle, session};

/// An agent's session and what it wants said.
pub(crate) struct Line {
    pub(super) session: Session,
    pub(super) outbox: Outbox<ServerToAgent>,
}

impl Line {
    /// Joins the session to an agent inside this process; returns why it ended.
    pub(crate) async fn carry(
        self,
        to_agent: mpsc::Sender<ServerToAgent>,
        mut from_agent: mpsc::Receiver<AgentMessage>,
    ) -> String {
        let Self { session, mut outbox } = self;
        let slot = Arc::clone(&session.slot);
        let writing = async {
            loop {
                let next = tokio::select! {
                    biased;
                    Some(command) = outbox.commands.recv() => Some(command),
                    Some(ack) = outbox.acks.recv() => Some(ack),
                    Some(()) = outbox.pings.recv() => { slot.lives(session.gateway.parts().clock.now()); continue }
                    () = slot.link.closed() => None,
                };
                let Some(message) = next else { return "the server ended the session".to_owned() };
                if to_agent.send(message).await.is_err() {
                    return "the agent ended the session".to_owned();
                }
            }
        };
        let reading = async {
            loop {
                let Some(message) = from_agent.recv().await else { return "the agent ended the session".to_owned() };
                slot.lives(session.gateway.parts().clock.now());
                if let Err(why) = session.take(message).await {
                    return why;
                }
            }
        };
        let why = tokio::select! {
            why = reading => why,
            why = writing => why,
        };
        session.end(&why).await;
        why
    }
}

/// A session of an agent that was let in.
pub(super) struct Session {
    gateway: Handle,
    agent: Agent,
    instance: InstanceId,
    slot: Arc<Slot<ServerToAgent>>,
    acks: mpsc::Sender<ServerToAgent>,
    /// It has said that it leaves.
    left: AtomicBool,
}

/// Serves an agent's control connection from its hello to its end.
pub(super) async fn serve(gateway: Handle, known: Known, address: String, mut socket: WebSocket) {
    let Some(hello) = socket::first::<AgentMessage>(&mut socket).await else {
        return tracing::info!(agent = known.agent.name, %address, "an agent connected and said no hello");
    };
    let Line { session, outbox } = match session::open_known(&gateway, known, hello, address).await {
        Ok(line) => line,
        Err(refusal) => return socket::turn_away(socket, &ServerToAgent::Refused { refusal }).await,
    };
    let (sink, stream) = socket.split();
    let why = tokio::select! {
        why = socket::read(stream, &session.slot, &gateway.parts().clock, |message| session.take(message)) => why,
        why = socket::write(sink, outbox, &session.slot) => why,
    };
    session.end(&why).await;
}

impl Session {
    pub(super) fn new(
        gateway: Handle,
        agent: Agent,
        instance: InstanceId,
        slot: Arc<Slot<ServerToAgent>>,
        acks: mpsc::Sender<ServerToAgent>,
    ) -> Self {
        Self { gateway, agent, instance, slot, acks, left: AtomicBool::new(false) }
    }

    /// Tells the engine and the operator.
    pub(super) async fn begin(&self, running: Vec<AttemptKey>) {
        let agent = self.agent.id;
        self.gateway.count_login();
        self.gateway.met(agent, None);
        if self.gateway.parts().engine.online(agent, self.slot.link.clone(), running).await.is_err() {
            self.slot.link.close();
        }
        let presence = &self.slot.presence;
        tracing::info!(
            agent = self.agent.name,
            machine = presence.machine_name,
            address = self.slot.address,
            version = presence.agent_version,
            "agent online"
        );
        let text = format!(
            "online from machine `{}`, folder `{}`, process {}",
            presence.machine_name, presence.directory, presence.process_id
        );
        self.gateway.note(agent, LogLevel::Info, text).await;
    }

    /// Takes the session off. A newer one of the same agent is left alone.
    pub(super) async fn end(&self, why: &str) {
        let (agent, epoch) = (self.agent.id, self.slot.link.epoch());
        self.slot.link.close();
        self.gateway.shared().agents.remove(agent, epoch);
        if self.gateway.parts().engine.offline(agent, epoch).await.is_err() {
            tracing::debug!(agent = self.agent.name, "the engine has stopped");
        }
        let now = self.gateway.parts().clock.now();
        match self.gateway.parts().store.release(SessionKind::Agent, agent, epoch, now).await {
            Ok(true) => {
                tracing::info!(agent = self.agent.name, why, "agent offline");
                self.gateway.note(agent, LogLevel::Info, format!("offline: {why}")).await;
                let good = self.left.load(Ordering::Relaxed) || self.gateway.is_leaving();
                self.gateway.sign(agent, Part::Agent, good, why, None).await;
            }
            Ok(false) => tracing::info!(agent = self.agent.name, why, "an older connection of an agent ended"),
            Err(error) => tracing::error!(agent = self.agent.name, %error, "a session was not taken off"),
        }
    }

    /// Works on one message; an error ends the session.
    pub(super) async fn take(&self, message: AgentMessage) -> Result<(), String> {
        let agent = self.agent.id;
        let stopped = |_| "the server is stopping".to_owned();
        match message {
            AgentMessage::Heartbeat { seq, said_at } => {
                let now = self.gateway.parts().clock.now();
                self.slot.clock_offset.store(said_at.0.saturating_sub(now.0), Ordering::Relaxed);
                self.acknowledge(ServerToAgent::HeartbeatAck { seq, server_time: now }).await;
            }
            AgentMessage::Accepted { key } => {
                self.gateway.parts().engine.accepted(agent, key).await.map_err(stopped)?
            }
            AgentMessage::Progress { key, steps } => {
                self.gateway.parts().engine.progress(agent, key, steps).await.map_err(stopped)?
            }
            AgentMessage::Finished { report } => self.finished(report).await,
            AgentMessage::Logs { batch } => self.logs(batch).await?,
            AgentMessage::ConnectionTested { request, test } => self.slot.answer(request, Answer::Test(test)),
            AgentMessage::Previewed { request, preview } => {
                self.slot.answer(request, Answer::Preview(Box::new(preview)));
            }
            AgentMessage::Leaving { reason } => {
                tracing::info!(agent = self.agent.name, reason, "agent leaves");
                self.left.store(true, Ordering::Relaxed);
                return Err(format!("it left: {reason}"));
            }
            AgentMessage::Hello { .. } => return Err("it said hello twice".to_owned()),
            AgentMessage::Unknown => tracing::debug!(agent = self.agent.name, "a message of a newer agent was ignored"),
        }
        Ok(())
    }

    /// Without an acknowledgement the agent repeats its report. What it says next does not wait for the disk: the
    /// engine's queue bounds how many reports are under way.
    async fn finished(&self, mut report: OrderReport) {
        let (key, acks) = (report.key, self.acks.clone());
        let offset = self.slot.clock_offset.load(Ordering::Relaxed);
        report.ended_at = report.ended_at.map(|at| Timestamp(at.0.saturating_sub(offset)));
        let Ok(stored) = self.gateway.parts().engine.finished(self.agent.id, report).await else { return };
        self.gateway.parts().tasks.spawn(async move {
            if stored.await.is_ok() {
                // The writer is gone when the session ends.
                let _ = acks.send(ServerToAgent::FinishedAck { key }).await;
            }
        });
    }

    async fn logs(&self, batch: LogBatch) -> Result<(), String> {
        let (seq, now) = (batch.seq, self.gateway.parts().clock.now());
        let runs: BTreeSet<RunId> = batch.lines.iter().filter_map(|line| Some(line.run.as_ref()?.run)).collect();
        let store = &self.gateway.parts().store;
        let stored = store.store_log_batch(self.agent.id, LogSource::Agent, self.instance, batch, now).await;
        match stored {
            Ok(_) => {
                self.acknowledge(ServerToAgent::LogsAck { seq }).await;
                runs.into_iter().for_each(|run| self.gateway.parts().engine.hint(run));
                Ok(())
            }
            Err(error) => {
                tracing::error!(agent = self.agent.name, %error, "log lines were not stored");
                // The lines come again with the next connection.
                Err("log lines could not be stored".to_owned())
            }
        }
    }

    async fn acknowledge(&self, message: ServerToAgent) {
        // The writer is gone when the session ends.
        let _ = self.acks.send(message).await;
    }
}
