//! The scratch folder of an attempt.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sallyport_protocol::AttemptKey;
use tracing::warn;

/// Removes what an earlier process left when it was killed; to be called before the first order.
pub fn clear_scratch(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().filter_map(Result::ok) {
        if let Err(failed) = fs::remove_dir_all(entry.path()) {
            warn!(folder = %entry.path().display(), error = %failed, "an old scratch folder could not be removed");
        }
    }
}

/// A folder with one folder per step; the caller removes it at the attempt's end.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes it anew: what an earlier process left under the same name is removed.
    pub(super) fn create(root: &Path, key: AttemptKey) -> Result<Self, String> {
        let path = root.join(format!("{}-{}-{}", key.run, key.pipeline, key.attempt));
        let made = match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir_all(&path),
        };
        made.map_err(|error| format!("making the scratch folder {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    /// Where one step may write; it makes the folder itself.
    pub(super) fn step(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn remove(&self) -> Result<(), String> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(format!("removing the scratch folder {}: {error}", self.0.display()))
            }
            _ => Ok(()),
        }
    }
}
