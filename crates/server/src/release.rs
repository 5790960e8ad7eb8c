//! The installed release: where the agent's and the wrapper's programs for a platform lie.

pub(crate) mod archives;
mod checksum;
mod unpacked;

use std::path::{Path, PathBuf};

pub(crate) use checksum::sha256;
use sallyport_release::{AGENT, WRAPPER};

/// The platforms that a release may hold.
pub(crate) const PLATFORMS: [&str; 4] = ["linux-x86_64", "linux-aarch64", "windows-x86_64", "macos-aarch64"];

/// The platform the server runs on.
pub(crate) fn own_platform() -> &'static str {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("windows", _) => "windows-x86_64",
        ("macos", _) => "macos-aarch64",
        (_, "aarch64") => "linux-aarch64",
        _ => "linux-x86_64",
    }
}

/// The programs for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Programs {
    /// `sallyport-agent`.
    pub(crate) agent: PathBuf,
    /// `sallyport-wrapper`.
    pub(crate) wrapper: PathBuf,
    /// What stands behind a program's name.
    pub(crate) suffix: &'static str,
}

/// A release that lacks a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Missing {
    /// No such platform.
    #[error("`{0}` is no platform: expected one of {all}", all = PLATFORMS.join(", "))]
    Unknown(String),
    /// The programs are not there.
    #[error(
        "the release folder of the server has no `{file}` for {platform}; put it into `{folder}`, or the archives for {platform} beside that folder, or start the server with --release-dir"
    )]
    Program {
        /// What is missing.
        file: String,
        /// For which platform.
        platform: String,
        /// Where it was looked for.
        folder: String,
    },
    /// An archive that lies there cannot be used.
    #[error("unpacking `{archive}` of the release folder: {reason}")]
    Archive {
        /// Which.
        archive: String,
        /// Why.
        reason: String,
    },
}

/// The programs for one platform, from files or else from archives, which are unpacked below the data folder. Blocks.
pub(crate) fn programs(release: &Path, data: &Path, platform: &str) -> Result<Programs, Missing> {
    let found = find(release, platform);
    if !matches!(found, Err(Missing::Program { .. })) {
        return found;
    }
    match unpacked::folder(release, &data.join("programs"), platform)? {
        Some(folder) => in_folder(&folder, platform),
        None => found,
    }
}

/// Finds the programs: in the platform's folder, or for the server's own platform in the release folder itself.
pub(crate) fn find(release: &Path, platform: &str) -> Result<Programs, Missing> {
    let Some(platform) = PLATFORMS.into_iter().find(|known| *known == platform) else {
        return Err(Missing::Unknown(platform.to_owned()));
    };
    let own = release.join(platform);
    let folder = if !own.is_dir() && platform == own_platform() { release.to_owned() } else { own };
    in_folder(&folder, platform)
}

/// What stands behind the names of a platform's programs.
fn suffix(platform: &str) -> &'static str {
    if platform.starts_with("windows") { ".exe" } else { "" }
}

fn in_folder(folder: &Path, platform: &str) -> Result<Programs, Missing> {
    let suffix = suffix(platform);
    let program = |name: &str| {
        let path = folder.join(format!("{name}{suffix}"));
        if path.is_file() {
            return Ok(path);
        }
        Err(Missing::Program {
            file: format!("{name}{suffix}"),
            platform: platform.to_owned(),
            folder: folder.display().to_string(),
        })
    };
    Ok(Programs { agent: program(AGENT)?, wrapper: program(WRAPPER)?, suffix })
}

#[cfg(test)]
mod tests;
