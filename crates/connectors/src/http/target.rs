//! One service with its credentials, as the agent speaks to it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use sallyport_protocol::{ConnectionOrder, HttpOrder, Secret};

use super::Address;
use super::head::{self, Added};
use super::settings::Connection;
use crate::Error;
use crate::settings::{connection, invalid};
use crate::tls::{self, Check};

/// A service, and what is added to requests to it.
pub struct Target {
    settings: Connection,
    address: Address,
    added: Vec<Added>,
}

/// Why a request is not sent: in words that follow "the request is not sent: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotSent(String);

impl Target {
    /// Reads settings and secrets.
    pub fn new(order: &ConnectionOrder) -> Result<Self, Error> {
        let settings: Connection = connection(order)?;
        let address = settings.url.parse::<Address>().map_err(|error| invalid("url", error.to_string()))?;
        if settings.ca.is_some() && (!settings.verify || !address.is_encrypted()) {
            return Err(invalid("ca", "goes with an https:// address whose certificate is checked"));
        }
        let added = added(&settings, order)?;
        Ok(Self { settings, address, added })
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How long it may take to begin an answer.
    pub(super) fn answer_max(&self) -> Duration {
        Duration::from_secs(self.settings.answer_seconds.into())
    }

    /// Whether requests carry credentials.
    pub(super) fn logs_in(&self) -> bool {
        self.settings.secret_header.is_some() || self.added.iter().any(is_login)
    }

    /// The head of a request, with the connection's own credentials.
    pub fn head(&self, order: &HttpOrder) -> Result<Vec<u8>, NotSent> {
        let HttpOrder { method, target, headers, .. } = order;
        head::write(self.address.authority(), &self.added, method, target, headers).map_err(NotSent)
    }

    /// What decides how TLS is done: two services with the same may share what [`Target::tls`] gives.
    pub fn trust(&self) -> (Option<&str>, bool) {
        (self.settings.ca.as_deref(), self.settings.verify)
    }

    /// How TLS is done.
    pub fn tls(&self) -> Result<Arc<ClientConfig>, NotSent> {
        let (ca, verify) = self.trust();
        let config = tls::config(Check { ca, system: verify, name: verify });
        config.map(Arc::new).map_err(|error| NotSent(error.to_string()))
    }

    /// The name that the certificate must hold.
    pub fn name(&self) -> Result<ServerName<'static>, NotSent> {
        let host = self.address.host();
        let unfit = |_| NotSent(format!("`{host}` is no name that a certificate could hold"));
        ServerName::try_from(host.to_owned()).map_err(unfit)
    }
}

fn is_login(added: &Added) -> bool {
    added.name == http::header::AUTHORIZATION
}

fn added(settings: &Connection, order: &ConnectionOrder) -> Result<Vec<Added>, Error> {
    let secret = |name: &str| order.secrets.get(name).filter(|secret| !secret.is_empty());
    let mut added = Vec::new();
    for (name, value) in &settings.headers {
        added.push(Added::new(name, Secret::new(value)).map_err(|why| invalid("headers", why))?);
    }
    let login = match (&settings.user, secret("token")) {
        (Some(_), Some(_)) => return Err(invalid("user", "goes with the secret `password`, not with `token`")),
        (Some(user), None) => {
            let password = secret("password").map_or("", Secret::expose);
            Some(Secret::new(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))))
        }
        (None, Some(token)) => Some(Secret::new(format!("Bearer {}", token.expose()))),
        (None, None) => None,
    };
    if let Some(login) = login {
        added.push(Added::new("authorization", login).map_err(|why| invalid("secrets/token", why))?);
    }
    match (&settings.secret_header, secret("header")) {
        (Some(name), Some(value)) => {
            added.push(Added::new(name, value.clone()).map_err(|why| invalid("secret_header", why))?);
        }
        (Some(_), None) => return Err(invalid("secret_header", "its value is missing: set the secret `header`")),
        (None, Some(_)) => return Err(invalid("secret_header", "the secret `header` needs a header's name")),
        (None, None) => {}
    }
    let twice = added.iter().enumerate().find(|(at, one)| added[..*at].iter().any(|before| before.name == one.name));
    match twice {
        Some((_, twice)) => Err(invalid("headers", format!("`{}` is given twice", twice.name))),
        None => Ok(added),
    }
}
