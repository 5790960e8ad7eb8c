//! Writing a small file so that a reader, or a power cut, finds the old text or the new one and nothing between.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Whoever the folder lets in.
    Anyone,
    /// The owner only (Unix; on Windows the folder's rights apply). For what holds secrets.
    Owner,
}

/// Replaces `path` by `bytes`: written beside it, flushed to the disk, renamed. Errors name the path.
pub fn replace(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let temporary = beside(path);
    let written = create(&temporary, readers).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&temporary, path)).map_err(|error| {
        // What is left of a failed write is of no use; that it cannot be removed changes nothing.
        let _ = fs::remove_file(&temporary);
        io::Error::new(error.kind(), format!("writing {}: {error}", path.display()))
    })
}

/// Flushes a folder's list of names to the disk, so that what was renamed in it survives a power cut.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    crate::platform::sync_folder(path)
        .map_err(|error| io::Error::new(error.kind(), format!("flushing {}: {error}", path.display())))
}

/// The name under which a file is written before it is renamed; one per process, so that two never share it.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

fn create(path: &Path, readers: Readers) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    crate::platform::restrict(&mut options, readers == Readers::Owner);
    options.open(path)
}
