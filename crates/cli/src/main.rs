//! `sallyport`: the server's command and the operator's.
//!
//! Invariant: knows the server only through its HTTP API; nothing here opens its database, except `licence set`, which
//! is for the operator who has the server's data folder at hand.

mod bars;
mod client;
mod commands;
mod config;
mod credentials;
mod document;
mod error;
mod output;
mod patience;
mod say;
mod trust;

use std::process::ExitCode;

use clap::Parser;

use commands::{Command, Context};
use config::Config;
use output::Format;

/// Sallyport moves data between systems that cannot see each other, through agents that only dial out.
#[derive(Parser)]
#[command(name = "sallyport", version, propagate_version = true, max_term_width = 120)]
#[command(after_help = "\
Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 not found, 4 conflict, 5 not allowed, 6 the run failed.
Environment: SALLYPORT_SERVER and SALLYPORT_TOKEN_FILE instead of a login, SALLYPORT_CA, SALLYPORT_CONFIG_DIR, NO_COLOR.")]
struct Arguments {
    /// The server to talk to, instead of the one of the last login
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// How to print results
    #[arg(long, short, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    /// Show the detail behind an error
    #[arg(long, short, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = Config::read();
    say::set_colour(config.colour, config.colour_errors);
    let context = Context { server: arguments.server, format: arguments.output, config };
    match arguments.command.run(&context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::failure(&error, arguments.verbose);
            error.exit.into()
        }
    }
}

/// The command line's shape, for completions and checks.
fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests;
