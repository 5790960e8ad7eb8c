//! A file under a hidden temporary name that takes its real name when complete, and is gone otherwise.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sallyport_protocol::FailureKind;

use crate::paths::{Place, Root};
use crate::{CommitKey, Error};

/// A file that is being written.
pub(crate) struct PartFile {
    place: Place,
    part: String,
    key: String,
    file: Option<File>,
    done: bool,
}

impl PartFile {
    /// Creates the temporary file for `path` beside it; what attempts that are gone have left for it is removed.
    pub(crate) fn create(root: &Root, path: &str, commit: &CommitKey) -> Result<Self, Error> {
        let place = root.place(path)?;
        let target = part_of_target(&place.name);
        let step = format!("{target}{:016x}.", hash(&commit.key));
        // The fence is part of the name, so that an old attempt that still lives cannot rename the new one's file.
        let part = format!("{step}{}{PART}", commit.fence);
        match sweep(&place, &target, &step, commit.fence).and_then(|()| create_locked(&place, &part)) {
            Ok(file) => Ok(Self { place, part, key: commit.key.clone(), file: Some(file), done: false }),
            Err(error) => Err(write_failed(&place.path, &error)),
        }
    }

    /// Where the file will stand.
    pub(crate) fn path(&self) -> &Path {
        &self.place.path
    }

    /// The final name, in its folder.
    pub(crate) fn name(&self) -> &str {
        &self.place.name
    }

    /// Whether a file has the final name already.
    pub(crate) fn exists(&self) -> Result<bool, Error> {
        self.place.folder.has(&self.place.name).map_err(|error| write_failed(&self.place.path, &error))
    }

    /// Whether what has the final name was put there by an earlier attempt of this very step. Only where the file
    /// system keeps marks.
    pub(crate) fn is_committed(&self) -> bool {
        self.place.folder.mark_of(&self.place.name).is_some_and(|mark| mark == self.key.as_bytes())
    }

    /// Another handle on the temporary file, to write with.
    pub(crate) fn writer(&self) -> Result<File, Error> {
        let file = self.file.as_ref().map_or_else(|| Err(io::Error::other("closed")), File::try_clone);
        file.map_err(|error| write_failed(&self.place.path, &error))
    }

    /// Makes the contents durable and gives the file its name; with `overwrite` in place of what has it.
    pub(crate) fn finish(mut self, overwrite: bool) -> Result<(), Error> {
        let failed = |error: &io::Error| write_failed(&self.place.path, error);
        self.place.folder.mark(&self.part, self.key.as_bytes());
        if let Some(mut file) = self.file.take() {
            file.flush().and_then(|()| file.sync_all()).map_err(|error| failed(&error))?;
        }
        let Place { folder, name, path } = &self.place;
        let named = if overwrite { folder.rename(&self.part, name) } else { folder.rename_new(&self.part, name) };
        match named {
            Ok(()) => self.done = true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(exists(path)),
            Err(error) => return Err(failed(&error)),
        }
        Ok(())
    }

    /// Removes what has the final name; not where a newer attempt has taken this one's place, as it may be its own.
    pub(crate) fn clear_target(&self) -> Result<(), Error> {
        let Place { folder, name, path } = &self.place;
        let superseded = || io::Error::other("a newer attempt at this step has taken over");
        let own = folder.has(&self.part).and_then(|own| own.then_some(()).ok_or_else(superseded));
        own.and_then(|()| folder.remove(name)).map_err(|error| write_failed(path, &error))
    }

    /// Drops the contents and removes what has the final name.
    pub(crate) fn finish_without(self) -> Result<(), Error> {
        self.place.folder.remove(&self.place.name).map_err(|error| write_failed(&self.place.path, &error))
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.done {
            self.file = None;
            // Nothing better can be done here; the step's next attempt removes it.
            let _ = self.place.folder.remove(&self.part);
        }
    }
}

/// The file stands there and may not be replaced.
pub(crate) fn exists(path: &Path) -> Error {
    let why = format!("file `{}` exists and `overwrite` is false", path.display());
    Error::permanent(FailureKind::Output, "file_exists", why)
        .advise("choose another path, remove the file, or set `overwrite: true`")
}

/// What a failed write means.
pub(crate) fn write_failed(path: &Path, error: &io::Error) -> Error {
    use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let folder: PathBuf = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let (code, advice) = match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => {
            ("disk_full", format!("free space on the disk that holds `{}`, or write elsewhere", folder.display()))
        }
        PermissionDenied | ReadOnlyFilesystem => {
            ("folder_not_writable", format!("give the agent's user the right to write in `{}`", folder.display()))
        }
        _ => ("write_failed", "look at the disk and the folder on the agent's machine".to_owned()),
    };
    let why = format!("writing file `{}` in folder `{}`: {error}", path.display(), folder.display());
    Error::permanent(FailureKind::Output, code, why).advise(advice)
}

/// Ends the names of temporary files.
const PART: &str = ".part";

/// The lock tells others that the file is being written; it goes with the process.
fn create_locked(place: &Place, part: &str) -> io::Result<File> {
    loop {
        let file = place.folder.create_file(part)?;
        // Not every file system has locks; without one, the file looks abandoned to nobody but a sweep at this moment.
        let _ = file.try_lock();
        if place.folder.has(part)? {
            return Ok(file);
        }
    }
}

/// Removes what was left for this target: by earlier attempts of the step, whether they live or not, and by other steps
/// and runs if nobody holds it. What a later attempt of the step is writing stays.
fn sweep(place: &Place, target: &str, step: &str, fence: u64) -> io::Result<()> {
    for name in place.folder.names()? {
        let Some(rest) = name.strip_prefix(target).and_then(|rest| rest.strip_suffix(PART)) else { continue };
        let Some((_, found)) = rest.split_once('.').filter(|(hash, _)| is_hash(hash)) else { continue };
        let Ok(found) = found.parse::<u64>() else { continue };
        let gone = if name.starts_with(step) { found <= fence } else { is_abandoned(place, &name) };
        if gone {
            place.folder.remove(&name)?;
        }
    }
    Ok(())
}

fn is_hash(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether no process holds the file's lock.
fn is_abandoned(place: &Place, name: &str) -> bool {
    place.folder.open_file(name.as_ref()).is_ok_and(|file| file.try_lock().is_ok())
}

/// FNV-1a: names need to differ, not to be secret.
fn hash(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// How the names of a target's temporary files begin: hidden, in the same folder; the step's hash follows.
fn part_of_target(name: &str) -> String {
    // File names end at 255 bytes; the hash, the fence and the affixes take up to 45.
    let end = name.floor_char_boundary(name.len().min(200));
    format!(".{}.", &name[..end])
}

#[cfg(test)]
mod tests;
