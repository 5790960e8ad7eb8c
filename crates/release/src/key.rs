//! Keys that sign releases: ed25519.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hash::{Digest, hexadecimal};

/// What stands before a private key in its file.
const PRIVATE: &str = "sallyport-release-key:";
/// What stands before a public key.
const PUBLIC: &str = "ed25519:";

/// A key that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The system gave no randomness.
    #[error("the system gave no random numbers for a key")]
    Random,
    /// The text is no private key.
    #[error("this is no private key that `sallyport releases keygen` has made")]
    Private,
    /// The text is no public key.
    #[error("this is no public key: expected `ed25519:` and 44 characters, as `sallyport releases keygen` prints it")]
    Public,
}

/// Names a public key: the first 16 digits of its SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key that checks signatures.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Its name.
    pub fn id(&self) -> KeyId {
        KeyId(Digest::of(&self.0).to_string().chars().take(16).collect())
    }

    /// Whether this key's owner signed `message`.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hexadecimal(&self.0))
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let encoded = text.trim().strip_prefix(PUBLIC).ok_or(KeyError::Public)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Public)?;
        bytes.try_into().map(Self).map_err(|_| KeyError::Public)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A key that signs. It prints as its public half.
pub struct PrivateKey {
    pair: Ed25519KeyPair,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(***, {})", self.public().id())
    }
}

impl PrivateKey {
    /// Makes one; gives it with the text to keep, which is secret.
    pub fn generate() -> Result<(Self, String), KeyError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Random)?;
        let text = format!("{PRIVATE}{}\n", STANDARD.encode(document.as_ref()));
        Self::from_text(&text).map(|key| (key, text))
    }

    /// Reads what [`PrivateKey::generate`] gave.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let encoded = text.trim().strip_prefix(PRIVATE).ok_or(KeyError::Private)?;
        let document = STANDARD.decode(encoded).map_err(|_| KeyError::Private)?;
        Ed25519KeyPair::from_pkcs8(&document).map(|pair| Self { pair }).map_err(|_| KeyError::Private)
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        // ring's public keys of this kind have 32 bytes.
        bytes.iter_mut().zip(self.pair.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        PublicKey(bytes)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}
