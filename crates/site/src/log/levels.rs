//! Which lines are wanted, and where.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};

use sallyport_protocol::{Levels, LogLevel};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_log::log::LevelFilter as LibraryFilter;

/// What the targets of our own crates begin with.
const OWN_PREFIX: &str = "sallyport";

/// Thresholds for file and console, and floors by target.
#[derive(Debug)]
pub(super) struct Thresholds {
    file: AtomicU8,
    console: AtomicU8,
    targets: BTreeMap<String, LogLevel>,
    libraries: LogLevel,
}

impl Thresholds {
    pub(super) fn new(levels: Levels, targets: BTreeMap<String, LogLevel>, libraries: LogLevel) -> Self {
        let thresholds = Self { file: AtomicU8::new(0), console: AtomicU8::new(0), targets, libraries };
        thresholds.set(levels);
        thresholds
    }

    pub(super) fn set(&self, levels: Levels) {
        self.file.store(levels.file as u8, Ordering::Relaxed);
        self.console.store(levels.console as u8, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Levels {
        Levels { file: level(&self.file), console: level(&self.console) }
    }

    /// Whether a line goes to the file, and whether to the console.
    pub(super) fn wanted(&self, target: &str, at: LogLevel) -> (bool, bool) {
        if at < self.floor(target) {
            return (false, false);
        }
        let levels = self.get();
        (at >= levels.file, at >= levels.console)
    }

    /// The most talkative level that can matter; spans of `info` always count because they carry the run's name.
    pub(super) fn most_talkative(&self) -> LevelFilter {
        let Levels { file, console } = self.get();
        match file.min(console) {
            LogLevel::Trace => LevelFilter::TRACE,
            LogLevel::Debug => LevelFilter::DEBUG,
            _ => LevelFilter::INFO,
        }
    }

    /// The lowest floor that a library may have.
    pub(super) fn libraries_most_talkative(&self) -> LibraryFilter {
        match self.targets.values().copied().chain([self.libraries]).min().unwrap_or_default() {
            LogLevel::Trace => LibraryFilter::Trace,
            LogLevel::Debug => LibraryFilter::Debug,
            LogLevel::Info => LibraryFilter::Info,
            LogLevel::Warning => LibraryFilter::Warn,
            LogLevel::Error | LogLevel::Fatal => LibraryFilter::Error,
        }
    }

    fn floor(&self, target: &str) -> LogLevel {
        let named =
            self.targets.iter().filter(|(name, _)| is_or_contains(name, target)).max_by_key(|(name, _)| name.len());
        match named {
            Some((_, level)) => *level,
            None if target.starts_with(OWN_PREFIX) => LogLevel::Trace,
            None => self.libraries,
        }
    }
}

/// Whether `name` is the target or a module above it; dots count as `::`.
fn is_or_contains(name: &str, target: &str) -> bool {
    target.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::") || rest.starts_with('.'))
}

fn level(stored: &AtomicU8) -> LogLevel {
    LogLevel::ALL.get(usize::from(stored.load(Ordering::Relaxed))).copied().unwrap_or_default()
}

/// The level of an event that is not marked as fatal.
pub(super) fn of(level: &Level) -> LogLevel {
    match *level {
        Level::TRACE => LogLevel::Trace,
        Level::DEBUG => LogLevel::Debug,
        Level::INFO => LogLevel::Info,
        Level::WARN => LogLevel::Warning,
        Level::ERROR => LogLevel::Error,
    }
}
