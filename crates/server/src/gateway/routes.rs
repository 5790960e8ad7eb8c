//! Where agents and wrappers dial in: the login, then the upgrade.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use sallyport_protocol::{CONTROL_MESSAGE_BYTES_MAX, TICKET_HEADER, Ticket, path};

use super::login::{Body, Known, unavailable};
use super::{Handle, agent, data, errands, rehearsal, wrapper};
use crate::tunnel;

/// Small: a control connection rests most of its life, and there are many.
const CONTROL_BUFFER: usize = 8 * 1024;

/// Where agents and wrappers dial in.
pub(crate) fn routes(gateway: Handle) -> Router {
    Router::new()
        .route(path::AGENT, get(agent_route))
        .route(path::REHEARSAL, get(rehearsal_route))
        .route(path::WRAPPER, get(wrapper_route))
        .route(path::DATA, get(data_route))
        .route(path::TUNNEL, get(tunnel_route))
        .route(path::THROUGH, get(through_route))
        .route(path::CHECKUP, get(errands::checkup))
        .route(path::BUNDLE, post(errands::receive))
        .with_state(gateway)
}

/// The listener says where a request comes from.
pub(super) type Peer = Option<axum::Extension<ConnectInfo<SocketAddr>>>;

async fn agent_route(State(to): State<Handle>, from: Peer, headers: HeaderMap, ws: WebSocketUpgrade) -> Response {
    control(to, from, &headers, ws, agent::serve).await
}

async fn rehearsal_route(State(to): State<Handle>, from: Peer, headers: HeaderMap, ws: WebSocketUpgrade) -> Response {
    control(to, from, &headers, ws, rehearsal::serve).await
}

async fn wrapper_route(State(to): State<Handle>, from: Peer, headers: HeaderMap, ws: WebSocketUpgrade) -> Response {
    control(to, from, &headers, ws, wrapper::serve).await
}

async fn data_route(State(gateway): State<Handle>, from: Peer, headers: HeaderMap, ws: WebSocketUpgrade) -> Response {
    let Known { agent, credential } = match gateway.authenticate(&headers, address(from)).await {
        Ok(known) => known,
        Err(refused) => return refused.into_response(),
    };
    let Some(place) = gateway.shared().idlers.take(agent.id) else {
        return unavailable("The agent has too many data connections that wait.").into_response();
    };
    // A rotation that came before the place was taken did not free it.
    if !gateway.is_good(credential).await {
        return unavailable("The password was rotated meanwhile; try again.").into_response();
    }
    data::configure(ws).on_upgrade(move |socket| {
        let tasks = gateway.parts().tasks.clone();
        tasks.track_future(data::serve(gateway, agent.id, place, socket))
    })
}

async fn tunnel_route(State(gateway): State<Handle>, from: Peer, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let Known { agent, credential } = match gateway.authenticate(&parts.headers, address(from)).await {
        Ok(known) => known,
        Err(refused) => return refused.into_response(),
    };
    if !gateway.parts().tunnels.has_room(agent.id) {
        return unavailable("The agent has too many tunnel lines.").into_response();
    }
    let Some((response, line)) = tunnel::upgrade(&mut parts) else {
        return unavailable("Tunnel lines are WebSockets.").into_response();
    };
    let tasks = gateway.parts().tasks.clone();
    tasks.spawn(async move {
        let Some(line) = line.await else { return };
        // A rotation that came before the line could be found did not end it.
        if gateway.is_good(credential).await {
            gateway.parts().tunnels.arrive(agent.id, line);
        }
    });
    response
}

/// A line of a step: its ticket says where to.
async fn through_route(State(gateway): State<Handle>, from: Peer, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let agent = match gateway.authenticate(&parts.headers, address(from)).await {
        Ok(known) => known.agent.id,
        Err(refused) => return refused.into_response(),
    };
    let ticket = parts.headers.get(TICKET_HEADER).and_then(|ticket| ticket.to_str().ok()).unwrap_or_default();
    let revoked = gateway.parts().tunnels.revoked(agent);
    let (asker, seat) = match tunnel::admit(&gateway, agent, &Ticket::new(ticket)).await {
        Ok(admitted) => admitted,
        Err(refusal) => return (StatusCode::CONFLICT, Json(Body { refusal })).into_response(),
    };
    let Some((response, line)) = tunnel::upgrade(&mut parts) else {
        return unavailable("Tunnel lines are WebSockets.").into_response();
    };
    let tasks = gateway.parts().tasks.clone();
    tasks.spawn(async move {
        let serving = async {
            if let Some(line) = line.await {
                tunnel::serve(gateway, asker, seat, line).await;
            }
        };
        revoked.run_until_cancelled(serving).await;
    });
    response
}

/// Where a request comes from.
pub(super) fn address(from: Peer) -> IpAddr {
    from.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |axum::Extension(ConnectInfo(address))| address.ip())
}

async fn control<F, Fut>(gateway: Handle, from: Peer, headers: &HeaderMap, ws: WebSocketUpgrade, serve: F) -> Response
where
    F: FnOnce(Handle, Known, String, WebSocket) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let from = address(from);
    let known = match gateway.authenticate(headers, from).await {
        Ok(known) => known,
        Err(refused) => return refused.into_response(),
    };
    ws.read_buffer_size(CONTROL_BUFFER)
        .write_buffer_size(CONTROL_BUFFER)
        .max_write_buffer_size(CONTROL_BUFFER + 2 * CONTROL_MESSAGE_BYTES_MAX)
        .max_message_size(CONTROL_MESSAGE_BYTES_MAX)
        .max_frame_size(CONTROL_MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| {
            let tasks = gateway.parts().tasks.clone();
            tasks.track_future(serve(gateway, known, from.to_string(), socket))
        })
}
