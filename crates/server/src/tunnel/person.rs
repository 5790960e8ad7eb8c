//! A person's line: each stream that begins on it is opened at the agent and passed on.

use std::time::Duration;

use sallyport_dataplane::tunnel::{self, Limits, Line};
use sallyport_protocol::{ConnectionId, EnvironmentId, Timestamp, TunnelRefusal, TunnelRefusalCode, TunnelWord, event};
use sallyport_store::Store;
use tokio::time::Instant;

use super::grounds::{Grounds, unchecked};
use super::open::Opened;
use super::session::{Seat, Session};
use crate::gateway::{Handle, Parts};

/// A person or connection that has changed is noticed by the streams that begin later than this.
const GROUNDS_KEPT: Duration = Duration::from_secs(2);

/// Who asks for streams, and to where.
pub(crate) struct Asker {
    /// The hash of the login or API token.
    pub(crate) token: Vec<u8>,
    /// Where.
    pub(crate) environment: EnvironmentId,
    /// To which connection.
    pub(crate) connection: ConnectionId,
    /// How long a stream may last.
    pub(crate) limits: Limits,
}

/// Serves a person's line until it ends.
pub(crate) async fn serve(gateway: Handle, asker: Asker, seat: Seat, line: Line) {
    let Parts { store, clock, stop, .. } = gateway.parts();
    let mut next = Some(line);
    let mut known: Option<(Instant, Grounds)> = None;
    while let Some(mut line) = next.take() {
        let word = tokio::select! {
            word = tunnel::wait(&mut line) => word,
            () = stop.cancelled() => return,
        };
        match word {
            Some(TunnelWord::Begin) => {}
            // What belongs to a stream that was over for this side, or is said by a newer command.
            Some(_) => {
                next = Some(line);
                continue;
            }
            None => return,
        }
        if known.as_ref().is_none_or(|(at, _)| at.elapsed() > GROUNDS_KEPT) {
            known = match grounds(store, &asker, clock.now()).await {
                Ok(grounds) => Some((Instant::now(), grounds)),
                Err(why) => {
                    let refusal = TunnelRefusal { code: TunnelRefusalCode::NotAllowed, message: why };
                    next = refuse(&seat.0, line, refusal).await;
                    continue;
                }
            };
        }
        next = match &known {
            Some((_, grounds)) => stream(&gateway, &seat.0, grounds, asker.limits, line).await,
            None => Some(line),
        };
    }
}

/// Whether the person may still, and where the connection leads now.
async fn grounds(store: &Store, asker: &Asker, now: Timestamp) -> Result<Grounds, String> {
    let login = store.token_login(asker.token.clone(), now).await.map_err(|error| unchecked(&error))?;
    if login.is_none() {
        return Err("the login or token has ended or was revoked; log in again".to_owned());
    }
    Grounds::read(store, asker.environment, asker.connection).await
}

/// One stream; gives the line back if it can carry another.
async fn stream(
    gateway: &Handle,
    session: &Session,
    grounds: &Grounds,
    limits: Limits,
    mut line: Line,
) -> Option<Line> {
    let tunnels = &gateway.parts().tunnels;
    let order = grounds.order(session);
    let stream = order.stream;
    let Opened { agent, line: mut theirs, word } = match tunnels.open(session, &grounds.agents, &order).await {
        Ok(opened) => opened,
        Err(refusal) => return refuse(session, line, refusal).await,
    };
    if line.writer.word(&word).await.is_err() {
        // The agent hears of it by the end of its line.
        return None;
    }
    let counted = tunnels.counted();
    let ending = tunnels.ending(&theirs);
    let began = Instant::now();
    let spliced = tunnel::splice(line, theirs.line, limits, &tunnels.inner.bytes_total, ending).await;
    drop(counted);
    session.moves(spliced.forth, spliced.back);
    let (tunnel, micros) = (session.id(), u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
    let (sent, received, reason) = (spliced.forth, spliced.back, spliced.end.words());
    match &spliced.end {
        tunnel::End::Lost(_) => tracing::info!(
            event = event::FORWARD_IN_ERROR, %tunnel, stream, %agent, sent, received, micros, reason, "a stream was lost"
        ),
        _ => tracing::debug!(%tunnel, stream, %agent, sent, received, micros, reason, "a stream ended"),
    }
    if let Some(back) = spliced.second {
        theirs.line = back;
        tunnels.give(agent, theirs);
    }
    spliced.first
}

async fn refuse(session: &Session, line: Line, refusal: TunnelRefusal) -> Option<Line> {
    session.refuses(&refusal);
    tunnel::refuse(line, refusal).await
}
