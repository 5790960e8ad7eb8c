//! Which certificates are trusted, and how a person comes to trust a server that no system root vouches for.

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The cryptography that all TLS here uses.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The system's roots and, if given, those in a PEM text.
pub(crate) fn roots(pem: Option<&str>) -> Result<Vec<CertificateDer<'static>>> {
    let mut all = rustls_native_certs::load_native_certs().certs;
    if let Some(pem) = pem {
        let own: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let own = own.map_err(|error| Error::failed(format!("the CA certificate is no PEM file: {error}")))?;
        if own.is_empty() {
            return Err(Error::failed("the CA file holds no certificate"));
        }
        all.extend(own);
    }
    Ok(all)
}

/// Trusts the system's roots and, if given, those in a PEM text.
pub(crate) fn config(pem: Option<&str>) -> Result<Arc<ClientConfig>> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots(pem)?);
    let config = ClientConfig::builder_with_provider(sallyport_site::tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::failed(error.to_string()))?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What a look at a server's certificate gave.
pub(crate) enum Seen {
    /// The roots vouch for it.
    Trusted,
    /// They do not; this certificate would have to be trusted.
    Unknown(Presented),
}

/// The certificate at the top of what a server presented.
pub(crate) struct Presented {
    der: CertificateDer<'static>,
}

impl Presented {
    /// SHA-256 of the certificate, as the server prints it: pairs of hexadecimal digits joined by colons.
    pub(crate) fn fingerprint(&self) -> String {
        let pairs: Vec<String> = Sha256::digest(&self.der).iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    }

    /// The certificate as PEM.
    pub(crate) fn pem(&self) -> String {
        let text = STANDARD.encode(&self.der);
        let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }
}

/// The fingerprint of the first certificate in a PEM file.
pub(crate) fn fingerprint_of(file: &std::path::Path) -> Option<String> {
    let der = CertificateDer::pem_file_iter(file).ok()?.next()?.ok()?;
    Some(Presented { der }.fingerprint())
}

/// Whether two fingerprints are the same, whatever their case and separators.
pub(crate) fn same_fingerprint(one: &str, other: &str) -> bool {
    let bare = |text: &str| -> String {
        text.trim_start_matches("sha256:").chars().filter(char::is_ascii_hexdigit).collect::<String>().to_lowercase()
    };
    bare(one) == bare(other) && bare(one).len() == 64
}

/// Shakes hands with a server and says whether the roots vouch for it.
pub(crate) fn look(host: &str, port: u16, roots: Vec<CertificateDer<'static>>) -> Result<Seen> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots);
    let trusting = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::failed(error.to_string()))?
        .with_root_certificates(store)
        .with_no_client_auth();
    let first = match shake(host, port, trusting) {
        Ok(()) => return Ok(Seen::Trusted),
        Err(error) => error,
    };
    let recorder = Arc::new(Recorder { provider: provider(), seen: Mutex::default() });
    let looking = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::failed(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&recorder) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    shake(host, port, looking)
        .map_err(|error| Error::failed(format!("connecting to {host}:{port}: {error}")).detail(first.to_string()))?;
    let mut chain = std::mem::take(&mut *recorder.seen.lock().unwrap_or_else(PoisonError::into_inner));
    match chain.pop() {
        Some(der) => Ok(Seen::Unknown(Presented { der })),
        None => Err(Error::failed(format!("{host}:{port} presented no certificate"))),
    }
}

fn shake(host: &str, port: u16, config: ClientConfig) -> std::io::Result<()> {
    let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
    let mut socket = connect(host, port)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    connection.send_close_notify();
    connection.write_tls(&mut socket)?;
    socket.flush()
}

fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::other("the name has no address");
    for address in std::net::ToSocketAddrs::to_socket_addrs(&(host, port))? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(socket) => {
                socket.set_read_timeout(Some(CONNECT_TIMEOUT))?;
                socket.set_write_timeout(Some(CONNECT_TIMEOUT))?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Takes any certificate and remembers it; used only to show a person what is there, never to talk.
#[derive(Debug)]
struct Recorder {
    provider: Arc<CryptoProvider>,
    seen: Mutex<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(end_entity.clone().into_owned());
        seen.extend(intermediates.iter().map(|certificate| certificate.clone().into_owned()));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
