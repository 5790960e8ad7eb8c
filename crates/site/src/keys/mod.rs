//! The agent's own key, and the keys of other agents that this site has met.
//!
//! Invariant: the private key never leaves its file and this process. A key of another agent is believed when it is first
//! seen and never again replaced, unless somebody at the site forgets it.

mod own;
mod peers;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

pub use own::{Error, OwnKey, shown};
pub use peers::{Known, Met, Peers, Unfit};

/// A public key's fingerprint for people: `SHA256:` and 43 letters.
pub fn fingerprint(public: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(public)))
}
