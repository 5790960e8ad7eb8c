//! What wrappers are asked to find out: examinations, and support bundles, which pass through this process as they come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use http::{HeaderMap, StatusCode};
use sallyport_protocol::{AgentId, Checkup, Examination, LogLevel, RequestId, ServerToWrapper, Versions, capability};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use super::handle::{AskError, ask};
use super::login::unavailable;
use super::registry::{Answer, Slot};
use super::routes::{Peer, address};
use super::{Handle, login};

/// A wrapper looks at everything first, which takes it seconds.
const BUNDLE_WITHIN: Duration = Duration::from_secs(90);
/// How long a bundle may be under way once it comes.
const PASSING_WITHIN: Duration = Duration::from_secs(5 * 60);
/// Above what a wrapper packs.
const BUNDLE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Pieces between the wrapper and whoever reads: of some kilobytes each.
const PIECES_MAX: usize = 4;

/// A bundle as it comes; an error is one that broke off.
pub(crate) type Pieces = mpsc::Receiver<Result<Bytes, std::io::Error>>;

/// Bundles that were asked for and have not begun to come.
#[derive(Default)]
pub(super) struct Bundles(Mutex<HashMap<RequestId, (AgentId, oneshot::Sender<Pieces>)>>);

impl Bundles {
    fn expect(&self, agent: AgentId, request: RequestId) -> oneshot::Receiver<Pieces> {
        let (hand_over, handed_over) = oneshot::channel();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, (_, asked)| !asked.is_closed());
        waiting.insert(request, (agent, hand_over));
        handed_over
    }

    /// Whoever waits for this bundle of this agent.
    fn take(&self, agent: AgentId, request: RequestId) -> Option<oneshot::Sender<Pieces>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.get(&request) {
            Some((whose, _)) if *whose == agent => waiting.remove(&request).map(|(_, hand_over)| hand_over),
            _ => None,
        }
    }
}

impl Handle {
    /// The agent's wrapper, once it is noted in the log what it is asked for.
    async fn helper(&self, agent: AgentId, what: String) -> Result<Arc<Slot<ServerToWrapper>>, AskError> {
        let slot = self.shared().wrappers.get(agent).ok_or(AskError::Offline)?;
        if !slot.link.can(capability::EXAMINE) {
            return Err(AskError::TooOld);
        }
        self.note(agent, LogLevel::Info, what).await;
        Ok(slot)
    }

    /// Has the wrapper examine its installation.
    pub(crate) async fn examine(&self, agent: AgentId, who: &str) -> Result<Examination, AskError> {
        let slot = self.helper(agent, format!("{who} has the installation examined")).await?;
        match ask(&slot, |request| ServerToWrapper::Examine { request }).await? {
            Answer::Examination(examination) => Ok(*examination),
            _ => Err(AskError::Silent),
        }
    }

    /// Has the wrapper make and send a support bundle.
    pub(crate) async fn bundle(&self, agent: AgentId, who: &str) -> Result<Pieces, AskError> {
        let slot = self.helper(agent, format!("{who} fetches a support bundle")).await?;
        let request = RequestId::new();
        let comes = self.shared().bundles.expect(agent, request);
        slot.link.send(ServerToWrapper::Bundle { request });
        tokio::select! {
            comes = tokio::time::timeout(BUNDLE_WITHIN, comes) => match comes {
                Ok(Ok(pieces)) => Ok(pieces),
                Ok(Err(_)) => Err(AskError::Offline),
                Err(_) => Err(AskError::Silent),
            },
            () = slot.link.closed() => Err(AskError::Offline),
        }
    }
}

/// Which bundle a wrapper sends.
#[derive(Deserialize)]
pub(super) struct Which {
    request: RequestId,
}

/// Takes a bundle and passes it on as it is read.
pub(super) async fn receive(
    State(gateway): State<Handle>,
    from: Peer,
    Query(Which { request }): Query<Which>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let known = match gateway.authenticate(&headers, address(from)).await {
        Ok(known) => known,
        Err(refused) => return refused.into_response(),
    };
    let Some(hand_over) = gateway.shared().bundles.take(known.agent.id, request) else {
        return (StatusCode::GONE, "nobody waits for this bundle any more").into_response();
    };
    let (pieces, taken) = mpsc::channel(PIECES_MAX);
    if hand_over.send(taken).is_err() {
        return (StatusCode::GONE, "nobody waits for this bundle any more").into_response();
    }
    match tokio::time::timeout(PASSING_WITHIN, pass_on(body, &pieces)).await {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => (StatusCode::GONE, "the bundle was not taken to its end").into_response(),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the bundle was too long under way").into_response(),
    }
}

/// Whether all of it was taken.
async fn pass_on(body: Body, to: &mpsc::Sender<Result<Bytes, std::io::Error>>) -> bool {
    let mut stream = body.into_data_stream();
    let mut total = 0;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(std::io::Error::other).and_then(|piece| {
            total += piece.len();
            if total > BUNDLE_BYTES_MAX { Err(std::io::Error::other("the bundle is too large")) } else { Ok(piece) }
        });
        let broken = piece.is_err();
        if to.send(piece).await.is_err() || broken {
            return false;
        }
    }
    true
}

/// What a login would meet: checks the credentials as a login does, and begins nothing.
pub(super) async fn checkup(State(gateway): State<Handle>, from: Peer, headers: HeaderMap) -> Response {
    let login::Known { agent, .. } = match gateway.authenticate(&headers, address(from)).await {
        Ok(known) => known,
        Err(refused) => return refused.into_response(),
    };
    let store = &gateway.parts().store;
    let (company, in_use) = tokio::join!(store.company(agent.company), store.licence_in_use(agent.company));
    let (Ok(company), Ok(in_use)) = (company, in_use) else {
        return unavailable("The server cannot look at its licence now; try again.").into_response();
    };
    let online = agent.connected_since.is_some();
    Json(Checkup {
        server_time: gateway.parts().clock.now(),
        name: agent.name,
        versions: Versions::ours(&[]),
        agents_max: company.tier.agents_max(),
        agents_online: in_use.saturating_sub(u32::from(online)),
        online,
    })
    .into_response()
}
