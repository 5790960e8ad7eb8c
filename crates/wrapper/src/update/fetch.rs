//! A release on its way into its folder of versions: space and rights, download, checks, unpacking. Whatever is interrupted is gone
//! on with: the download from its last byte, the unpacking from its start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sallyport_protocol::path;
use sallyport_release::archive::{self, ArchiveError};
use sallyport_release::{Digest, DigestReader};
use sallyport_site::{Layout, durable, machine};
use tracing::info;

use super::machine::{Target, Trouble};
use super::product::Product;
use crate::fetch::{self, Door};
use crate::platform;

/// What must stay free, for logs and journals.
const SPARE_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes that are moved at once.
const CHUNK: usize = 64 * 1024;

fn passing(doing: &str, path: &Path, error: &io::Error) -> Trouble {
    Trouble::Passing(format!("{doing} {}: {error}", path.display()))
}

/// Brings a release to its folder, unless it is there.
pub(super) fn obtain(layout: &Layout, product: Product, door: &Door, target: &Target) -> Result<(), Trouble> {
    // A folder gets its name when all of it is on the disk.
    if product.program(layout, &target.folder).is_file() {
        return Ok(());
    }
    let (versions, downloads) = (product.versions(layout), product.downloads(layout));
    for folder in [&versions, &downloads] {
        fs::create_dir_all(folder).map_err(|error| passing("making", folder, &error))?;
    }
    let part = downloads.join(format!("{}.part", target.hash));
    forget_others(&downloads, &part);
    let have = fs::metadata(&part).map_or(0, |metadata| metadata.len());
    has_room(&downloads, target.size.saturating_sub(have))?;
    download(&part, door, target)?;
    check(&part, target)?;
    unpack(&versions, &product.program_name(), &part, target)?;
    // It has done its work; one that stays takes only space, and goes with the next download.
    let _ = fs::remove_file(&part);
    Ok(())
}

/// Archives of other releases are of no use any more.
fn forget_others(folder: &Path, part: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        if entry.path() != part {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn has_room(folder: &Path, bytes: u64) -> Result<(), Trouble> {
    let needed = bytes.saturating_add(SPARE_BYTES);
    match machine::free_bytes(folder) {
        Some(free) if free < needed => Err(Trouble::Passing(format!(
            "{} has {free} bytes free and {needed} are needed; make room on this disk",
            folder.display()
        ))),
        _ => Ok(()),
    }
}

fn download(part: &Path, door: &Door, target: &Target) -> Result<(), Trouble> {
    let failed = |error: &io::Error| passing("writing", part, error);
    let mut file = OpenOptions::new().create(true).append(true).open(part).map_err(|error| failed(&error))?;
    let have = file.metadata().map_err(|error| failed(&error))?.len();
    if have == target.size {
        return Ok(());
    }
    let from = if have > target.size { 0 } else { have };
    if have > from {
        file.set_len(from).map_err(|error| failed(&error))?;
    }
    info!(version = %target.version, from, bytes = target.size, "downloading a release");
    let address = format!("{}?sha256={}", path::ARCHIVE, target.hash);
    let answer = door.get_from(&address, from).map_err(|error| Trouble::Passing(format!("downloading: {error}")))?;
    if from > 0 && !answer.is_partial() {
        file.set_len(0).map_err(|error| failed(&error))?;
    }
    let have = file.metadata().map_err(|error| failed(&error))?.len();
    // One byte more than there should be shows that there is more.
    let mut body = answer.take(target.size - have + 1);
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = body.read(&mut chunk).map_err(|error| {
            Trouble::Passing(format!("downloading: {}; it goes on where it stopped", fetch::Error::Broken(error)))
        })?;
        if count == 0 {
            break;
        }
        file.write_all(chunk.get(..count).unwrap_or_default()).map_err(|error| failed(&error))?;
    }
    file.sync_all().map_err(|error| failed(&error))
}

/// Compares size and hash with the manifest; what differs is thrown away.
fn check(part: &Path, target: &Target) -> Result<(), Trouble> {
    let (hash, size) = File::open(part)
        .and_then(|file| DigestReader::new(file).finish())
        .map_err(|error| passing("reading", part, &error))?;
    if size < target.size {
        return Err(Trouble::Passing(format!("the download ended after {size} of {} bytes", target.size)));
    }
    if (hash, size) == (target.hash, target.size) {
        return Ok(());
    }
    let _ = fs::remove_file(part);
    Err(Trouble::Passing(differs(target, hash, size)))
}

fn differs(target: &Target, hash: Digest, size: u64) -> String {
    format!(
        "the downloaded archive is not the one that was signed: {size} bytes with SHA-256 {hash} instead of {} bytes with {}",
        target.size, target.hash
    )
}

fn unpack(versions: &Path, program: &str, part: &Path, target: &Target) -> Result<(), Trouble> {
    let blame = |error: ArchiveError| {
        if error.is_local() { Trouble::Passing(error.to_string()) } else { Trouble::Version(error.to_string()) }
    };
    let open = || File::open(part).map_err(|error| passing("reading", part, &error));
    has_room(versions, archive::check(open()?, program).map_err(blame)?)?;
    let staging = versions.join(format!(".{}.new", target.folder));
    remove(&staging)?;
    fs::create_dir(&staging).map_err(|error| passing("making", &staging, &error))?;
    let unpacked = archive::unpack(open()?, program, &staging).map_err(blame).and_then(|()| {
        platform::make_executable(&staging.join(program)).map_err(|error| passing("preparing", &staging, &error))?;
        settle(&staging)
    });
    if let Err(trouble) = unpacked {
        // Half of it helps nobody, and may be what filled the disk.
        let _ = fs::remove_dir_all(&staging);
        return Err(trouble);
    }
    let folder = versions.join(&target.folder);
    // A folder without its program, as somebody may have left it.
    remove(&folder)?;
    fs::rename(&staging, &folder).map_err(|error| passing("naming", &folder, &error))?;
    durable::sync_folder(versions).map_err(|error| Trouble::Passing(error.to_string()))
}

/// Flushes the names in a folder and below.
fn settle(folder: &Path) -> Result<(), Trouble> {
    let below: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()).collect();
    for path in below.iter().filter(|path| path.is_dir()) {
        settle(path)?;
    }
    durable::sync_folder(folder).map_err(|error| Trouble::Passing(error.to_string()))
}

fn remove(folder: &Path) -> Result<(), Trouble> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(passing("removing", folder, &error)),
        _ => Ok(()),
    }
}

/// Removes the folders below `versions` that are not kept; what cannot be removed is tried again the next time.
pub(super) fn clean_up(versions: &Path, keeps: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(versions).into_iter().flatten().filter_map(Result::ok) {
        let name = entry.file_name();
        if !name.to_str().is_some_and(&keeps) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
