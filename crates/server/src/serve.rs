//! A server from start to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use sallyport_protocol::{Clock, Descriptor, Secret};
use sallyport_store::Store;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::app::App;
use crate::auth::pace::Pace;
use crate::auth::throttle::Throttle;
use crate::config::Config;
use crate::data_folder::{DataFolder, make_private};
use crate::listener::Listener;
use crate::live::{Live, Parts};
use crate::metrics::Metrics;
use crate::notify::{self, Notifier};
use crate::secrets::{Purpose, Secrets};
use crate::tunnel::Entries;
use crate::via::Tickets;
use crate::{first_start, http, retention, tls};

/// How long an agent may be away before what it works on is given up.
const RECONNECT_GRACE: Duration = Duration::from_secs(90);

/// How often agents and wrappers say that they live.
const HEARTBEAT_SECONDS: u32 = 60;

/// How often the server's own certificate is looked at: it is renewed weeks before it ends.
const RENEW_EVERY: Duration = Duration::from_secs(24 * 3600);

/// What a start has to tell the person in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Where it listens.
    pub listening: SocketAddr,
    /// What agents and people use.
    pub public_url: String,
    /// The one-time code to set the first administrator's password; absent once that is done.
    pub setup_code: Option<Secret>,
    /// The file of the server's own CA, for command-line clients; absent where it has none.
    pub ca_file: Option<std::path::PathBuf>,
}

impl Ready {
    /// The address at which a browser asks for the first administrator's password.
    pub fn setup_link(&self) -> Option<Secret> {
        let code = self.setup_code.as_ref()?;
        Some(Secret::new(format!("{}/setup?token={}", self.public_url, code.expose())))
    }
}

/// Runs a server until `stop` fires, then tells agents, finishes what it does and closes the database.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    run_announced(config, stop, |_| {}).await
}

/// As [`run`]; `ready` is called once requests are answered.
pub async fn run_announced(
    mut config: Config,
    stop: CancellationToken,
    ready: impl FnOnce(Ready) + Send,
) -> anyhow::Result<()> {
    let clock = Clock::system();
    let folder = DataFolder::hold(&config.data_dir)?;
    let socket = TcpListener::bind(config.listen).await.with_context(|| format!("listening on {}", config.listen))?;
    let listening = socket.local_addr()?;
    config.bound_to(listening);
    let secrets = Arc::new(folder.secrets()?);
    let identity = tls::prepare(&config, &folder.tls(), clock.now())?;
    let store = Store::open(&folder.private_database()?)?;
    let setup = first_start::prepare(&store, &secrets, &clock).await?;
    let announcement = Ready {
        listening,
        public_url: config.public_url.clone(),
        setup_code: setup,
        ca_file: identity.ca_pem.is_some().then(|| folder.tls().join("ca.pem")),
    };

    let catalog = Arc::new(sallyport_connectors::catalog());
    let live = Live::start(parts(&store, &clock, &catalog, &secrets, &folder)?).await?;
    let entries = Entries::start(&live.gateway, &config.entries);
    let app = Arc::new(App {
        store: store.clone(),
        throttle: Throttle::new(clock.clone()),
        pace: Pace::new(clock.clone()),
        tickets: Tickets::default(),
        clock,
        secrets,
        config,
        ca_pem: identity.ca_pem,
        catalog,
        live: live.clone(),
        notifier: Notifier::default(),
        metrics: Arc::new(Metrics::new()),
        entries,
        stop: stop.clone(),
    });
    let tls = identity.server.map(TlsAcceptor::from);
    let router = http::router(&app);
    let listener = Listener { tls, router, metrics: Arc::clone(&app.metrics), stop: stop.clone() };
    tracing::info!(%listening, url = app.config.public_url, "server started");
    ready(announcement);

    let goodbye = async {
        stop.cancelled().await;
        tracing::info!("server stops");
        live.stop().await;
    };
    let watch = async {
        tokio::select! {
            () = live.broken() => {
                stop.cancel();
                Err(anyhow!("the engine has ended by a bug, which the log names: start the server again and report it"))
            }
            () = stop.cancelled() => Ok(()),
        }
    };
    let renewal = renew(&app, identity.own.map(Arc::new));
    let notices = notify::run(&app);
    let ((), (), (), (), (), ended) =
        tokio::join!(listener.serve(socket), goodbye, retention::keep_up(&app), renewal, notices, watch);
    store.close().await;
    tracing::info!("server stopped");
    ended
}

/// Writes the server's log to its standard error: time, level, message, fields.
pub fn log_to_stderr(level: tracing::Level) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .finish()
        .try_init()
        .context("starting the log")
}

fn parts(
    store: &Store,
    clock: &Clock,
    catalog: &Arc<Vec<Descriptor>>,
    secrets: &Arc<Secrets>,
    folder: &DataFolder,
) -> anyhow::Result<Parts> {
    let (files_root, scratch_root) = (folder.root().join("files"), folder.root().join("work"));
    for place in [&files_root, &scratch_root] {
        make_private(place).with_context(|| format!("making `{}`", place.display()))?;
    }
    let (hashing, opening) = (Arc::clone(secrets), Arc::clone(secrets));
    Ok(Parts {
        store: store.clone(),
        clock: clock.clone(),
        catalog: Arc::clone(catalog),
        secrets: Arc::clone(secrets),
        hash_credential: Arc::new(move |password| hashing.hash(Purpose::Agent, &Secret::new(password))),
        open_secrets: Arc::new(move |connection| opening.open_connection(connection).map(|order| order.secrets)),
        files_root,
        scratch_root,
        reconnect_grace: RECONNECT_GRACE,
        heartbeat_seconds: HEARTBEAT_SECONDS,
    })
}

/// Keeps the server's own certificate good until the server stops.
async fn renew(app: &App, own: Option<Arc<tls::Own>>) {
    let Some(own) = own else { return };
    loop {
        tokio::select! {
            () = tokio::time::sleep(RENEW_EVERY) => {}
            () = app.stop.cancelled() => return,
        }
        let (own, now) = (Arc::clone(&own), app.clock.now());
        let renewed = tokio::task::spawn_blocking(move || own.renew(now)).await;
        if let Err(error) = renewed.map_err(anyhow::Error::from).flatten() {
            tracing::error!(error = format!("{error:#}"), "the server's certificate could not be renewed");
        }
    }
}
