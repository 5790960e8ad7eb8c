//! The background agents: the same agent code inside the server, one for each environment, always online.
//!
//! Invariant: it reaches its environment's folder among the server's files, other agents' connections through those
//! agents, and nothing else. The rule is asked when a task or connection is saved, when a run leaves the queue, when its
//! order is built, and by the agent itself.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sallyport_agent::{
    Agent as Core, Behaviour, BoxFuture, Egress, Identity, Link, OpenData, OpenError, ServerEnd, SessionEnd,
    Surroundings,
};
use sallyport_connectors::Site;
use sallyport_dataplane::Transport;
use sallyport_dataplane::tunnel::Line;
use sallyport_protocol::{
    AgentId, EnvironmentId, ExecutedBy, InstallationId, InstanceId, LINES_PER_BATCH_MAX, LogBatch, LogLine, Presence,
    Refusal, RunId, ServerToAgent, Ticket,
};
use sallyport_store::{Agent, AgentKind, LogSource};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::gateway::{self, Handle};
use crate::tunnel;

/// Between two sessions.
const PAUSE: Duration = Duration::from_secs(1);

/// Log lines that may wait for the store; more are dropped and counted.
const LINES_MAX: usize = 2048;

/// What one transform may hold in the server's memory before it spills.
const TRANSFORM_MEMORY: usize = 64 * 1024 * 1024;

/// An answer within the process takes as long as a commit.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Where the background agents work, each in its environment's part.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    /// What they read and write.
    pub(crate) files: PathBuf,
    /// What they cannot hold in memory.
    pub(crate) scratch: PathBuf,
}

impl Folders {
    /// What lies in one environment is out of reach of the others.
    fn of(&self, environment: EnvironmentId) -> Self {
        let part = environment.to_string();
        Self { files: self.files.join(&part), scratch: self.scratch.join(&part) }
    }
}

/// Starts the agents that there are; they go on until the server stops.
pub(crate) async fn start(gateway: &Handle, folders: Folders) -> Result<(), sallyport_store::Error> {
    let agents = gateway.parts().store.all_agents(AgentKind::Background).await?;
    for agent in agents {
        let folders = folders.of(agent.environment);
        gateway.parts().tasks.spawn(run(gateway.clone(), agent, folders));
    }
    Ok(())
}

async fn run(gateway: Handle, agent: Agent, folders: Folders) {
    for folder in [&folders.files, &folders.scratch] {
        if let Err(error) = tokio::fs::create_dir_all(folder).await {
            tracing::error!(folder = %folder.display(), %error, "a folder of the background agent could not be made");
        }
    }
    let instance = InstanceId::new();
    let (lines, queue) = mpsc::channel(LINES_MAX);
    let dropped = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&dropped);
    let surroundings = Surroundings {
        site: Arc::new(Site { files_root: folders.files.clone(), confined: true, ..Site::default() }),
        scratch_root: folders.scratch,
        data: Arc::new(Door { gateway: gateway.clone(), agent: agent.id }),
        // A full queue drops the line: the work goes before its log.
        log: Arc::new(move |line| {
            if lines.try_send(line).is_err() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }),
        transform_memory: TRANSFORM_MEMORY,
        clock: gateway.parts().clock.clone(),
        background: true,
        egress: Egress::unkept(),
        seal: None,
    };
    let mut core = Core::new(identity(&gateway, folders.files, instance), surroundings, behaviour(), None);
    let ship = ship(gateway.clone(), agent.id, instance, (queue, dropped));
    let work = async move {
        sessions(&gateway, agent.id, &mut core).await;
        core.cancel_all("the server stops").await;
        // With the agent goes the last of who writes lines: what is left of them is stored.
    };
    tokio::join!(work, ship);
}

async fn sessions(gateway: &Handle, agent: AgentId, core: &mut Core) {
    while !gateway.parts().stop.is_cancelled() {
        let (link, end) = Link::pair();
        // The server's end closes it, before everything else stops.
        let never = CancellationToken::new();
        let (ended, ()) = tokio::join!(core.session(link, &never), answer(gateway, agent, end));
        if let SessionEnd::Lost { why, .. } = &ended {
            tracing::warn!(%agent, why, "the background agent's session was lost");
        }
        core.offline(async {
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = gateway.parts().stop.cancelled() => {}
            }
        })
        .await;
    }
}

/// The server's side of a session.
async fn answer(gateway: &Handle, agent: AgentId, end: ServerEnd) {
    let ServerEnd { mut from_agent, to_agent } = end;
    let Some(hello) = from_agent.recv().await else { return };
    match gateway::open(gateway, agent, hello).await {
        Ok(line) => drop(line.carry(to_agent, from_agent).await),
        // The agent may have ended meanwhile.
        Err(refusal) => drop(to_agent.send(ServerToAgent::Refused { refusal }).await),
    }
}

/// Stores the log lines of steps.
async fn ship(
    gateway: Handle,
    agent: AgentId,
    instance: InstanceId,
    (mut queue, dropped): (mpsc::Receiver<LogLine>, Arc<AtomicU64>),
) {
    let mut lines = Vec::with_capacity(LINES_PER_BATCH_MAX);
    let mut seq = 0;
    while queue.recv_many(&mut lines, LINES_PER_BATCH_MAX).await > 0 {
        seq += 1;
        let lines = std::mem::take(&mut lines);
        let runs: BTreeSet<RunId> = lines.iter().filter_map(|line| Some(line.run.as_ref()?.run)).collect();
        let batch = LogBatch { seq, dropped: dropped.swap(0, Ordering::Relaxed), lines };
        let stored = gateway
            .parts()
            .store
            .store_log_batch(agent, LogSource::Agent, instance, batch, gateway.parts().clock.now())
            .await;
        if let Err(error) = stored {
            tracing::error!(%agent, %error, "log lines were not stored");
        }
        runs.into_iter().for_each(|run| gateway.parts().engine.hint(run));
    }
}

fn identity(gateway: &Handle, folder: PathBuf, instance: InstanceId) -> Identity {
    let started_at = gateway.parts().clock.now();
    let clock = gateway.parts().clock.clone();
    let presence = move || Presence {
        machine_name: "server".to_owned(),
        ip_address: None,
        os: std::env::consts::OS.to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        agent_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        wrapper_version: None,
        directory: folder.display().to_string(),
        user: String::new(),
        executed_by: ExecutedBy::Server,
        process_id: std::process::id(),
        is_64_bit: cfg!(target_pointer_width = "64"),
        can_execute_process: false,
        can_write: true,
        policy: None,
        key: None,
        started_at,
        said_at: clock.now(),
    };
    Identity {
        presence: Box::new(presence),
        installation: InstallationId::new(),
        instance,
        programs: Vec::new(),
        tunnels: false,
        seals: false,
    }
}

fn behaviour() -> Behaviour {
    Behaviour {
        answer_max: ANSWER_MAX,
        print_queue_events: false,
        // It logs through the server's own log.
        on_levels: Box::new(|_| {}),
        on_tunnel: Box::new(|_| {}),
        on_online: Box::new(|_| {}),
    }
}

/// Opens streams without a socket.
struct Door {
    gateway: Handle,
    agent: AgentId,
}

impl OpenData for Door {
    fn open<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<Transport, OpenError>> {
        Box::pin(async move {
            let opened = self.gateway.parts().relay.attach_local(self.agent, ticket).await;
            opened.map_err(unopened)
        })
    }

    fn line<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<Line, OpenError>> {
        Box::pin(async move { tunnel::line(&self.gateway, self.agent, ticket).await.map_err(unopened) })
    }
}

fn unopened(refusal: Refusal) -> OpenError {
    OpenError { remedy: refusal.code.into(), message: refusal.message }
}
