//! `sallyport server`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sallyport_server::{Config, ConfigError, Flags, Ready};
use tokio_util::sync::CancellationToken;

use crate::error::{Doing, Error, Result};
use crate::say;
use crate::trust;

/// How long a stop may take: agents are told, writes are finished.
const STOP_MAX: Duration = Duration::from_secs(9);

/// What the server is told.
#[derive(clap::Args)]
#[command(after_help = "\
Each setting is taken from its flag, else from SALLYPORT_<NAME> (such as SALLYPORT_DATA_DIR), else from the file, else
from its default. The first start makes everything that is needed and prints a one-time link to set the administrator's
password.

Examples:
  sallyport server --data-dir /var/lib/sallyport --public-url https://sallyport.example.com:8443
  sallyport server --config /etc/sallyport.toml --check-config")]
pub(crate) struct Arguments {
    /// A TOML file with these settings; `sallyport.toml` in the current folder if it is there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where database, keys and certificates are kept
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The address that agents and people use; it goes into the agents' downloads
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// A certificate chain of your own, PEM; without it the server makes its own CA and certificate
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key, PEM
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Speak plain HTTP to a proxy in front that does TLS
    #[arg(long)]
    behind_proxy: bool,
    /// Where the agent's and wrapper's programs are, for the downloads; beside this program by default
    #[arg(long, value_name = "FOLDER")]
    release_dir: Option<PathBuf>,
    /// trace, debug, info, warn or error
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Print every setting with its source, and end
    #[arg(long)]
    check_config: bool,
}

pub(super) fn run(arguments: Arguments) -> Result<()> {
    let check = arguments.check_config;
    let config = Config::load(&flags(arguments)).map_err(|error| match error {
        ConfigError::Together(_) | ConfigError::Value { .. } | ConfigError::Entry { .. } => {
            Error::usage(error.to_string())
        }
        ConfigError::File { .. } => Error::failed(error.to_string()),
    })?;
    if check {
        say::text(&config.report());
        return Ok(());
    }
    sallyport_server::log_to_stderr(config.log_level)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().doing(|| "starting the threads".into())?;
    let served = runtime.block_on(serve(config));
    runtime.shutdown_timeout(Duration::from_millis(500));
    served
}

fn flags(arguments: Arguments) -> Flags {
    Flags {
        config: arguments.config,
        data_dir: arguments.data_dir,
        listen: arguments.listen,
        public_url: arguments.public_url,
        tls_cert: arguments.tls_cert,
        tls_key: arguments.tls_key,
        behind_proxy: arguments.behind_proxy,
        release_dir: arguments.release_dir,
        log_level: arguments.log_level,
    }
}

async fn serve(config: Config) -> Result<()> {
    let stop = CancellationToken::new();
    let data = config.data_dir.clone();
    let server = sallyport_server::run_announced(config, stop.clone(), |ready| announce(&ready, &data));
    tokio::pin!(server);
    let asked = asked_to_stop();
    tokio::pin!(asked);
    tokio::select! {
        ended = &mut server => return Ok(ended?),
        asked = &mut asked => asked.doing(|| "listening for signals".into())?,
    }
    stop.cancel();
    match tokio::time::timeout(STOP_MAX, server).await {
        Ok(ended) => Ok(ended?),
        Err(_) => Err(Error::failed(format!("the server did not stop within {} s and was ended", STOP_MAX.as_secs()))),
    }
}

#[cfg(unix)]
pub(super) async fn asked_to_stop() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
pub(super) async fn asked_to_stop() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// What the person in front of a fresh server needs.
fn announce(ready: &Ready, data: &Path) {
    say::line(&format!("Sallyport server {}", env!("CARGO_PKG_VERSION")));
    say::line(&format!("  address      {}", ready.public_url));
    say::line(&format!("  listening    {}", ready.listening));
    say::line(&format!("  data folder  {}", data.display()));
    if let Some(file) = &ready.ca_file {
        say::line(&format!("  own CA       {}", file.display()));
        if let Some(fingerprint) = trust::fingerprint_of(file) {
            say::line(&format!("  fingerprint  {fingerprint}"));
        }
    }
    if let (Some(link), Some(code)) = (ready.setup_link(), &ready.setup_code) {
        say::line("");
        say::line("Set the administrator's password with this link, once:");
        say::line(&format!("  {}", link.expose()));
        say::line("or on a terminal, where the one-time code is asked for:");
        let ca = ready.ca_file.as_ref().map(|file| format!(" --ca {}", file.display())).unwrap_or_default();
        say::line(&format!("  sallyport login {} --setup{ca}", ready.public_url));
        say::line(&format!("  one-time code: {}", code.expose()));
    }
}
