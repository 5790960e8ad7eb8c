//! Opening one stream at an agent: of several, at the least busy one that answers.

use std::time::Duration;

use sallyport_dataplane::tunnel::{self, Event};
use sallyport_protocol::{
    AgentId, ServerToAgent, TunnelOrder, TunnelRefusal, TunnelRefusalCode as Code, TunnelWord, capability,
};
use tokio::time::{Instant, timeout};

use super::lines::{AgentLine, NoLine};
use super::{REACH_MAX, Session, Tunnels};
use crate::engine::Link;
use crate::gateway::Handle;

/// Lines that may turn out to be dead before the agent counts as silent.
const TRIES: usize = 3;

/// Above what an agent gives name, port and TLS together.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// One of several agents that has said nothing by then is passed over.
const PASSED_AFTER: Duration = Duration::from_secs(4);

/// An agent that was passed over comes last for so long; by then it is known to be offline, or answers again.
const PASSED_FOR: Duration = Duration::from_secs(60);

/// A stream that an agent has opened.
pub(crate) struct Opened {
    /// Which.
    pub(crate) agent: AgentId,
    /// Its line.
    pub(crate) line: AgentLine,
    /// What it said of the target.
    pub(crate) word: TunnelWord,
}

/// One that may open it.
struct Candidate {
    agent: AgentId,
    link: Link<ServerToAgent>,
}

impl Tunnels {
    /// Has one of the agents open the stream, and remembers what that showed of the target.
    pub(crate) async fn open(
        &self,
        session: &Session,
        agents: &[AgentId],
        order: &TunnelOrder,
    ) -> Result<Opened, TunnelRefusal> {
        let opened = self.open_at_one(session, agents, order).await;
        let now = session.gateway().parts().clock.now();
        let mut all = self.inner.reach();
        if all.len() >= REACH_MAX {
            all.clear();
        }
        let reach = all.entry(session.about()).or_default();
        *reach = match &opened {
            Ok(_) => std::mem::take(reach).opened(now),
            Err(refusal) => std::mem::take(reach).failed(refusal.message.clone(), now),
        };
        drop(all);
        opened
    }

    async fn open_at_one(
        &self,
        session: &Session,
        agents: &[AgentId],
        order: &TunnelOrder,
    ) -> Result<Opened, TunnelRefusal> {
        let candidates = self.candidates(session.gateway(), agents, order)?;
        let count = candidates.len();
        for (at, candidate) in candidates.into_iter().enumerate() {
            let agent = candidate.agent;
            session.uses(agent);
            if at + 1 == count {
                return self.open_at(candidate, order).await;
            }
            match timeout(PASSED_AFTER, self.open_at(candidate, order)).await {
                Ok(Err(refusal)) if refusal.code == Code::AgentOffline => {
                    tracing::info!(%agent, tunnel = %order.tunnel, reason = refusal.message, "an agent was passed over");
                }
                // What the agent says of its target holds for the person, too.
                Ok(result) => return result,
                Err(_) => {
                    let seconds = PASSED_AFTER.as_secs();
                    tracing::warn!(%agent, tunnel = %order.tunnel, seconds, "an agent that said nothing was passed over");
                }
            }
            self.inner.passed().insert(agent, Instant::now() + PASSED_FOR);
        }
        Err(refusal(order, Code::AgentOffline, "it has no agent"))
    }

    /// Those that may open it, the best first.
    fn candidates(
        &self,
        gateway: &Handle,
        agents: &[AgentId],
        order: &TunnelOrder,
    ) -> Result<Vec<Candidate>, TunnelRefusal> {
        let wanted = if order.http.is_some() { capability::VIA } else { capability::TUNNEL };
        let online: Vec<Candidate> = agents
            .iter()
            .filter_map(|agent| Some(Candidate { agent: *agent, link: gateway.link_of(*agent)? }))
            .collect();
        let several = agents.len() > 1;
        if online.is_empty() {
            let why = if several { "none of its agents is online" } else { "its agent is offline" };
            return Err(refusal(order, Code::AgentOffline, why));
        }
        let mut able: Vec<Candidate> = online.into_iter().filter(|candidate| candidate.link.can(wanted)).collect();
        if able.is_empty() {
            let why = "its agent is too old for this; update it";
            return Err(refusal(order, Code::Other, why));
        }
        let now = Instant::now();
        let mut passed = self.inner.passed();
        passed.retain(|_, until| *until > now);
        // In the connection's order where they are equal.
        able.sort_by_key(|candidate| (passed.contains_key(&candidate.agent), self.inner.lines.busy(candidate.agent)));
        Ok(able)
    }

    async fn open_at(&self, candidate: Candidate, order: &TunnelOrder) -> Result<Opened, TunnelRefusal> {
        let Candidate { agent, link } = candidate;
        let offline = |why: &str| refusal(order, Code::AgentOffline, why);
        for _ in 0..TRIES {
            let mut line = match self.inner.lines.take(agent, &link).await {
                Ok(line) => line,
                Err(NoLine::Offline) => return Err(offline("its agent went offline")),
                Err(NoLine::Silent) => return Err(offline("its agent opened no line to the server in time")),
            };
            match timeout(ANSWER_MAX, ask(&mut line, order)).await {
                Ok(Some(TunnelWord::Refused { refusal })) => {
                    if let Some(kept) = tunnel::dismiss(line.line).await {
                        line.line = kept;
                        self.inner.lines.give(agent, line);
                    }
                    return Err(refusal);
                }
                Ok(Some(word)) => return Ok(Opened { agent, line, word }),
                // It had died while it waited.
                Ok(None) => {}
                Err(_) => return Err(offline("its agent did not answer in time")),
            }
        }
        Err(offline("the lines of its agent break; it may be restarting"))
    }
}

fn refusal(order: &TunnelOrder, code: Code, why: &str) -> TunnelRefusal {
    TunnelRefusal { code, message: format!("connection `{}`: {why}", order.connection) }
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
