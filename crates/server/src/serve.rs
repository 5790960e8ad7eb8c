//! A server from start to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sallyport_protocol::{Clock, Secret};
use sallyport_store::Store;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::app::{App, Parts, REPLICA};
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::listener::Listener;
use crate::{background, engine, first_start, gateway, http, tls};

/// After the listener has ended, what goes on gets this long; together they stay under ten seconds.
const FINISH_MAX: Duration = Duration::from_secs(4);

/// Log lines are kept this long.
const LOGS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How often old log lines are removed.
const TRIM_EVERY: Duration = Duration::from_secs(3600);

/// What a start has to tell the person in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Where it listens.
    pub listening: SocketAddr,
    /// What agents and people use.
    pub public_url: String,
    /// The one-time link to set the first administrator's password; absent once that is done.
    pub setup_link: Option<Secret>,
    /// The file of the server's own CA, for command-line clients; absent where it has none.
    pub ca_file: Option<std::path::PathBuf>,
}

/// Runs a server until `stop` fires, then tells agents, finishes what it does and closes the database.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    run_announced(config, stop, |_| {}).await
}

/// As [`run`]; `ready` is called once requests are answered.
pub async fn run_announced(
    config: Config,
    stop: CancellationToken,
    ready: impl FnOnce(Ready) + Send,
) -> anyhow::Result<()> {
    let clock = Clock::system();
    let folder = DataFolder::hold(&config.data_dir)?;
    let secrets = folder.secrets()?;
    let identity = tls::prepare(&config, &folder.tls(), clock.now())?;
    let store = Store::open(&DataFolder::database(folder.root()))?;
    let setup = first_start::prepare(&store, &secrets, &clock).await?;
    let socket = TcpListener::bind(config.listen).await.with_context(|| format!("listening on {}", config.listen))?;
    let listening = socket.local_addr()?;
    let announcement = Ready {
        listening,
        public_url: config.public_url.clone(),
        setup_link: setup.map(|token| Secret::new(format!("{}/setup?token={}", config.public_url, token.expose()))),
        ca_file: identity.ca_pem.is_some().then(|| folder.tls().join("ca.pem")),
    };

    let parts = Parts { store: store.clone(), clock, secrets, config, ca_pem: identity.ca_pem, stop: stop.clone() };
    let app = App::new(parts);
    app.store.clear_sessions(REPLICA).await?;
    let tls = identity.server.map(TlsAcceptor::from);
    let router = http::router(&app);
    let listener = Listener { tls, router, metrics: Arc::clone(&app.metrics), stop: stop.clone() };
    app.tasks.spawn(engine::serve(Arc::clone(&app)));
    app.tasks.spawn(gateway::serve(Arc::clone(&app)));
    app.tasks.spawn(background::serve(Arc::clone(&app)));
    app.tasks.spawn(trim(Arc::clone(&app)));
    app.tasks.close();
    tracing::info!(%listening, url = app.config.public_url, "server started");
    ready(announcement);

    listener.serve(socket).await;
    tracing::info!("server stops");
    if tokio::time::timeout(FINISH_MAX, app.tasks.wait()).await.is_err() {
        tracing::warn!(tasks = app.tasks.len(), "not everything has ended in time");
    }
    store.close().await;
    tracing::info!("server stopped");
    Ok(())
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

/// Removes old log lines, some at a time, until the server stops.
async fn trim(app: Arc<App>) {
    while !app.stop.is_cancelled() {
        let before = sallyport_protocol::Timestamp(
            app.clock.now().0.saturating_sub(i64::try_from(LOGS_KEPT.as_micros()).unwrap_or(i64::MAX)),
        );
        let pause = match app.store.trim_logs(before).await {
            Ok(0) => TRIM_EVERY,
            Ok(_) => Duration::from_millis(200),
            Err(error) => {
                tracing::warn!(%error, "old log lines could not be removed");
                TRIM_EVERY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = app.stop.cancelled() => return,
        }
    }
}
