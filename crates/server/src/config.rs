//! What the server is told: flag before environment before file before default. Nothing else reads the environment.

mod entry;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use entry::Entry;

/// What the command line says; `None` and `false` leave the word to environment, file and default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config`: the file to read; `sallyport.toml` in the current folder if there is one.
    pub config: Option<PathBuf>,
    /// `--data-dir`: database, keys, certificates.
    pub data_dir: Option<PathBuf>,
    /// `--listen`: address and port.
    pub listen: Option<String>,
    /// `--public-url`: the address that agents and people use.
    pub public_url: Option<String>,
    /// `--tls-cert`: own certificate chain, PEM.
    pub tls_cert: Option<PathBuf>,
    /// `--tls-key`: its key, PEM.
    pub tls_key: Option<PathBuf>,
    /// `--behind-proxy`: speak plain HTTP to a proxy that does TLS.
    pub behind_proxy: bool,
    /// `--release-dir`: where the agent's and wrapper's programs are.
    pub release_dir: Option<PathBuf>,
    /// `--log-level`.
    pub log_level: Option<String>,
}

/// How TLS is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// With a certificate of the server's own CA.
    Own,
    /// With a given certificate.
    Given {
        /// Chain, PEM.
        cert: PathBuf,
        /// Key, PEM.
        key: PathBuf,
    },
    /// By a proxy in front.
    BehindProxy,
}

/// The settings, checked, each with where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Database, keys, certificates.
    pub data_dir: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// What agents and people use, without a slash at the end.
    pub public_url: String,
    /// How TLS is done.
    pub tls: Tls,
    /// Where the agent's and wrapper's programs are.
    pub release_dir: PathBuf,
    /// How much is logged.
    pub log_level: tracing::Level,
    /// Addresses on this machine that lead to connections.
    pub entries: Vec<Entry>,
    sources: Vec<(&'static str, String, String)>,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or understood.
    #[error("configuration file `{file}`: {reason}")]
    File {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A value is not allowed.
    #[error("`{key}` from {source_name} is `{value}`: {expected}")]
    Value {
        /// The setting.
        key: &'static str,
        /// Where the value came from.
        source_name: String,
        /// The value.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// An entry cannot be used.
    #[error("configuration file `{file}`, entry {number}: `{key}` {problem}")]
    Entry {
        /// The file.
        file: String,
        /// Which of its entries, from 1.
        number: usize,
        /// The setting.
        key: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// Settings contradict each other.
    #[error("{0}")]
    Together(&'static str),
}

/// The file's keys.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<String>,
    listen: Option<String>,
    public_url: Option<String>,
    tls_cert: Option<String>,
    tls_key: Option<String>,
    behind_proxy: Option<bool>,
    release_dir: Option<String>,
    log_level: Option<String>,
    #[serde(default)]
    entry: Vec<entry::Keys>,
}

impl Config {
    /// Reads flags, environment and file.
    pub fn load(flags: &Flags) -> Result<Self, Error> {
        Self::read(flags, &|name| {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
            std::env::var(name).ok().filter(|value| !value.is_empty())
        })
    }

    fn read(flags: &Flags, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let (file, file_name) = read_file(flags.config.clone().or(environment("SALLYPORT_CONFIG").map(Into::into)))?;
        let mut pick = Pick { environment, file_name, sources: Vec::new() };
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());

        let data_dir = pick.of("data_dir", path(&flags.data_dir), file.data_dir, || "sallyport-data".into());
        let listen = pick.of("listen", flags.listen.clone(), file.listen, || "0.0.0.0:8443".into());
        let listen: SocketAddr = listen
            .parse()
            .map_err(|_| pick.refuse("listen", &listen, "expected address and port, such as 0.0.0.0:8443"))?;
        let tls_cert = pick.maybe("tls_cert", path(&flags.tls_cert), file.tls_cert);
        let tls_key = pick.maybe("tls_key", path(&flags.tls_key), file.tls_key);
        let proxy_flag = flags.behind_proxy.then(|| "true".to_owned());
        let file_proxy = file.behind_proxy.map(|behind| behind.to_string());
        let behind_proxy = match pick.of("behind_proxy", proxy_flag, file_proxy, || "false".into()).as_str() {
            "true" | "1" => true,
            "false" | "0" => false,
            other => return Err(pick.refuse("behind_proxy", other, "expected true or false")),
        };
        let tls = tls(behind_proxy, tls_cert, tls_key)?;
        let public_url =
            pick.of("public_url", flags.public_url.clone(), file.public_url, || default_url(environment, listen));
        let public_url = check_url(&public_url).ok_or_else(|| {
            pick.refuse("public_url", &public_url, "expected https://host or https://host:port, without a path")
        })?;
        let release_dir = pick.of("release_dir", path(&flags.release_dir), file.release_dir, || {
            beside_executable().display().to_string()
        });
        let log_level = pick.of("log_level", flags.log_level.clone(), file.log_level, || "info".into());
        let log_level = log_level
            .parse()
            .map_err(|_| pick.refuse("log_level", &log_level, "expected trace, debug, info, warn or error"))?;
        let entries = entry::check(file.entry, &pick.file_name, listen)?;
        Ok(Self {
            data_dir: data_dir.into(),
            listen,
            public_url,
            tls,
            release_dir: release_dir.into(),
            log_level,
            entries,
            sources: pick.sources,
        })
    }

    /// Every setting, its value and where it came from, a line each.
    pub fn report(&self) -> String {
        let mut report = String::new();
        for (key, value, source) in &self.sources {
            let _ = writeln!(report, "{key:<12} = {value}   ({source})");
        }
        for entry in &self.entries {
            let _ = writeln!(report, "{:<12} = {}", "entry", entry.words());
        }
        report
    }

    /// Port 0 means any free one: once it is known, it takes the place of the 0 in the public URL.
    pub(crate) fn bound_to(&mut self, address: SocketAddr) {
        if let Some(host) = self.public_url.strip_suffix(":0") {
            self.public_url = format!("{host}:{}", address.port());
        }
        self.listen = address;
    }

    /// The host name or address in the public URL.
    pub(crate) fn public_host(&self) -> &str {
        let authority = self.public_url.split_once("://").map_or("", |(_, authority)| authority);
        match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
        }
    }
}

struct Pick<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    file_name: String,
    sources: Vec<(&'static str, String, String)>,
}

impl Pick<'_> {
    fn of(
        &mut self,
        key: &'static str,
        flag: Option<String>,
        file: Option<String>,
        default: impl FnOnce() -> String,
    ) -> String {
        self.maybe(key, flag, file).unwrap_or_else(|| {
            let value = default();
            self.sources.push((key, value.clone(), "default".into()));
            value
        })
    }

    fn maybe(&mut self, key: &'static str, flag: Option<String>, file: Option<String>) -> Option<String> {
        let variable = format!("SALLYPORT_{}", key.to_ascii_uppercase());
        let (value, source) = if let Some(value) = flag {
            (value, format!("flag --{}", key.replace('_', "-")))
        } else if let Some(value) = (self.environment)(&variable) {
            (value, format!("environment {variable}"))
        } else {
            (file?, format!("file {}", self.file_name))
        };
        self.sources.push((key, value.clone(), source));
        Some(value)
    }

    fn refuse(&self, key: &'static str, value: &str, expected: &'static str) -> Error {
        let source = self.sources.iter().rfind(|(known, ..)| *known == key).map(|(_, _, source)| source.clone());
        Error::Value { key, source_name: source.unwrap_or_default(), value: value.to_owned(), expected }
    }
}

fn read_file(named: Option<PathBuf>) -> Result<(File, String), Error> {
    let path = named.clone().unwrap_or_else(|| Path::new("sallyport.toml").to_owned());
    let file = path.display().to_string();
    match std::fs::read_to_string(&path) {
        Ok(text) => match toml::from_str(&text) {
            Ok(read) => Ok((read, file)),
            Err(error) => Err(Error::File { file, reason: error.to_string() }),
        },
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok((File::default(), file)),
        Err(error) => Err(Error::File { file, reason: error.to_string() }),
    }
}

fn tls(behind_proxy: bool, cert: Option<String>, key: Option<String>) -> Result<Tls, Error> {
    match (behind_proxy, cert, key) {
        (true, None, None) => Ok(Tls::BehindProxy),
        (true, ..) => Err(Error::Together("`behind_proxy` and `tls_cert` exclude each other: the proxy does TLS")),
        (false, None, None) => Ok(Tls::Own),
        (false, Some(cert), Some(key)) => Ok(Tls::Given { cert: cert.into(), key: key.into() }),
        (false, ..) => Err(Error::Together("`tls_cert` and `tls_key` go together: give both or neither")),
    }
}

/// On loopback only this machine can come in; otherwise the machine's name is the best guess.
fn default_url(environment: &dyn Fn(&str) -> Option<String>, listen: SocketAddr) -> String {
    let name = if listen.ip().is_loopback() { None } else { machine_name(environment) };
    format!("https://{}:{}", name.as_deref().unwrap_or("localhost"), listen.port())
}

fn machine_name(environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| environment("COMPUTERNAME"))?;
    let name = name.trim().to_owned();
    (!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))).then_some(name)
}

fn check_url(url: &str) -> Option<String> {
    let url = url.trim_end_matches('/');
    let authority = url.strip_prefix("https://")?;
    let parsed: http::uri::Authority = authority.parse().ok()?;
    (!parsed.host().is_empty() && !authority.contains('@')).then(|| url.to_owned())
}

fn beside_executable() -> PathBuf {
    std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned)).unwrap_or_else(|| ".".into())
}

#[cfg(test)]
mod tests;
