//! Logs of agent and wrapper: a file a day, the console, and a tap for the server; levels change while it runs.
//!
//! Two thresholds decide where a line goes: the file's (the server gets the same lines) and the console's. Before them
//! stands a floor per target: `Logging.LogLevel.<target>` for what it names, `Default` for libraries, none for
//! Sallyport's own lines.

mod console;
mod file;
mod layer;
mod levels;
mod line;
mod recent;
mod tap;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sallyport_protocol::{Clock, Levels, LogLevel};
use tracing_log::LogTracer;
use tracing_subscriber::layer::SubscriberExt;

pub use console::{CONSOLE_TEXTS_MAX, Console};
pub use file::{DAY_BYTES_MAX, RETENTION_DAYS};
pub use layer::LogLayer;
pub use line::{file_line, time};
pub use recent::{RECENT_BYTES_MAX, newest, recent};
pub use tap::{Drained, TAP_LINES_MAX, Tap};

use crate::config::Environment;
use file::DailyFile;
use levels::Thresholds;

/// Whose log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `server-YYYY-MM-DD.log`, the name that administrators know from other agents.
    Agent,
    /// `wrapper-YYYY-MM-DD.log`.
    Wrapper,
}

impl Program {
    /// What the names of its files begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Agent => "server",
            Self::Wrapper => "wrapper",
        }
    }
}

/// How to log.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the files; it must exist and be writable.
    pub folder: PathBuf,
    /// Whose log it is.
    pub program: Program,
    /// Thresholds to begin with.
    pub levels: Levels,
    /// Floors by target.
    pub targets: BTreeMap<String, LogLevel>,
    /// The floor of libraries.
    pub library_level: LogLevel,
    /// Whether the console shows colours, see [`colour_wanted`].
    pub colour: bool,
    /// For the lines' time and the files' day (UTC).
    pub clock: Clock,
}

/// The log cannot be written; the program must not start without one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder or file is missing or not writable.
    #[error(
        "opening the log file {path}; the folder must exist and the user that runs this must be able to write to it"
    )]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A log was started before.
    #[error("the log of this process is already started")]
    Started,
}

/// The running log.
#[derive(Clone, Debug)]
pub struct Handle {
    thresholds: Arc<Thresholds>,
    tap: Tap,
    path: PathBuf,
    console: Console,
}

impl Handle {
    /// Gives the console a moment to show the last lines; for the end of the program.
    pub fn flush(&self) {
        self.console.flush();
    }

    /// Logs at these levels from now on.
    pub fn set_levels(&self, levels: Levels) {
        self.thresholds.set(levels);
        tracing::callsite::rebuild_interest_cache();
    }

    /// The levels in force.
    pub fn levels(&self) -> Levels {
        self.thresholds.get()
    }

    /// Where lines for the server wait.
    pub fn tap(&self) -> Tap {
        self.tap.clone()
    }

    /// The file that was open when the log started.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes the log without installing it.
pub fn layer(options: Options) -> Result<(LogLayer, Handle), Error> {
    let file = DailyFile::open(&options.folder, options.program.prefix(), options.clock.now())
        .map_err(|(path, source)| Error::File { path: path.display().to_string(), source })?;
    let path = file.path().to_owned();
    let thresholds = Arc::new(Thresholds::new(options.levels, options.targets, options.library_level));
    let tap = Tap::new();
    let console = Console::standard_error();
    let parts = (Arc::clone(&thresholds), tap.clone(), console.clone());
    let layer = LogLayer::new(parts, file, options.colour, options.clock);
    Ok((layer, Handle { thresholds, tap, path, console }))
}

/// Makes the log and installs it for the process.
pub fn start(options: Options) -> Result<Handle, Error> {
    let (layer, handle) = layer(options)?;
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).map_err(|_| Error::Started)?;
    // Libraries that write to the older `log`; what is below every floor is not even formatted.
    LogTracer::init_with_filter(handle.thresholds.libraries_most_talkative()).map_err(|_| Error::Started)?;
    Ok(handle)
}

/// Whether standard error is a terminal that shows colours and nobody asked for none.
pub fn colour_wanted(environment: &Environment) -> bool {
    cfg!(unix) && !environment.no_colour && io::stderr().is_terminal()
}

#[cfg(test)]
mod tests;
