//! A line of someone who asks for streams: each that begins on it is opened at the agent and passed on.

use sallyport_dataplane::tunnel::{self, Limits, Line};
use sallyport_protocol::{AttemptKey, ConnectionId, EnvironmentId, TunnelRefusal, TunnelRefusalCode, TunnelWord};
use tokio::time::Instant;

use super::GROUNDS_KEPT;
use super::grounds::{Grounds, unchecked};
use super::open::Opened;
use super::session::{Seat, Session};
use crate::gateway::{Handle, Parts};

/// Who asks for streams, and to where.
pub(crate) struct Asker {
    /// By what right.
    pub(crate) right: Right,
    /// Where.
    pub(crate) environment: EnvironmentId,
    /// To which connection.
    pub(crate) connection: ConnectionId,
    /// How long a stream may last.
    pub(crate) limits: Limits,
}

/// What is looked at again while a tunnel stands.
pub(crate) enum Right {
    /// A person's: the hash of the login or API token.
    Login(Vec<u8>),
    /// A step's: its attempt is at work.
    Attempt(AttemptKey),
}

/// Serves a line until it ends.
pub(crate) async fn serve(gateway: Handle, asker: Asker, seat: Seat, line: Line) {
    let stop = &gateway.parts().stop;
    let mut next = Some(line);
    let mut known: Option<(Instant, Grounds)> = None;
    while let Some(mut line) = next.take() {
        let word = tokio::select! {
            word = tunnel::wait(&mut line) => word,
            () = stop.cancelled() => return,
        };
        match word {
            Some(TunnelWord::Begin) => {}
            // What belongs to a stream that was over for this side, or is said by a newer version.
            Some(_) => {
                next = Some(line);
                continue;
            }
            None => return,
        }
        if known.as_ref().is_none_or(|(at, _)| at.elapsed() > GROUNDS_KEPT) {
            known = match grounds(gateway.parts(), &asker).await {
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

/// Whether the asker may still, and where the connection leads now.
async fn grounds(parts: &Parts, asker: &Asker) -> Result<Grounds, String> {
    let Parts { store, clock, relay, .. } = parts;
    match &asker.right {
        Right::Login(token) => {
            let login = store.token_login(token.clone(), clock.now()).await.map_err(|error| unchecked(&error))?;
            login.ok_or("the login or token has ended or was revoked; log in again")?;
        }
        Right::Attempt(key) if !relay.is_at_work(*key) => return Err("the attempt of its run is over".to_owned()),
        Right::Attempt(_) => {}
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
    session.carried((stream, agent), (spliced.forth, spliced.back), began.elapsed(), &spliced.end);
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
