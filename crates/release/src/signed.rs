//! A manifest with its signatures, as it is kept and sent.
//!
//! What is signed is the manifest's text itself, with a prefix that no other use of the keys has: nobody has to write the
//! same JSON twice for a signature to hold.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::{KeyId, Manifest, ManifestError, PrivateKey, PublicKey};

/// The largest signed manifest, in bytes.
pub const SIGNED_BYTES_MAX: usize = 64 * 1024;

/// The most signatures that are looked at.
const SIGNATURES_MAX: usize = 32;

/// Stands before the manifest's text in what is signed.
const CONTEXT: &[u8] = b"sallyport release manifest, version 1\n";

/// A signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Whose.
    pub key: KeyId,
    /// In base64.
    pub signature: String,
}

/// A manifest's text and who signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The text, byte for byte as it was signed.
    pub manifest: String,
    /// In the order in which they were made.
    pub signatures: Vec<Signature>,
}

/// A file that holds no signed manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// Too large to be one.
    #[error("a signed manifest has at most {SIGNED_BYTES_MAX} bytes, this has {0}")]
    TooLarge(usize),
    /// Not JSON, or other JSON.
    #[error("this is no signed manifest: {0}")]
    Malformed(String),
    /// More than anybody looks at.
    #[error("a manifest has at most {SIGNATURES_MAX} signatures, this has {0}")]
    TooMany(usize),
}

impl Signed {
    /// A manifest that nobody has signed yet.
    pub fn unsigned(manifest: &Manifest) -> Self {
        Self { manifest: manifest.canonical(), signatures: Vec::new() }
    }

    /// Reads a signed manifest.
    pub fn parse(text: &str) -> Result<Self, SignedError> {
        if text.len() > SIGNED_BYTES_MAX {
            return Err(SignedError::TooLarge(text.len()));
        }
        let signed: Self = serde_json::from_str(text).map_err(|error| SignedError::Malformed(error.to_string()))?;
        signed.bounded()?;
        Ok(signed)
    }

    /// Whether it is small enough to be looked at.
    pub(crate) fn bounded(&self) -> Result<(), SignedError> {
        if self.manifest.len() > SIGNED_BYTES_MAX {
            return Err(SignedError::TooLarge(self.manifest.len()));
        }
        if self.signatures.len() > SIGNATURES_MAX {
            return Err(SignedError::TooMany(self.signatures.len()));
        }
        Ok(())
    }

    /// The text to keep.
    pub fn to_text(&self) -> String {
        // Strings only: this cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// What the manifest says, whoever signed it.
    pub fn content(&self) -> Result<Manifest, ManifestError> {
        Manifest::parse(&self.manifest)
    }

    /// Adds a signature; one of the same key is replaced.
    pub fn sign(&mut self, key: &PrivateKey) {
        let signature = STANDARD.encode(key.sign(&message(&self.manifest)));
        let key = key.public().id();
        self.signatures.retain(|present| present.key != key);
        self.signatures.push(Signature { key, signature });
    }

    /// Whether `key` has signed this text.
    pub(crate) fn is_signed_by(&self, key: &PublicKey) -> bool {
        let (id, message) = (key.id(), message(&self.manifest));
        self.signatures
            .iter()
            .filter(|signature| signature.key == id)
            .filter_map(|signature| STANDARD.decode(&signature.signature).ok())
            .any(|signature| key.has_signed(&message, &signature))
    }
}

fn message(manifest: &str) -> Vec<u8> {
    [CONTEXT, manifest.as_bytes()].concat()
}
