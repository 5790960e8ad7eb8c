//! Opening one stream at an agent.

use std::time::Duration;

use sallyport_dataplane::tunnel::{self, Event};
use sallyport_protocol::{AgentId, TunnelOrder, TunnelRefusal, TunnelRefusalCode as Code, TunnelWord, capability};
use tokio::time::timeout;

use super::Tunnels;
use super::lines::{AgentLine, NoLine};
use crate::gateway::Handle;

/// Lines that may turn out to be dead before the agent counts as silent.
const TRIES: usize = 3;

/// Above what an agent gives name and port together.
const ANSWER_MAX: Duration = Duration::from_secs(20);

impl Tunnels {
    /// Has the agent open the stream; the line is the agent's, the word what it said of the target.
    pub(super) async fn open(
        &self,
        gateway: &Handle,
        agent: AgentId,
        order: &TunnelOrder,
    ) -> Result<(AgentLine, TunnelWord), TunnelRefusal> {
        let connection = &order.connection;
        let refused = |code, why: &str| {
            let message = format!("connection `{connection}`: {why}");
            Err(TunnelRefusal { code, message })
        };
        let Some(link) = gateway.link_of(agent) else { return refused(Code::AgentOffline, "its agent is offline") };
        if !link.can(capability::TUNNEL) {
            return refused(Code::Other, "its agent is too old for tunnels; download it again");
        }
        for _ in 0..TRIES {
            let mut line = match self.inner.lines.take(agent, &link).await {
                Ok(line) => line,
                Err(NoLine::Offline) => return refused(Code::AgentOffline, "its agent went offline"),
                Err(NoLine::Silent) => {
                    return refused(Code::AgentOffline, "its agent opened no line to the server in time");
                }
            };
            match timeout(ANSWER_MAX, ask(&mut line, order)).await {
                Ok(Some(TunnelWord::Refused { refusal })) => {
                    if let Some(kept) = tunnel::dismiss(line.line).await {
                        line.line = kept;
                        self.inner.lines.give(agent, line);
                    }
                    return Err(refusal);
                }
                Ok(Some(word)) => return Ok((line, word)),
                // It had died while it waited.
                Ok(None) => {}
                Err(_) => return refused(Code::AgentOffline, "its agent did not answer in time"),
            }
        }
        refused(Code::AgentOffline, "the lines of its agent break; it may be restarting")
    }
}

/// The agent's answer; `None` when the line is lost.
async fn ask(line: &mut AgentLine, order: &TunnelOrder) -> Option<TunnelWord> {
    line.line.writer.word(&TunnelWord::Open { order: order.clone() }).await.ok()?;
    loop {
        match line.line.reader.next().await.ok()? {
            Event::Word(word @ (TunnelWord::Opened { .. } | TunnelWord::Refused { .. })) => return Some(word),
            Event::Word(TunnelWord::Unknown) | Event::Beat => {}
            Event::Word(_) | Event::Data(_) | Event::Closed => return None,
        }
    }
}
