//! TLS to the server: which certificates are trusted, and failures in words that name what to do.

use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{CertificateError, CipherSuite, ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// The trust could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file with the certificate authority is unreadable or holds no certificate.
    #[error("reading the certificate authority from {path}: {reason}; download the agent again")]
    Authority {
        /// Where it is.
        path: String,
        /// Why.
        reason: String,
    },
    /// Neither the file nor the system has a certificate to trust.
    #[error("no certificate to trust: there is no {path} and the system's certificate store is empty or unreadable")]
    NoRoots {
        /// Where the file would be.
        path: String,
    },
    /// The cryptography library refused its settings.
    #[error("setting up TLS")]
    Setup(#[from] rustls::Error),
}

/// Trusts the authorities in `ca_file`, if the file is there, and the system's.
pub fn client_config(ca_file: &Path) -> Result<Arc<ClientConfig>, Error> {
    trusting(ca_file, Arc::new(DefaultTimeProvider))
}

/// The same as if it were `at`: for a look past a certificate that this machine's clock takes for invalid, at what the
/// server says the time is. Nothing secret may be sent over such a connection.
pub fn client_config_at(ca_file: &Path, at: UnixTime) -> Result<Arc<ClientConfig>, Error> {
    trusting(ca_file, Arc::new(Standing(at)))
}

/// A clock that stands.
#[derive(Debug)]
struct Standing(UnixTime);

impl TimeProvider for Standing {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

fn trusting(ca_file: &Path, clock: Arc<dyn TimeProvider>) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    if ca_file.exists() {
        for certificate in pinned(ca_file)? {
            roots.add(certificate).map_err(|error| unreadable(ca_file, &error))?;
        }
    }
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Error::NoRoots { path: ca_file.display().to_string() });
    }
    let config = ClientConfig::builder_with_details(provider(), clock)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The cryptography of what carries bulk: the cheapest of the good ciphers is asked for first.
pub fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

/// The certificates in a file of authorities.
pub fn pinned(ca_file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = CertificateDer::pem_file_iter(ca_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(ca_file, &error))?;
    if certificates.is_empty() { Err(unreadable(ca_file, &"it holds no certificate")) } else { Ok(certificates) }
}

fn unreadable(path: &Path, reason: &dyn std::fmt::Display) -> Error {
    Error::Authority { path: path.display().to_string(), reason: reason.to_string() }
}

/// A handshake that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// A stable word: `tls_unknown_authority`, `tls_expired`, `tls_not_yet_valid`, `tls_wrong_name`, `tls_revoked`,
    /// `tls_not_tls`, `tls_closed`, `tls_timeout` or `tls_failed`.
    pub word: &'static str,
    /// What happened and what to do, in one sentence.
    pub message: String,
    /// For `tls_expired` and `tls_not_yet_valid`: a time at which the certificate is valid.
    pub valid_at: Option<UnixTime>,
}

/// Completes the handshake on a dialled stream. `host` is what the certificate must name.
pub fn connect(
    stream: TcpStream,
    host: &str,
    config: &Arc<ClientConfig>,
) -> Result<StreamOwned<ClientConnection, TcpStream>, Failure> {
    let connection =
        ClientConnection::new(Arc::clone(config), server_name(host)?).map_err(|error| explain(&error, host))?;
    let mut tls = StreamOwned::new(connection, stream);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock).map_err(|error| explain_io(&error, host))?;
    }
    Ok(tls)
}

/// The name to check the certificate against: a DNS name or an IP address.
pub fn server_name(host: &str) -> Result<ServerName<'static>, Failure> {
    ServerName::try_from(host.to_owned()).map_err(|_| Failure {
        word: "tls_wrong_name",
        message: format!(
            "`{host}` is neither a host name nor an IP address; correct ServerAddress in appsettings.json"
        ),
        valid_at: None,
    })
}

/// [`explain`] for an error that came through a stream, as from an asynchronous handshake.
pub fn explain_io(error: &io::Error, host: &str) -> Failure {
    if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return explain(inner, host);
    }
    let (word, message) = match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            ("tls_timeout", format!("{host} did not finish the TLS handshake in time"))
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => (
            "tls_closed",
            format!("the connection to {host} was closed during the TLS handshake; a firewall may forbid it"),
        ),
        _ => ("tls_failed", format!("the TLS handshake with {host} failed: {error}")),
    };
    Failure { word, message, valid_at: None }
}

/// Says what a TLS error means for the person who runs the agent.
pub fn explain(error: &rustls::Error, host: &str) -> Failure {
    use CertificateError as Bad;
    let (word, message) = match error {
        // A bad signature is an authority of the same name with another key, as after a server was set up anew.
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => (
            "tls_unknown_authority",
            format!(
                "the certificate of {host} is signed by an authority that is not trusted here; if the server is the \
                 right one, put its authority into server-ca.pem or download the agent again; a proxy that inspects \
                 TLS shows the same"
            ),
        ),
        rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => (
            "tls_expired",
            format!("the certificate of {host} has expired; renew it on the server, or correct this machine's clock"),
        ),
        rustls::Error::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => (
            "tls_not_yet_valid",
            format!("the certificate of {host} is not valid yet; this machine's clock may be behind"),
        ),
        rustls::Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => (
            "tls_wrong_name",
            format!("the certificate does not name {host}; ServerAddress must be a name that the certificate holds"),
        ),
        rustls::Error::InvalidCertificate(Bad::Revoked) => {
            ("tls_revoked", format!("the certificate of {host} is revoked"))
        }
        rustls::Error::InvalidMessage(_) => {
            ("tls_not_tls", format!("what answers at {host} does not speak TLS; check the port in ServerAddress"))
        }
        other => ("tls_failed", format!("the TLS handshake with {host} failed: {other}")),
    };
    Failure { word, message, valid_at: valid_at(error) }
}

/// A second within the time for which the certificate is valid, seen from the end that this machine's clock is past.
fn valid_at(error: &rustls::Error) -> Option<UnixTime> {
    use CertificateError as Bad;
    let seconds = match error {
        rustls::Error::InvalidCertificate(Bad::ExpiredContext { not_after, .. }) => {
            not_after.as_secs().checked_sub(1)?
        }
        rustls::Error::InvalidCertificate(Bad::NotValidYetContext { not_before, .. }) => not_before.as_secs() + 1,
        _ => return None,
    };
    Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests;
