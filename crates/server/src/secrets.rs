//! The server's secret key, which lies outside the database, and what it does: hash tokens, seal secrets.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sallyport_protocol::{ConnectionId, ConnectionOrder, Secret};
use sallyport_store::Connection;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Length of the key, of derived keys and of tokens, in bytes.
const KEY_BYTES: usize = 32;

/// Length of a nonce of XChaCha20-Poly1305.
const NONCE_BYTES: usize = 24;

/// What a hash is for, so that a token of one kind is worth nothing as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A person's login or API token.
    Bearer,
    /// An agent's password.
    Agent,
    /// A one-time link.
    OneTime,
    /// The token in a webhook's address.
    Hook,
    /// The right to an end of a stream between agents.
    Stream,
    /// A step's right to streams to what another agent reaches.
    Passage,
    /// An address below which a browser sees a service.
    View,
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Agent => "agent",
            Self::OneTime => "one-time",
            Self::Hook => "hook",
            Self::Stream => "stream",
            Self::Passage => "passage",
            Self::View => "view",
        }
    }
}

/// Hashes and seals with keys derived from the server's secret key, one for each use.
pub(crate) struct Secrets {
    hashing: Hmac<Sha256>,
    sealing: XChaCha20Poly1305,
}

impl Secrets {
    /// A new key, as the key file's text.
    pub(crate) fn new_key() -> anyhow::Result<Zeroizing<String>> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(key.as_mut()).map_err(|error| anyhow!("drawing random numbers: {error}"))?;
        Ok(Zeroizing::new(format!("{}\n", URL_SAFE_NO_PAD.encode(key.as_ref()))))
    }

    /// Takes the key file's text.
    pub(crate) fn from_key(text: &str) -> anyhow::Result<Self> {
        let key = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim()).context("the key is not base64")?);
        if key.len() != KEY_BYTES {
            bail!("the key has {} bytes instead of {KEY_BYTES}", key.len());
        }
        let sealing = derive(&key, "sallyport sealing 1")?;
        Ok(Self {
            hashing: mac(derive(&key, "sallyport hashing 1")?.as_ref())?,
            sealing: XChaCha20Poly1305::new(&Key::from(*sealing)),
        })
    }

    /// The keyed hash under which a token or password is kept.
    pub(crate) fn hash(&self, purpose: Purpose, secret: &Secret) -> Vec<u8> {
        let mut mac = self.hashing.clone();
        mac.update(purpose.word().as_bytes());
        mac.update(&[0]);
        mac.update(secret.expose().as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    /// Whether a kept hash is this secret's, in a time that does not depend on where they differ.
    pub(crate) fn is_hash(&self, purpose: Purpose, secret: &Secret, kept: &[u8]) -> bool {
        let mut mac = self.hashing.clone();
        mac.update(purpose.word().as_bytes());
        mac.update(&[0]);
        mac.update(secret.expose().as_bytes());
        mac.verify_slice(kept).is_ok()
    }

    /// Whether a signature of this key fits a text, in a time that does not depend on where it differs.
    pub(crate) fn is_signature(key: &[u8], text: &[u8], signature: &[u8]) -> anyhow::Result<bool> {
        let mut mac = mac(key)?;
        mac.update(text);
        Ok(mac.verify_slice(signature).is_ok())
    }

    /// This key's signature of a text, in hexadecimal.
    pub(crate) fn signature(key: &[u8], text: &[u8]) -> anyhow::Result<String> {
        let mut mac = mac(key)?;
        mac.update(text);
        Ok(mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// A new random secret of 256 bits.
    pub(crate) fn token(prefix: &str) -> anyhow::Result<Secret> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(bytes.as_mut()).map_err(|error| anyhow!("drawing random numbers: {error}"))?;
        Ok(Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes.as_ref()))))
    }

    /// Seals a connection's secrets for that connection: moved to another row they do not open.
    pub(crate) fn seal(&self, id: ConnectionId, secrets: &BTreeMap<String, Secret>) -> anyhow::Result<Vec<u8>> {
        self.seal_map(&id.to_string(), secrets)
    }

    /// Seals named secrets for one owner.
    pub(crate) fn seal_map(&self, owner: &str, secrets: &BTreeMap<String, Secret>) -> anyhow::Result<Vec<u8>> {
        self.seal_for(owner, &Zeroizing::new(serde_json::to_vec(secrets)?))
    }

    /// Opens what [`Secrets::seal_map`] has sealed for the same owner.
    pub(crate) fn open_map(&self, owner: &str, sealed: &[u8]) -> anyhow::Result<BTreeMap<String, Secret>> {
        Ok(serde_json::from_slice(&self.open_for(owner, sealed)?)?)
    }

    /// Seals a secret for one owner: for another it does not open.
    pub(crate) fn seal_for(&self, owner: &str, plain: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| anyhow!("drawing random numbers: {error}"))?;
        let sealed = self
            .sealing
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: owner.as_bytes() })
            .map_err(|_| anyhow!("sealing the secrets of {owner}"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Secrets::seal`] has sealed.
    pub(crate) fn open(&self, id: ConnectionId, sealed: &[u8]) -> anyhow::Result<BTreeMap<String, Secret>> {
        self.open_map(&id.to_string(), sealed)
    }

    /// Opens what [`Secrets::seal_for`] has sealed for the same owner.
    pub(crate) fn open_for(&self, owner: &str, sealed: &[u8]) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().context("sealed secrets are too short")?;
        let plain =
            self.sealing.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: owner.as_bytes() }).map_err(
                |_| anyhow!("the secrets of {owner} do not open: is `secret.key` the one they were sealed with?"),
            )?;
        Ok(Zeroizing::new(plain))
    }

    /// A connection with its secrets opened, for the agent that needs it.
    pub(crate) fn open_connection(&self, connection: &Connection) -> anyhow::Result<ConnectionOrder> {
        let secrets = match &connection.sealed_secrets {
            Some(sealed) => self.open(connection.id, sealed)?,
            None => BTreeMap::new(),
        };
        Ok(ConnectionOrder { name: connection.name.clone(), settings: connection.settings.clone(), secrets })
    }
}

fn derive(key: &[u8], use_: &str) -> anyhow::Result<Zeroizing<[u8; KEY_BYTES]>> {
    let mut mac = mac(key)?;
    mac.update(use_.as_bytes());
    Ok(Zeroizing::new(mac.finalize().into_bytes().into()))
}

fn mac(key: &[u8]) -> anyhow::Result<Hmac<Sha256>> {
    <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).map_err(|_| anyhow!("the key has no use as a hash key"))
}

#[cfg(test)]
mod tests;
