//! What a release says of itself.

use serde::{Deserialize, Serialize};

use crate::{Digest, Version};

/// The product's name of the agent's releases, and of the program in their archives.
pub const AGENT: &str = "sallyport-agent";

/// The product's name of the wrapper's releases, and of the program in their archives.
pub const WRAPPER: &str = "sallyport-wrapper";

/// What a release may be of.
pub const PRODUCTS: [&str; 2] = [AGENT, WRAPPER];

/// The platforms that a release may be for.
pub const PLATFORMS: [&str; 4] = ["linux-x86_64", "linux-aarch64", "windows-x86_64", "macos-aarch64"];

/// The largest archive, in bytes.
pub const ARCHIVE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// The content of a manifest. Readers pass over fields that they do not know; what was signed is the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What is released: one of [`PRODUCTS`].
    pub product: String,
    /// One of [`PLATFORMS`].
    pub platform: String,
    /// Its version.
    pub version: Version,
    /// The archive's SHA-256.
    pub sha256: Digest,
    /// The archive's size in bytes.
    pub size: u64,
    /// Grows with every release of the product and platform; an installation takes no smaller one than it has seen.
    pub sequence: u64,
    /// The manifest is refused from then on, in seconds since 1970-01-01T00:00:00Z.
    pub expires: i64,
    /// No version below this is installed once this manifest was seen.
    #[serde(default)]
    pub security_floor: Version,
    /// The oldest wrapper that can install it.
    #[serde(default)]
    pub minimum_wrapper: Version,
    /// The least version of the operating system: of Linux's kernel, of Windows, of macOS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_os: Option<String>,
    /// The least version of glibc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_glibc: Option<String>,
}

/// A manifest that contradicts itself or says what cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is no manifest.
    #[error("the manifest is not understood: {0}")]
    Malformed(String),
    /// A product that nothing here installs.
    #[error("the manifest is for `{0}`: expected one of {all}", all = PRODUCTS.join(", "))]
    Product(String),
    /// No such platform.
    #[error("the manifest is for `{0}`: expected one of {all}", all = PLATFORMS.join(", "))]
    Platform(String),
    /// An empty archive or one that nobody should download.
    #[error("the manifest names an archive of {0} bytes: expected 1 to {ARCHIVE_BYTES_MAX}")]
    Size(u64),
    /// A least version that is no dotted number.
    #[error("the manifest's {field} is `{value}`: expected a form like 2.17")]
    Least {
        /// Which.
        field: &'static str,
        /// What it says.
        value: String,
    },
    /// It would never be installed.
    #[error("the manifest's version {version} is below its own security floor {floor}")]
    BelowOwnFloor {
        /// Its version.
        version: Version,
        /// Its floor.
        floor: Version,
    },
}

impl Manifest {
    /// Reads and checks a manifest's text.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = serde_json::from_str(text).map_err(|error| ManifestError::Malformed(error.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Whether it says what can be.
    pub fn check(&self) -> Result<(), ManifestError> {
        if !PRODUCTS.contains(&self.product.as_str()) {
            return Err(ManifestError::Product(self.product.clone()));
        }
        if !PLATFORMS.contains(&self.platform.as_str()) {
            return Err(ManifestError::Platform(self.platform.clone()));
        }
        if self.size == 0 || self.size > ARCHIVE_BYTES_MAX {
            return Err(ManifestError::Size(self.size));
        }
        for (field, value) in [("minimum_os", &self.minimum_os), ("minimum_glibc", &self.minimum_glibc)] {
            if let Some(value) = value
                && dotted(value).is_none()
            {
                return Err(ManifestError::Least { field, value: value.clone() });
            }
        }
        if self.version < self.security_floor {
            return Err(ManifestError::BelowOwnFloor {
                version: self.version.clone(),
                floor: self.security_floor.clone(),
            });
        }
        Ok(())
    }

    /// The text to sign: one line of JSON, fields in the order of this type.
    pub fn canonical(&self) -> String {
        // Strings and numbers only: this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The name of the folder it is installed in: `<version>-<hash>`.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.version, self.sha256.short())
    }
}

/// The numbers of `2.17` or `10.0.17763`; whatever follows them is passed over, as in a kernel's `6.1.0-18-amd64`.
pub(crate) fn dotted(text: &str) -> Option<Vec<u64>> {
    let numbers = text.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let numbers: Vec<u64> = numbers.trim_end_matches('.').split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    (!numbers.is_empty() && numbers.len() <= 4).then_some(numbers)
}
