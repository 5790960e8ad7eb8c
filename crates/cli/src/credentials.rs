//! Logins, kept in one file that only its owner can read.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use sallyport_protocol::Secret;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::{Doing, Error, Exit, Result};

/// Every server this person has logged in to.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Credentials {
    /// The server that commands use unless told otherwise.
    #[serde(default)]
    pub(crate) current: Option<String>,
    /// By address.
    #[serde(default)]
    pub(crate) servers: BTreeMap<String, Login>,
}

/// What is needed to talk to one server.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Login {
    /// A session's or an API token.
    #[serde(default)]
    pub(crate) token: Secret,
    /// Who logged in.
    #[serde(default)]
    pub(crate) user: String,
    /// The certificate to trust, as PEM, where the system's roots do not know it.
    #[serde(default)]
    pub(crate) ca: Option<String>,
}

impl Credentials {
    /// Reads the file; a file that is not there is empty.
    pub(crate) fn load(config: &Config) -> Result<Self> {
        let Some(path) = file(config) else { return Ok(Self::default()) };
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| {
                Error::failed(format!("{} is damaged: {error}; remove it and log in again", path.display()))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Error::failed(format!("reading {}: {error}", path.display()))),
        }
    }

    /// Replaces the file, readable by its owner alone.
    pub(crate) fn save(&self, config: &Config) -> Result<()> {
        let path = file(config).ok_or_else(|| Error::failed("no home folder: set SALLYPORT_CONFIG_DIR"))?;
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::failed(error.to_string()))?;
        write_private(&path, text.as_bytes()).doing(|| format!("writing {}", path.display()))
    }

    /// The address to use: the one given, the environment's, or that of the last login.
    pub(crate) fn address(&self, given: Option<&str>, config: &Config) -> Result<String> {
        given
            .map(str::to_owned)
            .or_else(|| config.server.clone())
            .or_else(|| self.current.clone())
            .map(|address| address.trim_end_matches('/').to_owned())
            .ok_or_else(|| Error::new(Exit::NotAllowed, "not logged in: `sallyport login https://HOST:PORT`"))
    }
}

/// An API token that a file holds, for machines that do not log in.
pub(crate) fn token_in(path: &Path) -> Result<Secret> {
    let text = std::fs::read_to_string(path).doing(|| format!("reading the token in {}", path.display()))?;
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(Error::new(Exit::NotAllowed, format!("{} does not hold one token", path.display())));
    }
    Ok(Secret::new(token.to_owned()))
}

fn file(config: &Config) -> Option<PathBuf> {
    config.folder.as_ref().map(|folder| folder.join("credentials.json"))
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}
