//! What a wrapper opens and says first.

use sallyport_protocol::{Clock, ExecutedBy, Timestamp};
use sallyport_site::config::Environment;
use sallyport_site::{Layout, Settings, log};
use tracing::info;

use super::Refusal;
use crate::console;
use crate::status::{AgentState, AgentStatus, Server, Status, UpdateStatus, Wrapper};

pub(super) fn start_log(
    layout: &Layout,
    settings: &Settings,
    environment: &Environment,
    clock: &Clock,
) -> Result<log::Handle, Refusal> {
    log::start(log::Options {
        folder: layout.logs(),
        program: log::Program::Wrapper,
        levels: settings.levels(),
        targets: settings.targets.clone(),
        library_level: settings.library_level,
        colour: log::colour_wanted(environment),
        clock: clock.clone(),
    })
    .map_err(|error| Refusal::failed(&error))
}

pub(super) fn greet(layout: &Layout, settings: &Settings) {
    console::say(&format!("Sallyport wrapper {}, in {}", env!("CARGO_PKG_VERSION"), layout.home().display()));
    console::say(&format!("Connecting to {}; logs are in {}", settings.server_address, layout.logs().display()));
    console::say("Ctrl-C ends it.");
    if settings.is_testing {
        console::say("IsTesting is set: this is a trial that ends when the server refuses the login.");
    }
    info!(version = env!("CARGO_PKG_VERSION"), server = %settings.server_address, testing = settings.is_testing, "the wrapper starts");
}

pub(super) fn first_status(settings: &Settings, executed_by: ExecutedBy, now: Timestamp) -> Status {
    Status {
        wrapper: Wrapper {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process_id: std::process::id(),
            executed_by,
            since: now,
        },
        agent: AgentStatus { state: AgentState::Starting, restarts: 0, last_exit: None },
        server: Server { address: settings.server_address.to_string(), online: false, name: None, problem: None },
        update: UpdateStatus::default(),
        wrapper_update: UpdateStatus::default(),
        uncaught_exception: false,
        last_crash: None,
    }
}
