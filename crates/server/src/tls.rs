//! The server's own CA and certificate, or the ones it was given.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, bail};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Instant};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sallyport_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{Config, Tls};
use crate::data_folder::{make_private, write_private};

/// A CA lives this long; agents keep its certificate.
const CA_YEARS: i64 = 20;

/// The server's certificate lives this long: what common TLS stacks take at most.
const LEAF_DAYS: i64 = 397;

/// A certificate is renewed when it has less than this to live.
const RENEW_BEFORE_DAYS: i64 = 60;

/// Certificates begin a little in the past, for agents whose clocks are late.
const BACKDATE_DAYS: i64 = 1;

/// What the listener and the agents' zips need.
pub(crate) struct Identity {
    /// For the listener; absent behind a proxy.
    pub(crate) server: Option<Arc<ServerConfig>>,
    /// For the agents; absent where they trust the certificate anyway.
    pub(crate) ca_pem: Option<String>,
    /// Where the certificate is the server's own to renew.
    pub(crate) own: Option<Own>,
}

/// The server's own certificate, renewed while it is in use.
pub(crate) struct Own {
    files: Files,
    names: Vec<String>,
    current: Arc<Current>,
}

/// The certificate that the next handshake shows.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Own {
    /// Makes a new certificate if the standing one ends soon; the next handshakes show it.
    pub(crate) fn renew(&self, now: Timestamp) -> anyhow::Result<()> {
        if self.files.leaf_is_good(&self.names, now) {
            return Ok(());
        }
        self.files.make_leaf(self.names.clone(), now)?;
        let renewed = Arc::new(certified(&self.files.cert, &self.files.key)?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }
}

/// What the server's certificate was made for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    names: Vec<String>,
    renew_at: Timestamp,
}

/// Reads the certificates, making or renewing what is the server's own to make.
pub(crate) fn prepare(config: &Config, folder: &Path, now: Timestamp) -> anyhow::Result<Identity> {
    match &config.tls {
        Tls::BehindProxy => Ok(Identity { server: None, ca_pem: None, own: None }),
        Tls::Given { cert, key } => {
            let current = Arc::new(Current(RwLock::new(Arc::new(certified(cert, key)?))));
            Ok(Identity { server: Some(server_config(current)?), ca_pem: None, own: None })
        }
        Tls::Own => {
            make_private(folder).with_context(|| format!("making `{}`", folder.display()))?;
            let files = Files::new(folder);
            if !files.ca_cert.exists() || !files.ca_key.exists() {
                files.make_ca(now)?;
            }
            let names = names(config);
            if !files.leaf_is_good(&names, now) {
                files.make_leaf(names.clone(), now)?;
            }
            let ca_pem = std::fs::read_to_string(&files.ca_cert)
                .with_context(|| format!("reading `{}`", files.ca_cert.display()))?;
            let current = Arc::new(Current(RwLock::new(Arc::new(certified(&files.cert, &files.key)?))));
            let server = server_config(Arc::clone(&current))?;
            Ok(Identity { server: Some(server), ca_pem: Some(ca_pem), own: Some(Own { files, names, current }) })
        }
    }
}

struct Files {
    ca_cert: PathBuf,
    ca_key: PathBuf,
    cert: PathBuf,
    key: PathBuf,
    made: PathBuf,
}

impl Files {
    fn new(folder: &Path) -> Self {
        Self {
            ca_cert: folder.join("ca.pem"),
            ca_key: folder.join("ca.key"),
            cert: folder.join("server.pem"),
            key: folder.join("server.key"),
            made: folder.join("server.json"),
        }
    }

    fn make_ca(&self, now: Timestamp) -> anyhow::Result<()> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = ca_params();
        valid(&mut params, now, CA_YEARS * 365)?;
        let certificate = params.self_signed(&key)?;
        // The certificate last: where it lies, its key does.
        write_private(&self.ca_key, key.serialize_pem().as_bytes())?;
        write_private(&self.ca_cert, certificate.pem().as_bytes())?;
        tracing::info!(file = %self.ca_cert.display(), "own certificate authority made");
        Ok(())
    }

    fn leaf_is_good(&self, names: &[String], now: Timestamp) -> bool {
        let made: Option<Made> = std::fs::read(&self.made).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        self.cert.exists() && self.key.exists() && made.is_some_and(|made| made.names == names && made.renew_at > now)
    }

    fn make_leaf(&self, names: Vec<String>, now: Timestamp) -> anyhow::Result<()> {
        let ca_key =
            std::fs::read_to_string(&self.ca_key).with_context(|| format!("reading `{}`", self.ca_key.display()))?;
        let issuer = Issuer::new(ca_params(), KeyPair::from_pem(&ca_key)?);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(names.clone())?;
        params.distinguished_name.push(DnType::CommonName, "Sallyport server");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        valid(&mut params, now, LEAF_DAYS)?;
        let certificate = params.signed_by(&key, &issuer)?;
        let ca_pem = std::fs::read_to_string(&self.ca_cert)?;
        write_private(&self.key, key.serialize_pem().as_bytes())?;
        write_private(&self.cert, format!("{}{ca_pem}", certificate.pem()).as_bytes())?;
        let renew_at = now
            .plus(std::time::Duration::from_secs(u64::try_from((LEAF_DAYS - RENEW_BEFORE_DAYS) * 86_400).unwrap_or(0)));
        tracing::info!(names = names.join(", "), "server certificate made");
        write_private(&self.made, &serde_json::to_vec(&Made { names, renew_at })?)
    }
}

/// The same at every start: the issuer of a leaf must read as the CA's subject does.
fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Sallyport own CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// The public name, and the names under which a person on this machine tries it.
fn names(config: &Config) -> Vec<String> {
    let mut names = vec![config.public_host().to_owned()];
    for name in ["localhost", "127.0.0.1", "::1"] {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    let address = config.listen.ip();
    if !address.is_unspecified() && !names.contains(&address.to_string()) {
        names.push(address.to_string());
    }
    names
}

/// Year, month and day of a point in time some days away.
fn day(now: Timestamp, days: i64) -> anyhow::Result<(i32, u8, u8)> {
    let date = Instant::from_microsecond(now.0)?.to_zoned(TimeZone::UTC).checked_add(Span::new().days(days))?.date();
    Ok((i32::from(date.year()), u8::try_from(date.month())?, u8::try_from(date.day())?))
}

fn valid(params: &mut CertificateParams, now: Timestamp, days: i64) -> anyhow::Result<()> {
    let (year, month, date) = day(now, -BACKDATE_DAYS)?;
    params.not_before = rcgen::date_time_ymd(year, month, date);
    let (year, month, date) = day(now, days)?;
    params.not_after = rcgen::date_time_ymd(year, month, date);
    Ok(())
}

fn certified(cert: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .with_context(|| format!("reading the certificate `{}`", cert.display()))?;
    if chain.is_empty() {
        bail!("`{}` holds no certificate", cert.display());
    }
    let key_der = PrivateKeyDer::from_pem_file(key).with_context(|| format!("reading the key `{}`", key.display()))?;
    CertifiedKey::from_der(chain, key_der, &rustls::crypto::ring::default_provider())
        .with_context(|| format!("`{}` and `{}` do not fit together", cert.display(), key.display()))
}

fn server_config(current: Arc<Current>) -> anyhow::Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("choosing TLS versions")?
        .with_no_client_auth()
        .with_cert_resolver(current);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests;
