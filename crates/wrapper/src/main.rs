//! Starts the agent, keeps it alive, and tells the server why it is down when it is.
//!
//! Invariant: small. No async runtime, no Arrow, no knowledge of tasks or runs; the wrapper must still stand when the
//! agent does not. Decisions about starting and stopping are the pure state machine in [`supervise`]; threads around it
//! do what it says.

mod agent;
mod app;
mod args;
mod bundle;
mod command;
mod console;
mod crash;
mod doctor;
mod fetch;
mod install;
mod keys;
mod ledger;
mod link;
mod moment;
mod page;
mod platform;
mod policy;
mod reports;
mod service;
mod status;
mod supervise;
mod tail;
mod update;

use std::process::ExitCode;

fn main() -> ExitCode {
    match args::parse(std::env::args_os().skip(1)) {
        Ok(arguments) => ExitCode::from(platform::service::host(&arguments)),
        Err(message) => {
            console::complain(&format!("{message}\n\n{}", args::USAGE));
            ExitCode::from(app::EXIT_USAGE)
        }
    }
}
