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
    file: Option<File>,
    done: bool,
}

impl PartFile {
    /// Creates the temporary file for `path` beside it; leftovers of earlier attempts of the same step are removed.
    pub(crate) fn create(root: &Root, path: &str, commit: &CommitKey) -> Result<Self, Error> {
        let place = root.place(path)?;
        let step = part_of_step(&place.name, commit);
        // The fence is part of the name, so that an old attempt that still lives cannot rename the new one's file.
        let part = format!("{step}{}.part", commit.fence);
        match sweep(&place, &step).and_then(|()| place.folder.create_file(&part)) {
            Ok(file) => Ok(Self { place, part, file: Some(file), done: false }),
            Err(error) => Err(write_failed(&place.path, &error)),
        }
    }

    /// Where the file will stand.
    pub(crate) fn path(&self) -> &Path {
        &self.place.path
    }

    /// Whether a file has the final name already.
    pub(crate) fn exists(&self) -> Result<bool, Error> {
        self.place.folder.has(&self.place.name).map_err(|error| write_failed(&self.place.path, &error))
    }

    /// Another handle on the temporary file, to write with.
    pub(crate) fn writer(&self) -> Result<File, Error> {
        let file = self.file.as_ref().map_or_else(|| Err(io::Error::other("closed")), File::try_clone);
        file.map_err(|error| write_failed(&self.place.path, &error))
    }

    /// Makes the contents durable and gives the file its name; with `overwrite` in place of what has it.
    pub(crate) fn finish(mut self, overwrite: bool) -> Result<(), Error> {
        let failed = |error: &io::Error| write_failed(&self.place.path, error);
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

/// Removes what earlier attempts of the step have left.
fn sweep(place: &Place, step: &str) -> io::Result<()> {
    for name in place.folder.names()? {
        if name.starts_with(step) && name.ends_with(".part") {
            place.folder.remove(&name)?;
        }
    }
    Ok(())
}

/// Hidden, in the same folder, the same for every attempt of the step and different for every other.
fn part_of_step(name: &str, commit: &CommitKey) -> String {
    // FNV-1a: names need to differ, not to be secret.
    let hash = commit
        .key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    // File names end at 255 bytes; the hash, the fence and the affixes take up to 45.
    let mut end = name.len().min(200);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!(".{}.{hash:016x}.", &name[..end])
}
