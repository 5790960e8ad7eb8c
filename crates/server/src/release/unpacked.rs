//! Programs from archives that lie in the release folder as they were made, `sallyport-agent-1.4.0-windows-x86_64.zip`
//! and the wrapper's beside it: unpacked once, into a folder named by their hashes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sallyport_release::{AGENT, Version, WRAPPER, archive};

use super::{Missing, sha256, suffix};
use crate::data_folder::make_private;

const PROGRAMS: [&str; 2] = [AGENT, WRAPPER];

/// So much of a hash tells one build from another.
const HASH_CHARS: usize = 16;

/// One request unpacks, the others wait for it.
static UNPACKING: Mutex<()> = Mutex::new(());

/// The folder with the programs of the newest version that has both archives; `None` where there is none. Blocks.
pub(super) fn folder(release: &Path, unpacked: &Path, platform: &str) -> Result<Option<PathBuf>, Missing> {
    let Some(archives) = newest(release, platform) else { return Ok(None) };
    let mut name = platform.to_owned();
    for archive in &archives {
        let hash = sha256(archive).map_err(|error| unusable(archive, &error))?;
        name = format!("{name}-{}", hash.get(..HASH_CHARS).unwrap_or_default());
    }
    let folder = unpacked.join(&name);
    let _one = UNPACKING.lock().unwrap_or_else(PoisonError::into_inner);
    if !folder.is_dir() {
        unpack(&archives, platform, &folder)?;
        forget_others(unpacked, platform, &name);
    }
    Ok(Some(folder))
}

/// The archives of the newest version, in the order of [`PROGRAMS`].
fn newest(release: &Path, platform: &str) -> Option<[PathBuf; 2]> {
    let names = fs::read_dir(release).ok()?.filter_map(Result::ok).map(|entry| entry.file_name());
    let versions = names.filter_map(|name| {
        let version = name.to_str()?.strip_prefix(AGENT)?.strip_prefix('-')?;
        let version: Version = version.strip_suffix(&format!("-{platform}.zip"))?.parse().ok()?;
        let archives = PROGRAMS.map(|program| release.join(format!("{program}-{version}-{platform}.zip")));
        archives.iter().all(|archive| archive.is_file()).then_some((version, archives))
    });
    versions.max_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, archives)| archives)
}

/// The folder gets its name when all of it is there.
fn unpack(archives: &[PathBuf; 2], platform: &str, folder: &Path) -> Result<(), Missing> {
    let part = folder.with_extension("part");
    let _ = fs::remove_dir_all(&part);
    make_private(&part).map_err(|error| unusable(&part, &error))?;
    for (archive, program) in archives.iter().zip(PROGRAMS) {
        let file = File::open(archive).map_err(|error| unusable(archive, &error))?;
        archive::unpack(file, &format!("{program}{}", suffix(platform)), &part)
            .map_err(|error| unusable(archive, &error))?;
    }
    fs::rename(&part, folder).map_err(|error| unusable(folder, &error))
}

/// Earlier versions take only space; one that cannot be removed is tried again with the next.
fn forget_others(unpacked: &Path, platform: &str, name: &str) {
    for entry in fs::read_dir(unpacked).into_iter().flatten().filter_map(Result::ok) {
        let other = entry.file_name();
        if other.to_str().is_some_and(|other| other != name && other.starts_with(platform)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn unusable(archive: &Path, error: &dyn std::fmt::Display) -> Missing {
    Missing::Archive { archive: archive.display().to_string(), reason: error.to_string() }
}
