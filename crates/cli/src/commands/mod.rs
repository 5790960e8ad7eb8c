//! One module a noun; each holds its arguments and what they do.

mod agents;
mod checkpoints;
mod completions;
mod connections;
mod licence;
mod limits;
mod login;
mod logs;
mod notifications;
mod releases;
mod retention;
mod run;
mod runs;
mod server;
mod status;
mod tasks;
mod triggers;
mod tunnel;
mod variables;

use crate::client::Client;
use crate::config::Config;
use crate::error::Result;
use crate::output::Format;

/// What every command is given.
pub(crate) struct Context {
    /// `--server`.
    pub(crate) server: Option<String>,
    /// `-o`.
    pub(crate) format: Format,
    /// The environment.
    pub(crate) config: Config,
}

impl Context {
    /// The server's API with the person's login.
    pub(crate) fn client(&self) -> Result<Client> {
        Client::open(self.server.as_deref(), &self.config)
    }
}

/// What to do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Run the server: API, agents' sessions, relay, background agent
    Server(server::Arguments),
    /// Run a task here, all steps in this process, without a server
    Run(run::Arguments),
    /// Log in to a server, or set the first administrator's password with the server's setup link
    Login(login::Arguments),
    /// Forget the login
    Logout,
    /// Show who you are, the agents' state and the latest runs
    Status,
    /// Remote agents: the programs next to the data
    #[command(subcommand)]
    Agents(agents::Arguments),
    /// Named targets and the agents that reach them
    #[command(subcommand)]
    Connections(connections::Arguments),
    /// A connection's target as if it were on this machine
    Tunnel(tunnel::Arguments),
    /// What is moved from where to where
    #[command(subcommand)]
    Tasks(tasks::Arguments),
    /// What starts tasks by itself, and when
    #[command(subcommand)]
    Triggers(triggers::Arguments),
    /// How far incremental reads are, and where they go on
    #[command(subcommand)]
    Checkpoints(checkpoints::Arguments),
    /// Executions of tasks
    #[command(subcommand)]
    Runs(runs::Arguments),
    /// Who is told about failures, recoveries and late runs, and how
    #[command(subcommand)]
    Notifications(notifications::Arguments),
    /// How many runs agents, connections and the environment serve at one time
    #[command(subcommand)]
    Limits(limits::Arguments),
    /// How long runs and logs are kept
    #[command(subcommand)]
    Retention(retention::Arguments),
    /// Signed releases of the agent, and which agents get them
    #[command(subcommand)]
    Releases(releases::Arguments),
    /// Texts of the environment that tasks use; not secret
    #[command(subcommand)]
    Variables(variables::Arguments),
    /// Read the log of a run, or of an agent and its wrapper
    Logs(logs::Arguments),
    /// The licence: how many remote agents may be online in parallel
    #[command(subcommand)]
    Licence(licence::Arguments),
    /// Print a completion script for a shell
    Completions(completions::Arguments),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Server(arguments) => server::run(arguments),
            Self::Run(arguments) => run::run(&arguments, context),
            Self::Login(arguments) => login::login(&arguments, context),
            Self::Logout => login::logout(context),
            Self::Status => status::run(context),
            Self::Agents(arguments) => agents::run(&arguments, context),
            Self::Connections(arguments) => connections::run(&arguments, context),
            Self::Tunnel(arguments) => tunnel::run(&arguments, context),
            Self::Tasks(arguments) => tasks::run(&arguments, context),
            Self::Triggers(arguments) => triggers::run(&arguments, context),
            Self::Checkpoints(arguments) => checkpoints::run(&arguments, context),
            Self::Runs(arguments) => runs::run(&arguments, context),
            Self::Notifications(arguments) => notifications::run(&arguments, context),
            Self::Limits(arguments) => limits::run(&arguments, context),
            Self::Retention(arguments) => retention::run(&arguments, context),
            Self::Releases(arguments) => releases::run(&arguments, context),
            Self::Variables(arguments) => variables::run(&arguments, context),
            Self::Logs(arguments) => logs::run(&arguments, context),
            Self::Licence(arguments) => licence::run(&arguments, context),
            Self::Completions(arguments) => completions::run(&arguments),
        }
    }
}
