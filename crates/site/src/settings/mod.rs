//! `appsettings.json`: two sections, `Logging.LogLevel` and `Settings`, fifteen keys.
//!
//! An unknown or mistyped key is a warning that names it and the nearest known key; bad values are errors, all of them
//! at once, each with file, key and what is allowed. A null or absent key has its default.

mod document;
mod read;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use sallyport_protocol::{Levels, LogLevel, Secret};

use crate::ServerAddress;
use crate::dial::Proxy;
use crate::durable::{self, Readers};

/// The keys of the section `Settings`, spelt as they must be, in the order of the file.
pub const KEYS: [&str; 15] = [
    "AllowAutoUpdate",
    "Username",
    "Password",
    "ServerAddress",
    "ReconnectTimeoutSeconds",
    "FileLogLevel",
    "ConsoleLogLevel",
    "LogAPICallBody",
    "NotifyUpdated",
    "SuppressUpdate",
    "IsTesting",
    "ProxyUsername",
    "ProxyPassword",
    "ProxyServerAddress",
    "PrintQueueEvents",
];

/// How long a sent message may stay unacknowledged when the file does not say.
pub const RECONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(15);

/// What the file says, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `Logging.LogLevel` without `Default`: the least level of lines whose target begins with the key.
    pub targets: BTreeMap<String, LogLevel>,
    /// `Logging.LogLevel.Default`: the least level of lines from libraries.
    pub library_level: LogLevel,
    /// Whether the wrapper may install another version of the agent.
    pub allow_auto_update: bool,
    /// The login: the agent's bare UUID.
    pub username: String,
    /// The login's password.
    pub password: Secret,
    /// Where the server is.
    pub server_address: ServerAddress,
    /// How long a sent message may stay unacknowledged before the connection is given up and the message sent again.
    pub reconnect_timeout: Duration,
    /// Least level of the log file and of what the server gets.
    pub file_level: LogLevel,
    /// Least level of the console.
    pub console_level: LogLevel,
    /// Whether bodies of control messages are logged, with secrets removed.
    pub log_api_call_body: bool,
    /// Whether the wrapper reports that it installed another version.
    pub notify_updated: bool,
    /// Whether another version is left alone even where it would be allowed.
    pub suppress_update: bool,
    /// Whether this is a trial of the installation: it ends at the first refused login instead of trying on.
    pub is_testing: bool,
    /// The proxy to dial through; the environment's when absent.
    pub proxy: Option<Proxy>,
    /// Whether every event of the agent's queues is logged.
    pub print_queue_events: bool,
}

/// Settings and what was odd about them.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// One sentence each, for the log: unknown and mistyped keys.
    pub warnings: Vec<String>,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read or written.
    #[error("reading {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// It is no JSON.
    #[error("{path} is not valid JSON: {reason}")]
    Json {
        /// The file.
        path: String,
        /// Why, with line and column.
        reason: String,
    },
    /// Values are not allowed. Each problem names its key and what is allowed.
    #[error("{path}: {}", problems.join("; "))]
    Values {
        /// The file.
        path: String,
        /// All of them.
        problems: Vec<String>,
    },
}

impl Settings {
    /// Reads and checks the file.
    pub fn load(path: &Path) -> Result<Loaded, Error> {
        let shown = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| unreadable(&shown, &error))?;
        Self::parse(&text, &shown)
    }

    /// Checks the file's text; `path` is only named.
    pub fn parse(text: &str, path: &str) -> Result<Loaded, Error> {
        let json = document::parse(text, path)?;
        read::settings(&json, path)
    }

    /// The levels for file and console.
    pub fn levels(&self) -> Levels {
        Levels { file: self.file_level, console: self.console_level }
    }

    /// Every login that they hold: the agent's own, and the proxy's.
    pub fn logins(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let proxy = self.proxy.as_ref().and_then(|proxy| proxy.credentials.as_ref());
        let own = (self.username.as_str(), &self.password);
        std::iter::once(own).chain(proxy.map(|(user, password)| (user.as_str(), password)))
    }

    /// The file's text, with every key in its order. It holds the password.
    pub fn to_json(&self) -> Secret {
        Secret::new(document::render(&document::from_settings(self)))
    }
}

/// Writes levels that were set on the platform into the file, so that they hold from the next start on; every other
/// key, known or not, stays.
pub fn rewrite_levels(path: &Path, levels: Levels) -> Result<(), Error> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| unreadable(&shown, &error))?;
    let mut json = document::parse(&text, &shown)?;
    if document::set_levels(&mut json, levels) {
        durable::replace(path, document::render(&json).as_bytes(), Readers::Owner)
            .map_err(|error| unreadable(&shown, &error))?;
    }
    Ok(())
}

fn unreadable(path: &str, error: &io::Error) -> Error {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "the file is missing; unzip the downloaded agent again".to_owned(),
        io::ErrorKind::PermissionDenied => format!("{error}; the user that runs the agent must be able to read it"),
        _ => error.to_string(),
    };
    Error::File { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests;
