//! Folders held open, so that what happens in them cannot be led elsewhere by links.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, XattrFlags};
use rustix::io::Errno;

/// The attribute that carries a file's mark.
const MARK: &str = "user.sallyport.commit";

const MARK_BYTES_MAX: usize = 1024;

/// A folder that is held open.
#[derive(Debug)]
pub(crate) struct Folder {
    handle: OwnedFd,
}

const OPEN: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens a trusted folder.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { handle: rustix::fs::open(path, OPEN, Mode::empty())? })
    }

    /// The folder `name` in this one; a link is refused.
    pub(crate) fn enter(&self, name: &OsStr) -> io::Result<Self> {
        Ok(Self { handle: rustix::fs::openat(&self.handle, name, OPEN | OFlags::NOFOLLOW, Mode::empty())? })
    }

    /// As [`Folder::enter`], made if missing.
    pub(crate) fn enter_or_make(&self, name: &OsStr) -> io::Result<Self> {
        match self.enter(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match rustix::fs::mkdirat(&self.handle, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) => {
                        self.sync()?;
                        self.enter(name)
                    }
                    Err(Errno::EXIST) => self.enter(name),
                    Err(error) => Err(error.into()),
                }
            }
            entered => entered,
        }
    }

    /// Opens a file for reading; a link is refused. Does not wait for the other end of a named pipe.
    pub(crate) fn open_file(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::openat(&self.handle, name, flags, Mode::empty())?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
    }

    /// Creates a file that must not exist.
    pub(crate) fn create_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(File::from(rustix::fs::openat(&self.handle, name, flags, Mode::from_raw_mode(0o666))?))
    }

    /// Whether something has this name.
    pub(crate) fn has(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a file another name, replacing what has that name, and makes the change durable.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        rustix::fs::renameat(&self.handle, from, &self.handle, to)?;
        self.sync()
    }

    /// Gives a file another name that nothing may have yet, and makes the change durable.
    pub(crate) fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        match rename_no_replace(&self.handle, from, to) {
            // Not every file system can; not every one has links either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                rustix::fs::linkat(&self.handle, from, &self.handle, to, AtFlags::empty())?;
                rustix::fs::unlinkat(&self.handle, from, AtFlags::empty())?;
            }
            renamed => renamed?,
        }
        self.sync()
    }

    /// Makes changes of names durable, where the file system knows how (network ones may not).
    fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.handle) {
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts words on a file that stay with it under any name; where the file system keeps none, it has none.
    pub(crate) fn mark(&self, name: &str, words: &[u8]) {
        if let Ok(file) = self.open_file(OsStr::new(name)) {
            let _ = rustix::fs::fsetxattr(&file, MARK, words, XattrFlags::empty());
        }
    }

    /// The words that [`Folder::mark`] has put on a file.
    pub(crate) fn mark_of(&self, name: &str) -> Option<Vec<u8>> {
        let file = self.open_file(OsStr::new(name)).ok()?;
        let mut words = vec![0; MARK_BYTES_MAX];
        let length = rustix::fs::fgetxattr(&file, MARK, &mut words).ok()?;
        words.truncate(length);
        Some(words)
    }

    /// Removes a file if it is there.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The names in it that are text.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            if let Ok(name) = entry?.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}

#[cfg(target_os = "linux")]
fn rename_no_replace(folder: &OwnedFd, from: &str, to: &str) -> Result<(), Errno> {
    rustix::fs::renameat_with(folder, from, folder, to, rustix::fs::RenameFlags::NOREPLACE)
}

#[cfg(not(target_os = "linux"))]
fn rename_no_replace(_: &OwnedFd, _: &str, _: &str) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}
