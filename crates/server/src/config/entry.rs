//! Entries: addresses on the server's own machine that lead to connections. Only the file can have them: who may open
//! ports is who runs the server.

use std::net::SocketAddr;

use sallyport_site::network::Network;
use serde::Deserialize;

use super::Error;

/// Entries of one server.
const ENTRIES_MAX: usize = 256;

/// An address on this machine, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The environment: its name, `company/name`, or its id.
    pub environment: String,
    /// The connection there: its name or id.
    pub connection: String,
    /// Whom it serves; those on this machine where it is empty.
    pub allow: Vec<Network>,
}

impl Entry {
    /// Whether somebody who comes from there is served.
    pub(crate) fn serves(&self, peer: SocketAddr) -> bool {
        let ip = peer.ip().to_canonical();
        match self.allow.as_slice() {
            [] => ip.is_loopback(),
            networks => networks.iter().any(|network| network.contains(ip)),
        }
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        let whom = match self.allow.as_slice() {
            [] => "this machine".to_owned(),
            networks => networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        format!("{} to connection {} of environment {}, for {whom}", self.listen, self.connection, self.environment)
    }
}

/// The file's keys of an entry.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    listen: Option<String>,
    environment: Option<String>,
    connection: Option<String>,
    #[serde(default)]
    allow: Vec<String>,
}

/// The file's entries, beside the address on which the server itself listens.
pub(super) fn check(all: Vec<Keys>, file: &str, server: SocketAddr) -> Result<Vec<Entry>, Error> {
    let mut entries: Vec<Entry> = Vec::with_capacity(all.len());
    for (at, keys) in all.into_iter().enumerate() {
        let number = at + 1;
        let refuse = |key: &'static str, problem: String| Error::Entry { file: file.to_owned(), number, key, problem };
        if number > ENTRIES_MAX {
            return Err(refuse("entry", format!("is one too many: {ENTRIES_MAX} are the most")));
        }
        let entry = one(keys, refuse)?;
        if clash(server, entry.listen) {
            let problem = format!("is `{}`, where the server itself listens; choose another port", entry.listen);
            return Err(refuse("listen", problem));
        }
        if let Some(other) = entries.iter().position(|other| clash(other.listen, entry.listen)) {
            let problem = format!("is `{}`, which entry {} has already; choose another port", entry.listen, other + 1);
            return Err(refuse("listen", problem));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn one(keys: Keys, refuse: impl Fn(&'static str, String) -> Error) -> Result<Entry, Error> {
    let given = |key: &'static str, value: Option<String>, what: &str| {
        value.filter(|value| !value.trim().is_empty()).ok_or_else(|| refuse(key, format!("is missing: {what}")))
    };
    let listen = given("listen", keys.listen, "the address and port on this machine, such as 127.0.0.1:5433")?;
    let listen =
        listen.parse().ok().filter(|address: &SocketAddr| address.port() > 0).ok_or_else(|| {
            refuse("listen", format!("is `{listen}`: expected address and port, such as 127.0.0.1:5433"))
        })?;
    let environment = given("environment", keys.environment, "the environment's name, such as production")?;
    let connection = given("connection", keys.connection, "the connection's name")?;
    let networks = keys.allow.iter().map(|network| network.parse::<Network>());
    let allow = networks.collect::<Result<Vec<_>, _>>().map_err(|error| refuse("allow", format!("has {error}")))?;
    if allow.is_empty() && !listen.ip().is_loopback() {
        let problem = format!(
            "is missing: {listen} can be reached from other machines, so say which may use it, such as \
             allow = [\"10.0.0.0/8\"]"
        );
        return Err(refuse("allow", problem));
    }
    Ok(Entry { listen, environment, connection, allow })
}

/// Whether two sockets cannot both listen.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let alike = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && alike
}
