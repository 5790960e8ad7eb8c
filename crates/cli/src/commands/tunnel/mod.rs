//! `sallyport tunnel`: a connection's target as if it were on this machine.

mod listen;

use std::net::SocketAddr;
use std::sync::Arc;

use sallyport_agent::BoxFuture;
use sallyport_agent::link::{DialError, Server};
use sallyport_agent::tunnel::Pool;
use sallyport_protocol::TunnelId;
use sallyport_site::dial::Dialer;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::connections::agents;
use super::server::asked_to_stop;
use crate::client::{Client, encode, with_query};
use crate::error::{Doing, Error, Exit, Result};
use crate::output::text;
use crate::say;
use listen::Totals;

/// Lines to the server that wait, so that a connection costs no handshake.
const SPARE: usize = 4;

/// Which connection, and where it is to be here.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  sallyport tunnel client-db --local 127.0.0.1:5432
  psql -h 127.0.0.1 -U reader sales

The connection's host and port are dialled by its agent, for each connection that is made here; the site's policy has
the last word. Ctrl-C ends the tunnel. Connections of kind `tcp` lead to any service.")]
pub(crate) struct Arguments {
    /// Name or id of a connection with host and port
    connection: String,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    local: SocketAddr,
    /// End connections through which nothing has passed for so many seconds [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    idle: Option<u64>,
    /// End connections that have lasted so many seconds [default: 604800]
    #[arg(long, value_name = "SECONDS")]
    total: Option<u64>,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<()> {
    let client = context.client()?;
    let connection = client.get(&format!("/api/v1/connections/{}", encode(&arguments.connection)))?.body;
    let server = client.line_server()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("tunnel")
        .build()
        .doing(|| "starting the runtime".to_owned())?;
    let done = runtime.block_on(serve(arguments, &connection, server));
    runtime.shutdown_background();
    done
}

async fn serve(arguments: &Arguments, connection: &Value, server: Server) -> Result<()> {
    let tunnel = TunnelId::new().to_string();
    let (idle, total) = (arguments.idle.map(|s| s.to_string()), arguments.total.map(|s| s.to_string()));
    let name = text(connection, "name");
    let mut query = vec![("connection", name.as_str()), ("tunnel", tunnel.as_str())];
    query.extend(idle.as_deref().map(|seconds| ("idle_seconds", seconds)));
    query.extend(total.as_deref().map(|seconds| ("total_seconds", seconds)));
    let stop = CancellationToken::new();
    let (server, path) = (Arc::new(server), Arc::<str>::from(with_query(sallyport_protocol::path::STREAM, &query)));
    let dial = move || -> BoxFuture<'static, _> {
        let (server, path) = (Arc::clone(&server), Arc::clone(&path));
        Box::pin(async move { server.line(&path, None).await })
    };
    let pool = Pool::new(SPARE, dial, stop.clone());
    // Whatever is wrong with the tunnel is said here, not to the first who connects.
    pool.prepare().await.map_err(explain)?;
    let listener = listen::bind(arguments.local).await?;
    let local = listener.local_addr().doing(|| "listening".to_owned())?;
    say::line(&format!("{local} is {name}, through agent {}", agents(connection)));
    let totals = Arc::new(Totals::default());
    let serving = listen::serve(listener, Arc::clone(&pool), Arc::clone(&totals));
    tokio::select! {
        () = serving => {}
        asked = asked_to_stop() => asked.doing(|| "listening for signals".to_owned())?,
    }
    stop.cancel();
    pool.close().await;
    say::note(&totals.to_string());
    Ok(())
}

fn explain(error: DialError) -> Error {
    let exit = if matches!(error, DialError::Refused(_)) { Exit::Conflict } else { Exit::Failed };
    Error::new(exit, error.to_string())
}

impl Client {
    /// Dials tunnel lines with the same login and trust.
    fn line_server(&self) -> Result<Server> {
        let address = self.address().parse().map_err(|error| Error::usage(format!("{}: {error}", self.address())))?;
        let environment = sallyport_site::config::Environment::read();
        let dialer = Dialer::from_environment(&environment).map_err(|error| Error::usage(error.to_string()))?;
        let (tls, authorization) = self.credentials()?;
        Ok(Server::with_authorization(address, dialer, tls, authorization))
    }
}
