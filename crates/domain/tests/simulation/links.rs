//! The server's agents: what they say, and what it means that they come and go.

use sallyport_domain::run::Event;
use sallyport_protocol::{AgentId, AttemptKey, RunId};

use crate::check::Broken;
use crate::server::{Due, GRACE, Taken};
use crate::world::{FromAgent, ToAgent, World};

impl World<'_> {
    pub(crate) fn hear(&mut self, agent: AgentId, message: FromAgent) -> Result<(), Broken> {
        match message {
            FromAgent::Accepted(key) => {
                if self.event(key.run, Event::Accepted { key, agent })? == Taken::Refused {
                    self.tell(agent, ToAgent::Cancel(key, "the attempt is over".to_owned()));
                }
            }
            FromAgent::Progress(key, steps) => {
                let known = self.server.runs[&key.run].run.orders_at(agent).any(|order| order == key);
                if known {
                    self.event(key.run, Event::Progress { key, steps })?;
                }
            }
            FromAgent::Finished(report) => {
                let key = report.key;
                match self.event(key.run, Event::Finished { agent, report })? {
                    Taken::Vanished => {
                        // Without an acknowledgement the connection ends, and it is said again.
                        if self.agents[&agent].connection.is_some() {
                            self.cut(agent);
                        }
                    }
                    Taken::Stored | Taken::Refused => self.tell(agent, ToAgent::Stored(key)),
                }
            }
        }
        self.settle()
    }

    pub(crate) fn came_online(
        &mut self,
        agent: AgentId,
        connection: u64,
        running: &[AttemptKey],
    ) -> Result<(), Broken> {
        self.server.links.insert(agent, connection);
        self.server.online.insert(agent);
        if let Some(at) = self.server.away.remove(&agent) {
            self.server.timers.remove(&(at, Due::Agent(agent)));
        }
        let open: Vec<RunId> = self.server.open.iter().copied().collect();
        let believed: Vec<AttemptKey> =
            open.iter().flat_map(|run| self.server.runs[run].run.orders_at(agent).collect::<Vec<_>>()).collect();
        for key in believed.into_iter().filter(|key| !running.contains(key)) {
            self.event(key.run, Event::Lost { agent, key: Some(key) })?;
        }
        for key in running {
            if !self.server.runs[&key.run].run.is_current(*key) {
                self.tell(agent, ToAgent::Cancel(*key, "the attempt is over".to_owned()));
            }
        }
        for run in
            open.into_iter().filter(|run| self.server.runs[run].run.agents().contains(&agent)).collect::<Vec<_>>()
        {
            self.event(run, Event::Tick)?;
        }
        self.settle()
    }

    pub(crate) fn went_offline(&mut self, agent: AgentId, connection: u64) {
        if self.server.links.get(&agent) == Some(&connection) {
            self.server.links.remove(&agent);
            self.server.online.remove(&agent);
            let until = self.clock().plus(GRACE);
            self.server.give_until(agent, until);
            self.arm();
        }
    }

    pub(crate) fn give_up_on(&mut self, agent: AgentId) -> Result<(), Broken> {
        if self.server.online.contains(&agent) {
            return Ok(());
        }
        for run in self.server.open.iter().copied().collect::<Vec<_>>() {
            if self.server.runs[&run].run.orders_at(agent).next().is_some() {
                self.event(run, Event::Lost { agent, key: None })?;
            }
        }
        Ok(())
    }
}
