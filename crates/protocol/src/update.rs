//! What server and wrapper say about versions of the agent and of the wrapper itself.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A signature of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseSignature {
    /// Names the publisher's key.
    pub key: String,
    /// In base64.
    pub signature: String,
}

/// A release that is to run. The wrapper believes the signatures, not the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseOffer {
    /// The manifest, byte for byte as it was signed.
    pub manifest: String,
    /// Who signed it.
    pub signatures: Vec<ReleaseSignature>,
    /// How long the server must have seen the new version work before the update is kept, in seconds.
    pub confirm_seconds: u32,
    /// How long the agent's runs are waited for before it is restarted, in seconds.
    pub drain_seconds: u32,
}

/// Where an update stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateStep {
    /// Nothing is being done; the text says why.
    #[default]
    Idle,
    /// Space and rights are looked at, the archive is downloaded, checked and unpacked.
    Fetching,
    /// The new version tries everything beside the old one.
    Rehearsing,
    /// The agent's runs are waited for.
    Draining,
    /// The new version runs; the server has not yet seen it work for long enough.
    Confirming,
    /// A step this build does not know.
    #[serde(other)]
    Other,
}

/// What the wrapper does about versions, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateReport {
    /// Since when, by the wrapper's clock.
    pub at: Timestamp,
    /// The platform whose releases fit, such as `linux-x86_64`.
    pub platform: String,
    /// The SHA-256 of the archive that the active version came in; absent while the downloaded folder's own is active.
    #[serde(default)]
    pub active: Option<String>,
    /// The active version, where it came as a release.
    #[serde(default)]
    pub active_version: Option<String>,
    /// Where it stands.
    #[serde(default)]
    pub step: UpdateStep,
    /// What is done, or why nothing is; one sentence.
    pub text: String,
}
