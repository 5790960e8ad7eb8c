//! Lines of steps that reach their connection through another agent than their own.

use std::time::Duration;

use sallyport_dataplane::tunnel::{Limits, Line};
use sallyport_protocol::{AgentId, Refusal, RefusalCode, Ticket};

use super::grounds::Grounds;
use super::serve::{Asker, Right, serve};
use super::session::{Owner, Seat};
use crate::gateway::{Handle, Parts};
use crate::relay::Passage;

/// A step's statement may take days without a byte; its attempt's end ends the stream.
const LIMITS: Limits = Limits { idle: LASTS, total: LASTS };
const LASTS: Duration = Duration::from_secs(7 * 24 * 3600);

/// Of one direction of a line within this process: two frames.
const LINE_BYTES: usize = 128 * 1024;

/// What the ticket opens: who asks, and a place in the step's tunnel.
pub(crate) async fn admit(gateway: &Handle, agent: AgentId, ticket: &Ticket) -> Result<(Asker, Seat), Refusal> {
    let Parts { store, relay, tunnels, .. } = gateway.parts();
    let Passage { key, environment, connection, tunnel, who, .. } = relay.permitted(agent, ticket)?;
    let grounds =
        Grounds::read(store, environment, connection).await.map_err(|why| refusal(RefusalCode::Other, &why))?;
    let seat = tunnels.join(gateway, (Owner::Step { agent, run: key.run }, who), tunnel, grounds.about());
    let seat = seat.ok_or_else(|| refusal(RefusalCode::Unavailable, "the step has too many streams at one time"))?;
    Ok((Asker { right: Right::Attempt(key), environment, connection, limits: LIMITS }, seat))
}

/// A line of the server's own agent.
pub(crate) async fn line(gateway: &Handle, agent: AgentId, ticket: &Ticket) -> Result<Line, Refusal> {
    let (asker, seat) = admit(gateway, agent, ticket).await?;
    let (ours, theirs) = tokio::io::duplex(LINE_BYTES);
    gateway.parts().tasks.spawn(serve(gateway.clone(), asker, seat, Line::new(ours, b"", false)));
    Ok(Line::new(theirs, b"", true))
}

fn refusal(code: RefusalCode, message: &str) -> Refusal {
    Refusal { code, message: message.to_owned(), retry_after_seconds: None }
}
