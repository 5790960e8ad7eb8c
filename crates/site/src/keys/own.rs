//! The agent's own key: Ed25519, made at its first start.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::fingerprint;
use crate::durable::{self, Readers};

/// The key could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error("the agent's key in {path}")]
    File {
        /// Where it is.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file holds no key.
    #[error("{path} holds no key; remove it to get another one, which other agents must be told to accept")]
    Content {
        /// Where it is.
        path: String,
    },
    /// The machine gives no random numbers.
    #[error("making a key: the machine gives no random numbers")]
    Random,
}

/// The agent's key.
#[derive(Clone, Debug)]
pub struct OwnKey {
    signing: Arc<dyn SigningKey>,
    public: Vec<u8>,
}

impl OwnKey {
    /// Reads the key, or makes one that only the file's owner can read.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let named = |source| Error::File { path: path.display().to_string(), source };
        let content = || Error::Content { path: path.display().to_string() };
        let pkcs8 = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| Error::Random)?;
                durable::replace(path, made.as_ref(), Readers::Owner).map_err(named)?;
                made.as_ref().to_vec()
            }
            Err(error) => return Err(named(error)),
        };
        let signing =
            rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8)).map_err(|_| content())?;
        let public = signing.public_key().ok_or_else(content)?.as_ref().to_vec();
        Ok(Self { signing, public })
    }

    /// The public key's fingerprint.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.public)
    }

    /// As TLS wants it: a raw public key (RFC 7250) instead of a certificate.
    pub fn certified(&self) -> Arc<CertifiedKey> {
        let public = CertificateDer::from(self.public.clone());
        Arc::new(CertifiedKey::new(vec![public], Arc::clone(&self.signing)))
    }
}

/// The fingerprint of the key in a file, if there is one.
pub fn shown(path: &Path) -> Option<String> {
    path.is_file().then(|| OwnKey::open(path).ok().map(|key| key.fingerprint())).flatten()
}
