//! The command line. Everything else comes from `appsettings.json`, and the environment through `sallyport_site`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use sallyport_protocol::ExecutedBy;

/// Runs the steps of Sallyport's tasks next to the data. Usually started by the wrapper (start.sh, start.bat).
#[derive(Clone, Debug, Parser)]
#[command(name = "sallyport-agent", version)]
pub struct Flags {
    /// The unzipped folder
    #[arg(long, default_value = ".")]
    pub home: PathBuf,
    /// Standard input is the life pipe: its end ends the agent at once, the line `stop` ends it gracefully
    #[arg(long)]
    pub life_pipe: bool,
    /// Try whether this version would get online here, beside an agent that runs, and end
    #[arg(long)]
    pub rehearse: bool,
    /// The version of the wrapper that starts this agent
    #[arg(long, value_name = "VERSION")]
    pub wrapper_version: Option<String>,
    /// How the agent came to run
    #[arg(long, value_enum, default_value_t = Starter::Foreground)]
    pub executed_by: Starter,
}

/// The words of `--executed-by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Starter {
    /// In a terminal, by a person
    Foreground,
    /// Detached from any terminal
    Background,
    /// By the service manager
    Service,
}

impl From<Starter> for ExecutedBy {
    fn from(starter: Starter) -> Self {
        match starter {
            Starter::Foreground => Self::Foreground,
            Starter::Background => Self::Background,
            Starter::Service => Self::Service,
        }
    }
}
