//! Connects, serves, and connects again, until the process must end.

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use sallyport_protocol::{Clock, InstanceId, OrderReport, Presence, Refusal, RefusalCode, Timestamp, event};
use sallyport_site::config::Environment;
use sallyport_site::keys::{OwnKey, Peers};
use sallyport_site::lines::Spool;
use sallyport_site::lock::Lock;
use sallyport_site::log::Handle;
use sallyport_site::policy::PolicyFile;
use sallyport_site::presence::Machine;
use sallyport_site::{Layout, Settings, identity, random};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::life::{self, Life};
use super::reconnect::Reconnect;
use super::{Exit, Setup, run_log, set_levels};
use crate::control::CLOSED;
use crate::link::{self, DialError, Pool, Server};
use crate::tunnel::{Grounds, Tunnels};
use crate::{Agent, Behaviour, Egress, Identity, Journal, Link, Seal, SessionEnd, Shipping, Surroundings};

/// Bytes that one transform may hold in memory before it spills.
const TRANSFORM_MEMORY: usize = 96 * 1024 * 1024;

/// Everything that lives as long as the process.
struct Shell {
    agent: Agent,
    server: Arc<Server>,
    pool: Arc<Pool>,
    tunnels: Arc<Tunnels>,
    egress: Arc<Egress>,
    reconnect: Reconnect,
    /// The address that the last control connection left from.
    local: Arc<Mutex<Option<IpAddr>>>,
    life: Life,
    log_bodies: bool,
    is_testing: bool,
    /// Held while the process lives.
    _lock: Lock,
}

/// What one try at being online came to.
enum Try {
    Again(Duration),
    End(Exit),
}

pub(super) async fn run(setup: Setup, life: Life) -> anyhow::Result<Exit> {
    let tasks = TaskTracker::new();
    tasks.spawn(life::watch_signals(life.stop.clone()));
    crate::clear_scratch(&setup.layout.work());
    let (online, is_online) = watch::channel(false);
    let mut shell = Shell::new(setup, life, online).await?;
    let pool = Arc::clone(&shell.pool);
    let stop = shell.life.stop.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = pool.keep_warm(is_online) => {}
            () = stop.cancelled() => {}
        }
    });
    let life = shell.life.clone();
    let exit = tokio::select! {
        exit = shell.stay_online() => exit,
        never = life.prove() => match never {},
    };
    shell.agent.keep().await;
    shell.tunnels.close().await;
    shell.pool.close().await;
    let egress = Arc::clone(&shell.egress);
    if tokio::task::spawn_blocking(move || egress.close()).await.is_err() {
        error!("closing the ledger met a bug");
    }
    info!(?exit, "the agent ends");
    Ok(exit)
}

impl Shell {
    async fn new(setup: Setup, life: Life, online: watch::Sender<bool>) -> anyhow::Result<Self> {
        let Setup { flags, layout, settings, environment, log, dialer, tls, site, clock, lock } = setup;
        let machine = machine(layout.clone(), environment, clock.now()).await?;
        let (username, password) = (&settings.username, &settings.password);
        let server = Arc::new(Server::new(settings.server_address.clone(), dialer, tls, username, password));
        let pool = Arc::new(Pool::new(Arc::clone(&server)));
        let Kept { egress, seal } = Kept::open(&layout, &site.policy, &clock).await?;
        let fingerprint = seal.fingerprint();
        let grounds = Grounds { policy: Arc::clone(&site.policy), egress: Arc::clone(&egress) };
        let tunnels = Arc::new(Tunnels::new(Arc::clone(&server), grounds, clock.clone()));
        let asked = Arc::clone(&tunnels);
        let installation = identity::installation(&layout.installation())?;
        let local = Arc::new(Mutex::new(None));
        let identity = Identity {
            presence: presence(
                machine,
                clock.clone(),
                Arc::clone(&local),
                flags.wrapper_version,
                flags.executed_by.into(),
                Arc::clone(&site.policy),
                fingerprint,
            ),
            installation,
            instance: InstanceId::new(),
            programs: site.programs.keys().cloned().collect(),
            tunnels: true,
            seals: true,
        };
        let shipping = Shipping::new(spool(&layout)?, log.tap());
        let journal = journal(layout.journal()).await?;
        let surroundings = Surroundings {
            site: Arc::new(site),
            scratch_root: layout.work(),
            data: pool.opener(),
            log: run_log(),
            transform_memory: TRANSFORM_MEMORY,
            clock,
            background: false,
            egress: Arc::clone(&egress),
            seal: Some(seal),
        };
        tell_start(&settings, &layout, &log);
        let behaviour = Behaviour {
            answer_max: settings.reconnect_timeout,
            print_queue_events: settings.print_queue_events,
            on_levels: Box::new(move |levels| set_levels(&log, &layout, levels)),
            on_tunnel: Box::new(move |ask| asked.take(ask)),
            on_online: Box::new(move |now| {
                online.send_replace(now);
            }),
        };
        Ok(Self {
            agent: Agent::new(identity, surroundings, behaviour, Some(shipping)).with_journal(journal),
            server,
            pool,
            tunnels,
            egress,
            reconnect: Reconnect::new(),
            local,
            life,
            log_bodies: settings.log_api_call_body,
            is_testing: settings.is_testing,
            _lock: lock,
        })
    }

    async fn stay_online(&mut self) -> Exit {
        let orphaned = self.life.orphaned.clone();
        loop {
            let tried = tokio::select! {
                biased;
                () = orphaned.cancelled() => None,
                tried = self.once() => Some(tried),
            };
            let wait = match tried {
                None => {
                    // Fires what stops programs that steps have started; the life pipe's thread bounds it.
                    self.agent.cancel_all("the wrapper is gone").await;
                    return Exit::Orphaned;
                }
                Some(Try::End(exit)) => return exit,
                Some(Try::Again(wait)) => wait,
            };
            let life = self.life.clone();
            let woken = self.agent.offline(async move {
                tokio::select! {
                    () = tokio::time::sleep(wait) => false,
                    () = life.stop.cancelled() => true,
                    () = life.orphaned.cancelled() => true,
                }
            });
            if woken.await && self.life.stop.is_cancelled() {
                self.agent.cancel_all("the agent was stopped").await;
                return Exit::Stopped;
            }
        }
    }

    /// One connection, from its dialling to its end.
    async fn once(&mut self) -> Try {
        let server = Arc::clone(&self.server);
        let stop = self.life.stop.clone();
        let dialled = self.agent.offline(async move {
            tokio::select! {
                dialled = server.control() => Some(dialled),
                () = stop.cancelled() => None,
            }
        });
        let control = match dialled.await {
            Some(Ok(control)) => control,
            Some(Err(DialError::Refused(refusal))) => return self.refused(&refusal),
            Some(Err(DialError::Network { word, message, no_internet })) => {
                return Try::Again(self.unreachable(&word, &message, no_internet));
            }
            None => {
                self.agent.cancel_all("the agent was stopped").await;
                return Try::End(Exit::Stopped);
            }
        };
        *self.local.lock().unwrap_or_else(PoisonError::into_inner) = control.local;
        let began = Instant::now();
        let (link, server_end) = Link::pair();
        let carrying = link::carry(control, server_end, self.log_bodies);
        let (end, why_closed) = tokio::join!(self.agent.session(link, &self.life.stop), carrying);
        match end {
            SessionEnd::Stopped => Try::End(Exit::Stopped),
            SessionEnd::Restart { reason } => {
                info!(reason, "restarting");
                Try::End(Exit::Restart)
            }
            SessionEnd::Refused { refusal } => self.refused(&refusal),
            SessionEnd::GoAway { spread_ms } => {
                info!(spread_ms, "the server stops; reconnecting when it is back");
                Try::Again(self.reconnect.after_going_away(spread_ms, random::unit()))
            }
            SessionEnd::Lost { why, online } => {
                let cause = if why == CLOSED { why_closed } else { why };
                error!(event = event::HEARTBEAT_FAILED, cause, "the connection to the server was lost");
                let lasted = if online { began.elapsed() } else { Duration::ZERO };
                Try::Again(self.reconnect.after_loss(lasted, random::unit()))
            }
        }
    }

    fn unreachable(&mut self, word: &str, message: &str, no_internet: bool) -> Duration {
        let event = if no_internet { event::NO_INTERNET } else { event::HEARTBEAT_FAILED };
        let wait = self.reconnect.after_loss(Duration::ZERO, random::unit());
        let retry_ms = wait.as_millis() as u64;
        error!(event, cause = word, retry_ms, "{message}");
        wait
    }

    fn refused(&mut self, refusal: &Refusal) -> Try {
        if refusal.code == RefusalCode::LicenceFull {
            // The words that administrators know from other agents, in the log and on the console.
            let words = format!("WARNING: Disconnected. Server requested shutdown - {}!", refusal.message);
            warn!(event = event::HEARTBEAT_FAILED, "{words}");
            print_line(&words);
        } else {
            error!(event = event::HEARTBEAT_FAILED, code = ?refusal.code, "the server refused the login: {refusal}");
        }
        // A server that is busy or full says nothing about this installation.
        let passing = matches!(refusal.code, RefusalCode::Unavailable | RefusalCode::LicenceFull);
        if self.is_testing && !passing {
            error!("IsTesting is set: the agent ends instead of trying again");
            return Try::End(Exit::Refused);
        }
        let wait = self.reconnect.after_refusal(refusal, random::unit());
        info!(seconds = wait.as_secs(), "trying again later");
        Try::Again(wait)
    }
}

fn tell_start(settings: &Settings, layout: &Layout, log: &Handle) {
    info!(
        version = env!("CARGO_PKG_VERSION"),
        server = %settings.server_address,
        directory = %layout.home().display(),
        log = %log.path().display(),
        "agent starts"
    );
}

/// What the site keeps: its count with its ledger, and keys.
struct Kept {
    egress: Arc<Egress>,
    seal: Arc<Seal>,
}

impl Kept {
    async fn open(layout: &Layout, policy: &Arc<PolicyFile>, clock: &Clock) -> anyhow::Result<Self> {
        let key = OwnKey::open(&layout.key())?;
        let seal = Arc::new(Seal::new(key, Peers::at(&layout.peers()), clock.clone()));
        let (ledger, policy, time) = (layout.ledger(), Arc::clone(policy), clock.clone());
        let opened = tokio::task::spawn_blocking(move || Egress::open(&ledger, policy, time)).await;
        let egress = opened
            .context("opening the ledger")?
            .with_context(|| format!("opening the ledger in {}", layout.ledger().display()))?;
        Ok(Self { egress, seal })
    }
}

async fn machine(layout: Layout, environment: Environment, started_at: Timestamp) -> anyhow::Result<Machine> {
    let gathered = tokio::task::spawn_blocking(move || Machine::gather(&layout, &environment, started_at)).await;
    gathered.context("looking at the machine")
}

async fn journal(path: PathBuf) -> anyhow::Result<(Journal, Vec<OrderReport>)> {
    tokio::task::spawn_blocking(move || Journal::open(&path)).await.context("opening the journal")
}

fn spool(layout: &Layout) -> anyhow::Result<Spool> {
    let path = layout.spool().join("agent-lines.jsonl");
    Spool::open(&path).with_context(|| format!("opening {}", path.display()))
}

/// The licence's refusal is promised on the console, whatever the log level. A closed console is no reason to stop.
fn print_line(words: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{words}");
}

fn presence(
    machine: Machine,
    clock: Clock,
    local: Arc<Mutex<Option<IpAddr>>>,
    wrapper_version: Option<String>,
    executed_by: sallyport_protocol::ExecutedBy,
    policy: Arc<PolicyFile>,
    key: String,
) -> Box<dyn Fn() -> Presence + Send + Sync> {
    Box::new(move || {
        let ip = *local.lock().unwrap_or_else(PoisonError::into_inner);
        let version = Some(env!("CARGO_PKG_VERSION"));
        let presence = machine.presence(clock.now(), ip, version, wrapper_version.as_deref(), executed_by);
        Presence { policy: Some(policy.word().to_owned()), key: Some(key.clone()), ..presence }
    })
}
