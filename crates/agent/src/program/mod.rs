//! The program `sallyport-agent`: settings, logs, and the loop that keeps it connected.
//!
//! Exit codes: 0 stopped on purpose, 75 restart me now, 78 bad configuration, 69 a rehearsal without a verdict, 1 failure,
//! 101 a bug.

mod config;
mod crash;
mod life;
mod programs;
mod reconnect;
mod rehearsal;
mod run;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use rustls::ClientConfig;
use sallyport_connectors::Site;
use sallyport_protocol::{Clock, ExecutedBy, Levels, LogLevel, LogLine};
use sallyport_site::config::Environment;
use sallyport_site::dial::Dialer;
use sallyport_site::lock::{self, Lock};
use sallyport_site::policy::PolicyFile;
use sallyport_site::settings::{self, Settings};
use sallyport_site::{Layout, log, memory, tls};
use tracing::warn;

pub use config::{Flags, Starter};
use life::Life;

/// The wrapper starts the agent again at once.
const EXIT_RESTART: u8 = 75;

/// Starting again would not help: somebody must change something.
const EXIT_CONFIGURATION: u8 = 78;

/// How often and how long a start waits for an earlier agent of the same folder to end.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Stopped,
    Restart,
    Refused,
    Orphaned,
}

/// What was read at the start.
struct Setup {
    flags: Flags,
    layout: Layout,
    settings: Settings,
    environment: Environment,
    log: log::Handle,
    dialer: Dialer,
    tls: Arc<ClientConfig>,
    site: Site,
    clock: Clock,
    /// Held while the process lives.
    lock: Lock,
}

/// Runs the program.
pub fn main() -> ExitCode {
    memory::prepare();
    let flags = Flags::parse();
    if flags.rehearse {
        return rehearsal::run(&flags);
    }
    let setup = match Setup::read(flags, Clock::system()) {
        Ok(setup) => setup,
        Err(error) => {
            // In the log too, if it could be opened.
            tracing::error!(fatal = true, error = format!("{error:#}"), "the agent cannot start");
            complain(&error);
            let occupied = error.downcast_ref::<lock::Error>().is_some();
            return if occupied { ExitCode::FAILURE } else { ExitCode::from(EXIT_CONFIGURATION) };
        }
    };
    crash::log_panics(&setup.layout, &setup.settings, &setup.clock);
    let log = setup.log.clone();
    let ended = run(setup);
    log.flush();
    match ended {
        Ok(Exit::Stopped) => ExitCode::SUCCESS,
        Ok(Exit::Restart) => ExitCode::from(EXIT_RESTART),
        Ok(Exit::Refused) => ExitCode::from(EXIT_CONFIGURATION),
        Ok(Exit::Orphaned) => ExitCode::FAILURE,
        Err(error) => {
            tracing::error!(fatal = true, error = format!("{error:#}"), "the agent cannot run");
            log.flush();
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// The console is where a person looks when the agent does not start; it may be gone.
fn complain(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr().lock(), "sallyport-agent: {error:#}");
}

impl Setup {
    fn read(flags: Flags, clock: Clock) -> anyhow::Result<Self> {
        let home = std::path::absolute(&flags.home).with_context(|| format!("finding {}", flags.home.display()))?;
        let layout = Layout::new(home);
        let environment = Environment::read();
        let settings::Loaded { settings, warnings } = Settings::load(&layout.agent_settings())?;
        layout.create_folders()?;
        let log = log::start(log::Options {
            folder: layout.logs(),
            program: log::Program::Agent,
            levels: settings.levels(),
            targets: settings.targets.clone(),
            library_level: settings.library_level,
            colour: log::colour_wanted(&environment),
            clock: clock.clone(),
        })?;
        for warning in warnings {
            warn!("{warning}");
        }
        let by = ExecutedBy::from(flags.executed_by);
        let lock = occupy(&layout, by, &clock)?;
        let site = Site {
            files_root: layout.files(),
            confined: false,
            programs: programs::load(&layout.programs())?,
            policy: Arc::new(PolicyFile::open(&layout.policy(), clock.clone())),
        };
        let dialer = Dialer::from_settings(&settings, &environment)?;
        let tls = tls::client_config(&layout.server_ca())?;
        Ok(Self { flags, layout, settings, environment, log, dialer, tls, site, clock, lock })
    }
}

/// Takes the folder for this process; an agent that is about to end gets a moment to do so.
fn occupy(layout: &Layout, by: ExecutedBy, clock: &Clock) -> Result<Lock, lock::Error> {
    let mut tries = LOCK_TRIES;
    loop {
        match Lock::acquire(&layout.agent_lock(), "Sallyport agent", by, clock.now()) {
            Err(lock::Error::Held { .. }) if tries > 0 => tries -= 1,
            other => return other,
        }
        std::thread::sleep(LOCK_PAUSE);
    }
}

fn run(setup: Setup) -> anyhow::Result<Exit> {
    let life = Life::default();
    if setup.flags.life_pipe {
        life::watch_pipe(life.clone()).context("watching the life pipe")?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("agent")
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let exit = runtime.block_on(run::run(setup, life));
    // Steps that did not stop are left behind.
    runtime.shutdown_background();
    exit
}

/// Gives steps' lines to the process's log, from where they reach file, console and server.
fn run_log() -> crate::RunLog {
    Arc::new(|line: LogLine| {
        let (run, step, attempt) = match &line.run {
            Some(at) => (Some(at.run.to_string()), at.step.as_deref(), at.attempt),
            None => (None, None, None),
        };
        let event = line.event.as_deref();
        macro_rules! write {
            ($level:ident) => {
                tracing::$level!(target: "sallyport_agent::step", event, run, step, attempt, "{}", line.message)
            };
        }
        match line.level {
            LogLevel::Trace => write!(trace),
            LogLevel::Debug => write!(debug),
            LogLevel::Info => write!(info),
            LogLevel::Warning => write!(warn),
            LogLevel::Error | LogLevel::Fatal => write!(error),
        }
    })
}

/// Sets levels that came from the server, now and for the next start.
fn set_levels(log: &log::Handle, layout: &Layout, levels: Levels) {
    if log.levels() == levels {
        return;
    }
    let before = log.levels();
    log.set_levels(levels);
    warn!(
        file = %levels.file,
        console = %levels.console,
        file_before = %before.file,
        console_before = %before.console,
        "log levels set by the server; change them there"
    );
    if let Err(failed) = settings::rewrite_levels(&layout.agent_settings(), levels) {
        warn!(error = %failed, "the log levels could not be kept for the next start");
    }
}
