//! Whose signatures count, and how many it takes.

use serde::{Deserialize, Serialize};

use crate::{PublicKey, Refused, Signed};

/// The most keys.
const KEYS_MAX: usize = 32;

/// A set of public keys of which some must have signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// How many of the keys must have signed.
    pub threshold: usize,
    /// The keys.
    pub keys: Vec<PublicKey>,
}

/// A set of keys that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Not JSON, or other JSON.
    #[error("this is no set of keys: {0}; expected {{\"threshold\": 1, \"keys\": [\"ed25519:...\"]}}")]
    Malformed(String),
    /// None, or too many.
    #[error("a set of keys has 1 to {KEYS_MAX} of them, this has {0}")]
    Count(usize),
    /// One key would count twice.
    #[error("the key {0} is in the set twice")]
    Twice(String),
    /// Nobody could satisfy it, or nobody would have to.
    #[error("the threshold is {threshold}: expected 1 to {keys}, the number of keys")]
    Threshold {
        /// What it says.
        threshold: usize,
        /// How many keys there are.
        keys: usize,
    },
}

impl Trust {
    /// A set of keys, checked.
    pub fn new(threshold: usize, keys: Vec<PublicKey>) -> Result<Self, TrustError> {
        let trust = Self { threshold, keys };
        trust.check()?;
        Ok(trust)
    }

    /// Reads `trust.json`.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        let trust: Self = serde_json::from_str(text).map_err(|error| TrustError::Malformed(error.to_string()))?;
        trust.check()?;
        Ok(trust)
    }

    fn check(&self) -> Result<(), TrustError> {
        if self.keys.is_empty() || self.keys.len() > KEYS_MAX {
            return Err(TrustError::Count(self.keys.len()));
        }
        for (index, key) in self.keys.iter().enumerate() {
            if self.keys.iter().skip(index + 1).any(|other| other == key) {
                return Err(TrustError::Twice(key.id().to_string()));
            }
        }
        if self.threshold == 0 || self.threshold > self.keys.len() {
            return Err(TrustError::Threshold { threshold: self.threshold, keys: self.keys.len() });
        }
        Ok(())
    }

    /// The text to keep.
    pub fn to_text(&self) -> String {
        // Strings and numbers only: this cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Whether enough of the keys have signed.
    pub fn check_signatures(&self, signed: &Signed) -> Result<(), Refused> {
        let signers = self.keys.iter().filter(|key| signed.is_signed_by(key)).count();
        if signers < self.threshold {
            return Err(Refused::Signatures { signers, needed: self.threshold });
        }
        Ok(())
    }
}
