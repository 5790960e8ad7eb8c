//! The beginning of an agent's session, whatever carries it: a socket, or a channel inside this process.

use sallyport_protocol::{AgentId, AgentMessage, Refusal, RefusalCode};

use super::Handle;
use super::agent::{Line, Session};
use super::login::Known;
use super::seat::{self, Newcomer, Seat};

/// Lets an agent in that has shown its password and said hello. The welcome is the first thing that the line says.
pub(super) async fn open_known(
    gateway: &Handle,
    known: Known,
    hello: AgentMessage,
    address: String,
) -> Result<Line, Refusal> {
    begin(gateway, (known.agent.id, Some(known.credential)), hello, Some(address)).await
}

/// Lets the agent inside this process in.
pub(crate) async fn open(gateway: &Handle, agent: AgentId, hello: AgentMessage) -> Result<Line, Refusal> {
    begin(gateway, (agent, None), hello, None).await
}

async fn begin(
    gateway: &Handle,
    (agent, credential): (AgentId, Option<Vec<u8>>),
    hello: AgentMessage,
    address: Option<String>,
) -> Result<Line, Refusal> {
    let AgentMessage::Hello { versions, presence, installation, instance, running, programs } = hello else {
        return Err(Refusal {
            code: RefusalCode::Other,
            message: "The first message must be a hello.".to_owned(),
            retry_after_seconds: None,
        });
    };
    let newcomer = Newcomer { agent, credential, versions, presence, installation, instance, programs, address };
    let Seat { agent, instance, slot, acks, outbox } = seat::take(gateway, newcomer).await?;
    let session = Session::new(gateway.clone(), agent, instance, slot, acks);
    session.begin(running).await;
    Ok(Line { session, outbox })
}
