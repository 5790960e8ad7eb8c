//! A rehearsal: a new version tries beside the running one whether it would get online here, and ends.
//!
//! Invariant: it changes nothing. It takes no lock, opens no journal and no log file, and the server gives it neither a
//! place of the licence nor the identity of the agent that runs.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use sallyport_protocol::{
    AgentMessage, Clock, ExecutedBy, InstanceId, Refusal, RefusalCode, ServerToAgent, Versions, capability, path,
};
use sallyport_site::config::Environment;
use sallyport_site::dial::Dialer;
use sallyport_site::presence::Machine;
use sallyport_site::settings::Settings;
use sallyport_site::{Layout, identity, tls};
use tokio_tungstenite::tungstenite::Message;

use super::config::Flags;
use super::life::{self, Life};
use super::{EXIT_CONFIGURATION, complain, programs};
use crate::link::{DialError, Server};

/// The server was not reached or lets nobody in now: this says nothing about the version.
const EXIT_NO_VERDICT: u8 = 69;

/// How long the server may take to answer the hello.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// How it went, where nothing is broken.
enum Verdict {
    Good,
    None(String),
}

/// Rehearses; says on standard error what failed.
pub(super) fn run(flags: &Flags) -> ExitCode {
    match rehearse(flags) {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::None(reason)) => {
            complain(&anyhow::anyhow!("{reason}"));
            ExitCode::from(EXIT_NO_VERDICT)
        }
        Err(error) => {
            complain(&error);
            ExitCode::from(EXIT_CONFIGURATION)
        }
    }
}

fn rehearse(flags: &Flags) -> anyhow::Result<Verdict> {
    let life = Life::default();
    if flags.life_pipe {
        life::watch_pipe(life.clone()).context("watching the life pipe")?;
    }
    let home = std::path::absolute(&flags.home).with_context(|| format!("finding {}", flags.home.display()))?;
    let layout = Layout::new(home);
    let environment = Environment::read();
    let settings = Settings::load(&layout.agent_settings())?.settings;
    let programs = programs::load(&layout.programs())?.into_keys().collect();
    let dialer = Dialer::from_settings(&settings, &environment)?;
    let tls = tls::client_config(&layout.server_ca())?;
    let clock = Clock::system();
    let machine = Machine::gather(&layout, &environment, clock.now());
    let presence = machine.presence(
        clock.now(),
        None,
        Some(env!("CARGO_PKG_VERSION")),
        flags.wrapper_version.as_deref(),
        ExecutedBy::from(flags.executed_by),
    );
    let hello = AgentMessage::Hello {
        versions: Versions::ours(&[capability::DATA]),
        presence,
        installation: identity::installation(&layout.installation())?,
        instance: InstanceId::new(),
        running: Vec::new(),
        programs,
    };
    let server = Server::new(settings.server_address.clone(), dialer, tls, &settings.username, &settings.password);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let verdict = runtime.block_on(log_in(&server, &hello));
    runtime.shutdown_background();
    verdict
}

async fn log_in(server: &Server, hello: &AgentMessage) -> anyhow::Result<Verdict> {
    let mut socket = match server.rehearsal().await {
        Ok(socket) => socket,
        // The wrapper logs in with the same password: what is refused here is no matter of the version.
        Err(DialError::Refused(refusal)) => return Ok(Verdict::None(refusal.message)),
        Err(DialError::Network { message, .. }) => return Ok(Verdict::None(message)),
    };
    let talk = async {
        socket.send(Message::text(serde_json::to_string(hello)?)).await.context("saying hello")?;
        while let Some(message) = socket.next().await {
            if let Message::Text(text) = message.context("waiting for the welcome")? {
                return judge(serde_json::from_str(&text).context("understanding the server's answer")?);
            }
        }
        Ok(Verdict::None(format!("the server closed {} without an answer", path::REHEARSAL)))
    };
    match tokio::time::timeout(ANSWER_WITHIN, talk).await {
        Ok(verdict) => verdict,
        Err(_) => Ok(Verdict::None(format!("the server did not answer within {} s", ANSWER_WITHIN.as_secs()))),
    }
}

fn judge(answer: ServerToAgent) -> anyhow::Result<Verdict> {
    match answer {
        ServerToAgent::Welcome { .. } => Ok(Verdict::Good),
        ServerToAgent::Refused { refusal: Refusal { code: RefusalCode::VersionTooOld, message, .. } } => bail!(message),
        ServerToAgent::Refused { refusal } => Ok(Verdict::None(refusal.message)),
        ServerToAgent::GoAway { .. } => Ok(Verdict::None("the server stops".to_owned())),
        _ => bail!("the server answered the hello with something else than a welcome"),
    }
}
