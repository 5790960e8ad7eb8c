//! A person's tunnel lines: `GET /connect/stream?connection=NAME&tunnel=ID` becomes a WebSocket that carries one TCP
//! stream after the other.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use sallyport_dataplane::tunnel::Limits;
use sallyport_protocol::{TunnelId, capability};
use sallyport_store::{AgentKind, Connection};
use serde::Deserialize;

use crate::app::App;
use crate::http::connections::find;
use crate::http::extract::Params;
use crate::http::problem::{Code, Problem, Result};
use crate::http::who::Who;
use crate::tunnel::{Asker, LIMITS, Owner, Right, serve, upgrade};

/// Longer limits are shortened to this, and to the usual total.
const IDLE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Which streams.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    /// Id or name.
    connection: String,
    /// `tunnel_...`, chosen by the person's side: all lines with it are one tunnel.
    tunnel: TunnelId,
    /// The longest a stream may last without a byte.
    idle_seconds: Option<u64>,
    /// The longest a stream may last at all.
    total_seconds: Option<u64>,
}

/// Opens a line.
pub(crate) async fn open(
    State(app): State<Arc<App>>,
    who: Who,
    Params(wanted): Params<Wanted>,
    request: Request,
) -> Result<Response> {
    let connection = find(&app, &who, &wanted.connection).await?;
    if sallyport_connectors::endpoint(&connection.kind, &connection.settings).is_none() {
        let detail = format!(
            "connection `{}` is of kind `{}`, which leads to no host and port; a tunnel needs one that does, such as `tcp`",
            connection.name, connection.kind
        );
        return Err(Problem::new(Code::NoTunnel, detail));
    }
    reachable(&app, &connection).await?;
    let tunnels = &app.live.tunnels;
    let asker = (Owner::Person(who.person.id), who.name());
    let seat = tunnels.join(&app.live.gateway, asker, wanted.tunnel, (connection.id, &connection.name));
    let seat = seat.ok_or_else(|| {
        Problem::new(Code::Unavailable, "the tunnel has too many streams at one time")
            .retry_after(Duration::from_secs(5))
    })?;
    let (mut parts, _) = request.into_parts();
    let (response, line) = upgrade(&mut parts)
        .ok_or_else(|| Problem::new(Code::BadRequest, "this address is for `sallyport tunnel`: ask for a WebSocket"))?;
    let seconds = |given: Option<u64>, otherwise, most: Duration| {
        given.map_or(otherwise, |seconds| Duration::from_secs(seconds.max(1))).min(most)
    };
    let limits = Limits {
        idle: seconds(wanted.idle_seconds, LIMITS.idle, IDLE_MAX),
        total: seconds(wanted.total_seconds, LIMITS.total, LIMITS.total),
    };
    let asker =
        Asker { right: Right::Login(who.token), environment: who.environment.id, connection: connection.id, limits };
    let gateway = app.live.gateway.clone();
    let tasks = gateway.parts().tasks.clone();
    tasks.spawn(async move {
        if let Some(line) = line.await {
            serve(gateway, asker, seat, line).await;
        }
    });
    Ok(response)
}

/// Whether one of the agents is there and can open tunnels.
async fn reachable(app: &App, connection: &Connection) -> Result<()> {
    let name = &connection.agent_name;
    if app.store.agent_anywhere(connection.agent).await?.kind == AgentKind::Background {
        let detail = format!("agent `{name}` runs inside the server and opens no tunnels; choose a remote agent");
        return Err(Problem::new(Code::NoTunnel, detail));
    }
    let links: Vec<_> = connection.agents().filter_map(|agent| app.live.gateway.link_of(agent)).collect();
    let names = connection.agent_names().collect::<Vec<_>>().join("`, `");
    if links.is_empty() {
        let detail = match connection.others.is_empty() {
            true => format!("agent `{name}` is offline"),
            false => format!("all agents of connection `{}` are offline: `{names}`", connection.name),
        };
        return Err(Problem::new(Code::AgentOffline, detail));
    }
    if !links.iter().any(|link| link.can(capability::TUNNEL)) {
        let detail = format!("agent `{names}` is too old for tunnels: download it again, or restart its wrapper");
        return Err(Problem::new(Code::NoTunnel, detail));
    }
    Ok(())
}
