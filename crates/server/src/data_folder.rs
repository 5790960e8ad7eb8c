//! The data folder: who holds it and what lies in it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use zeroize::Zeroizing;

use crate::secrets::Secrets;

/// The folder, held by this process until it ends.
pub(crate) struct DataFolder {
    root: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if need be and takes its lock.
    pub(crate) fn hold(root: &Path) -> anyhow::Result<Self> {
        make_private(root).with_context(|| format!("making the data folder `{}`", root.display()))?;
        let file = root.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&file)
            .with_context(|| format!("opening `{}`", file.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "another server uses the data folder `{}`; stop it, or give this one another --data-dir",
                    root.display()
                )
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking `{}`", file.display())),
        }
    }

    /// The database's file in a data folder.
    pub(crate) fn database(root: &Path) -> PathBuf {
        root.join("sallyport.db")
    }

    /// The database's file, made for its owner only before SQLite would make it for everyone.
    pub(crate) fn private_database(&self) -> anyhow::Result<PathBuf> {
        let file = Self::database(&self.root);
        if !file.exists() {
            write_private(&file, b"")?;
        }
        Ok(file)
    }

    /// The folder of certificates.
    pub(crate) fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Reads the secret key; makes it only where there is no database yet, because a new key opens nothing old.
    pub(crate) fn secrets(&self) -> anyhow::Result<Secrets> {
        let file = self.root.join("secret.key");
        if !file.exists() {
            if Self::database(&self.root).exists() {
                bail!(
                    "`{}` is missing: restore it from the backup; without it no login and no secret works",
                    file.display()
                );
            }
            write_private(&file, Secrets::new_key()?.as_bytes())?;
        }
        let text =
            Zeroizing::new(std::fs::read_to_string(&file).with_context(|| format!("reading `{}`", file.display()))?);
        Secrets::from_key(&text).with_context(|| format!("`{}` is damaged", file.display()))
    }
}

/// Makes a folder that only its owner can look into.
pub(crate) fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let half = file.with_extension("new");
    let write = || {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut opened = options.open(&half)?;
        opened.write_all(bytes)?;
        opened.sync_all()?;
        std::fs::rename(&half, file)
    };
    write().with_context(|| format!("writing `{}`", file.display()))
}
