//! Whether an installation may take a release: a pure decision, each refusal with what to do.

use crate::manifest::dotted;
use crate::{Manifest, ManifestError, Signed, SignedError, Trust, Version};

/// What a decision needs to know of the installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// The product that the release is to replace.
    pub product: String,
    /// The platform, such as `linux-x86_64`.
    pub platform: String,
    /// The wrapper's version.
    pub wrapper: Version,
    /// The largest sequence that was ever accepted here.
    pub sequence: u64,
    /// The highest security floor that was ever accepted here.
    pub floor: Version,
    /// The operating system's version, such as `6.1.0`; `None` where it cannot be told.
    pub os: Option<String>,
    /// glibc's version; `None` where there is none or it cannot be told.
    pub glibc: Option<String>,
}

/// Why a release is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is too large to be looked at, or no manifest.
    #[error("the release is not understood: {0}; publish it again")]
    Signed(#[from] SignedError),
    /// The manifest contradicts itself.
    #[error("{0}; sign and publish it again")]
    Manifest(#[from] ManifestError),
    /// Not enough of the trusted keys have signed.
    #[error(
        "{signers} of the {needed} signatures that are needed are good; sign it with the publisher's keys, or replace \
         trust.json if the keys have changed"
    )]
    Signatures {
        /// Keys of the set that have signed.
        signers: usize,
        /// How many it takes.
        needed: usize,
    },
    /// Of another product.
    #[error("the release is of {theirs} and offered as {ours}; nothing that a publisher or this machine could mend")]
    Product {
        /// The manifest's.
        theirs: String,
        /// What is replaced.
        ours: String,
    },
    /// For another platform.
    #[error("the release is for {theirs}, this is {ours}; publish one for {ours}")]
    Platform {
        /// The manifest's.
        theirs: String,
        /// The installation's.
        ours: String,
    },
    /// Its time is over.
    #[error("the manifest has expired; sign the release again, or correct this machine's clock")]
    Expired,
    /// A manifest from before one that was seen.
    #[error(
        "the manifest's sequence {theirs} is older than {seen}, which was seen here; to go back to an older version, \
         sign it again with a higher sequence"
    )]
    Replayed {
        /// The manifest's.
        theirs: u64,
        /// The largest that was accepted.
        seen: u64,
    },
    /// A version that is known to be unsafe.
    #[error("version {version} is below the security floor {floor}; publish a newer one")]
    BelowFloor {
        /// The manifest's.
        version: Version,
        /// The highest floor that was accepted.
        floor: Version,
    },
    /// The wrapper is too old.
    #[error(
        "the release needs wrapper {needed}, this is {ours}; publish a newer wrapper too, or download the agent again"
    )]
    Wrapper {
        /// At least this.
        needed: Version,
        /// The installation's.
        ours: Version,
    },
    /// The operating system is too old.
    #[error(
        "the release needs version {needed} of the operating system, this is {ours}; keep the present version, or update the machine"
    )]
    Os {
        /// At least this.
        needed: String,
        /// The machine's.
        ours: String,
    },
    /// glibc is too old.
    #[error(
        "the release needs glibc {needed}, this machine has {ours}; keep the present version, or update the machine"
    )]
    Glibc {
        /// At least this.
        needed: String,
        /// The machine's.
        ours: String,
    },
}

/// Decides about a release. `now` is in seconds since 1970-01-01T00:00:00Z.
pub fn verify(signed: &Signed, trust: &Trust, now: i64, installed: &Installed) -> Result<Manifest, Refused> {
    signed.bounded()?;
    // Nothing of an unsigned text is read.
    trust.check_signatures(signed)?;
    let manifest = signed.content()?;
    if manifest.product != installed.product {
        return Err(Refused::Product { theirs: manifest.product, ours: installed.product.clone() });
    }
    if manifest.platform != installed.platform {
        return Err(Refused::Platform { theirs: manifest.platform, ours: installed.platform.clone() });
    }
    if manifest.expires <= now {
        return Err(Refused::Expired);
    }
    if manifest.sequence < installed.sequence {
        return Err(Refused::Replayed { theirs: manifest.sequence, seen: installed.sequence });
    }
    let floor = installed.floor.clone().max(manifest.security_floor.clone());
    if manifest.version < floor {
        return Err(Refused::BelowFloor { version: manifest.version, floor });
    }
    if installed.wrapper < manifest.minimum_wrapper {
        return Err(Refused::Wrapper { needed: manifest.minimum_wrapper, ours: installed.wrapper.clone() });
    }
    if let Some((needed, ours)) = too_old(manifest.minimum_os.as_ref(), installed.os.as_ref()) {
        return Err(Refused::Os { needed, ours });
    }
    if let Some((needed, ours)) = too_old(manifest.minimum_glibc.as_ref(), installed.glibc.as_ref()) {
        return Err(Refused::Glibc { needed, ours });
    }
    Ok(manifest)
}

/// What is needed and what is there, where that is too old. What cannot be told is left to the rehearsal.
fn too_old(needed: Option<&String>, ours: Option<&String>) -> Option<(String, String)> {
    let (needed, ours) = (needed?, ours?);
    (dotted(ours)? < dotted(needed)?).then(|| (needed.clone(), ours.clone()))
}
