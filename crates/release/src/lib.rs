//! Signed releases: what a manifest says, who signed it, whether this installation may take it, and how its archive is
//! unpacked. Shared by the command line that signs, the server that stores and the wrapper that installs.
//!
//! Invariant: no async runtime, no network, no clock. [`verify`] is a pure decision; [`archive`] alone touches files, and
//! only those that it is given. Nothing here trusts the server.

pub mod archive;
mod hash;
mod key;
mod manifest;
mod signed;
#[cfg(test)]
mod tests;
mod trust;
mod verify;
mod version;

pub use hash::{Digest, DigestReader, ParseDigestError};
pub use key::{KeyError, KeyId, PrivateKey, PublicKey};
pub use manifest::{AGENT, ARCHIVE_BYTES_MAX, Manifest, ManifestError, PLATFORMS, PRODUCTS, WRAPPER};
pub use signed::{SIGNED_BYTES_MAX, Signature, Signed, SignedError};
pub use trust::{Trust, TrustError};
pub use verify::{Installed, Refused, verify};
pub use version::{ParseVersionError, Version};
