//! The installation's id: made at the first start, kept in `state/installation`.

use std::fs;
use std::io;
use std::path::Path;

use sallyport_protocol::InstallationId;

use crate::durable::{self, Readers};

/// The id could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error("reading the installation's id from {path}")]
    File {
        /// Where it is.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{path} does not hold an installation id (inst_ and 32 hexadecimal digits); remove the file to get a new id"
    )]
    Content {
        /// Where it is.
        path: String,
    },
}

/// Reads the id, or makes one and keeps it.
pub fn installation(path: &Path) -> Result<InstallationId, Error> {
    let shown = || path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map_err(|_| Error::Content { path: shown() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = InstallationId::new();
            durable::replace(path, format!("{id}\n").as_bytes(), Readers::Anyone)
                .map_err(|source| Error::File { path: shown(), source })?;
            Ok(id)
        }
        Err(source) => Err(Error::File { path: shown(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_stays_the_same_and_other_content_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("installation");
        let first = installation(&path).unwrap();
        assert_eq!(installation(&path).unwrap(), first);
        fs::write(&path, "agent_0").unwrap();
        assert!(installation(&path).unwrap_err().to_string().contains("remove the file"));
        let missing = folder.path().join("no/such/folder/installation");
        assert!(matches!(installation(&missing), Err(Error::File { .. })));
    }
}
