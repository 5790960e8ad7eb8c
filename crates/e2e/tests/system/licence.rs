//! Two agents that come at once take one place of a trial only once.

use std::time::Duration;

use anyhow::{Result, ensure};
use sallyport_e2e::{Options, System, within};

const WARNING: &str = "WARNING: Disconnected. Server requested shutdown - Max parallel agents 1 reached.!";

#[test]
fn of_two_agents_at_once_a_trial_lets_one_in_and_tells_the_other() -> Result<()> {
    System::with(Options { licence: "trial", ..Options::default() }, |system| {
        let mut agents = [system.install("first")?, system.install("second")?];
        for agent in &mut agents {
            agent.start()?;
        }
        let refused = within(Duration::from_secs(60), "one agent to be refused", || {
            Ok(agents.iter().position(|agent| agent.console().contains(WARNING)))
        })?;
        let (loser, winner) = (&agents[refused], &agents[1 - refused]);
        system.online(&winner.name)?;
        ensure!(!system.is_online(&loser.name)?, "{} is online too", loser.name);
        ensure!(!winner.console().contains(WARNING), "both were refused");
        ensure!(loser.agent_log().contains(WARNING), "the agent's log says nothing:\n{}", loser.agent_log());
        ensure!(system.server.output().contains(WARNING), "the server's log says nothing");
        let licence = system.api().get("/api/v1/licence")?;
        ensure!(licence["agents_max"] == 1 && licence["agents_online"] == 1, "{licence}");

        // A larger licence lets the other one in, without anybody touching it.
        system.server.set_licence("standard")?;
        system.online(&loser.name)
    })
}

#[test]
fn an_agent_that_comes_back_takes_its_own_place_again() -> Result<()> {
    System::with(Options { licence: "trial", ..Options::default() }, |system| {
        let agent = system.agent("only")?;
        let before = agent.agent_process();
        agent.signal_agent(sallyport_e2e::Signal::KILL)?;
        within(Duration::from_secs(30), "the wrapper to start the agent again", || {
            Ok(agent.agent_process().filter(|pid| Some(*pid) != before))
        })?;
        within(Duration::from_secs(30), "the new process to be online", || {
            let shown = system.show_agent("only")?;
            let now = agent.agent_process().map(u64::from);
            Ok((shown["status"] == "online" && shown["detail"]["process_id"].as_u64() == now).then_some(()))
        })?;
        ensure!(!agent.console().contains("Max parallel agents"), "a crash took the place away");
        Ok(())
    })
}
