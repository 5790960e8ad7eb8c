//! The server a step talks to, and the words for what is wrong with it.

use std::io;

use sallyport_protocol::{ConnectionOrder, FailureKind, Secret};

use super::settings::{Connection, bad_settings};
use super::wire::TlsError;
use crate::Error;
use crate::tls::Error as Trust;

/// A connection's settings with its password, and its name for errors.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub name: String,
    pub connection: Connection,
    pub password: Secret,
}

impl Target {
    /// Takes a work order's connection apart.
    pub(crate) fn new(order: Option<&ConnectionOrder>) -> Result<Self, Error> {
        let order = order.ok_or_else(|| {
            bad_settings("a `postgres` step needs a connection")
                .advise("name a connection of kind `postgres` in the step's `connection`")
        })?;
        let connection: Connection = crate::settings::connection(order)?;
        if let Some(name) = order.secrets.keys().find(|name| *name != "password") {
            return Err(bad_settings(format!("connection `{}`: unknown secret `{name}`", order.name))
                .advise("the only secret of a `postgres` connection is `password`"));
        }
        if connection.host.is_empty() || connection.host.starts_with('/') {
            return Err(bad_settings(format!("connection `{}`: `host` is no host name", order.name))
                .advise("give a host name or an IP address"));
        }
        let password = order.secrets.get("password").cloned().unwrap_or_default();
        Ok(Self { name: order.name.clone(), connection, password })
    }

    /// What is being done, and where, for the start of an error's message.
    pub(crate) fn doing(&self, what: &str) -> String {
        let Connection { host, port, database, user, .. } = &self.connection;
        format!("connection `{}`: {what} (`{database}` at {host}:{port} as `{user}`)", self.name)
    }

    /// The host's name has no address.
    pub(crate) fn unresolved(&self, why: &io::Error) -> Error {
        let host = &self.connection.host;
        Error::transient(
            FailureKind::Connector,
            "name_not_found",
            format!("connection `{}`: the host name `{host}` does not resolve: {why}", self.name),
        )
        .advise("check the connection's `host` and the name servers of the agent's machine")
    }

    /// Nothing answers at the port.
    pub(crate) fn unreachable(&self, why: &io::Error) -> Error {
        let Connection { host, port, .. } = &self.connection;
        let advice = match why.kind() {
            io::ErrorKind::ConnectionRefused => {
                "nothing listens there: check `port`, and the server's listen_addresses"
            }
            io::ErrorKind::TimedOut => {
                "a firewall may drop the packets: check that the agent's machine may reach the port"
            }
            _ => "check host, port and the network between the agent and the server",
        };
        Error::transient(
            FailureKind::Connector,
            "unreachable",
            format!("connection `{}`: no connection to {host}:{port}: {why}", self.name),
        )
        .advise(advice)
    }

    /// Encryption was asked for and could not be had.
    pub(crate) fn unencrypted(&self, why: &TlsError) -> Error {
        let Connection { host, port, .. } = &self.connection;
        let message = format!("connection `{}`: TLS with {host}:{port}: {why}", self.name);
        let (code, advice) = match why {
            TlsError::Io(_) => {
                return Error::transient(FailureKind::Connector, "connection_lost", message);
            }
            TlsError::NotOffered => {
                ("tls_not_offered", "set `ssl = on` on the server, or the connection's `tls` to `prefer`")
            }
            TlsError::Trust(Trust::BadAuthority) => {
                ("bad_ca", "paste the certificate with its BEGIN and END lines into `ca`")
            }
            TlsError::Trust(Trust::NoRoots) => {
                ("no_roots", "install the system's CA certificates, or give the connection a `ca`")
            }
            TlsError::Trust(Trust::Setup(_)) | TlsError::Handshake(_) => (
                "tls_failed",
                "check that `ca` is the authority of the server's certificate and, with `verify-full`, that `host` is the name in it",
            ),
        };
        Error::permanent(FailureKind::Connector, code, message).advise(advice)
    }
}
