//! Folders by path. Links need a privilege to be made on Windows; each step refuses one that is there.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// `FILE_ATTRIBUTE_REPARSE_POINT`.
const REPARSE_POINT: u32 = 0x400;

/// The alternate stream that carries a file's mark.
const MARK: &str = "sallyport.commit";

/// A folder.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens a trusted folder.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        std::fs::read_dir(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// The folder `name` in this one; a link is refused.
    pub(crate) fn enter(&self, name: &OsStr) -> io::Result<Self> {
        let path = self.path.join(name);
        let found = std::fs::symlink_metadata(&path)?;
        // A junction is a folder too, and leads elsewhere; anybody may make one.
        if found.is_dir() && found.file_attributes() & REPARSE_POINT == 0 {
            Ok(Self { path })
        } else {
            Err(io::Error::other("it is not a folder"))
        }
    }

    /// As [`Folder::enter`], made if missing.
    pub(crate) fn enter_or_make(&self, name: &OsStr) -> io::Result<Self> {
        match self.enter(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir(self.path.join(name))?;
                self.enter(name)
            }
            entered => entered,
        }
    }

    /// Opens a file for reading; a link is refused.
    pub(crate) fn open_file(&self, name: &OsStr) -> io::Result<File> {
        let path = self.path.join(name);
        if std::fs::symlink_metadata(&path)?.is_file() {
            File::open(path)
        } else {
            Err(io::Error::other("it is not a regular file"))
        }
    }

    /// Creates a file that must not exist.
    pub(crate) fn create_file(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(self.path.join(name))
    }

    /// Whether something has this name.
    pub(crate) fn has(&self, name: &str) -> io::Result<bool> {
        match std::fs::symlink_metadata(self.path.join(name)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives a file another name, replacing what has that name.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    /// Gives a file another name that nothing may have yet.
    pub(crate) fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        match std::fs::hard_link(self.path.join(from), self.path.join(to)) {
            Ok(()) => self.remove(from),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // File systems without links (FAT, some network ones): as near as they come.
            Err(_) if self.has(to)? => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => self.rename(from, to),
        }
    }

    /// Puts words on a file that stay with it under any name; where the file system keeps none, it has none.
    pub(crate) fn mark(&self, name: &str, words: &[u8]) {
        let _ = std::fs::write(self.path.join(format!("{name}:{MARK}")), words);
    }

    /// The words that [`Folder::mark`] has put on a file.
    pub(crate) fn mark_of(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path.join(format!("{name}:{MARK}"))).ok()
    }

    /// Removes a file if it is there.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match std::fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The names in it that are text.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }
}
