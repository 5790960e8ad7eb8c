//! Checksums of programs, remembered while the file stays the same: every wrapper asks when it starts.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

const CHUNK: usize = 256 * 1024;

/// What a checksum was computed for, and the checksum; one entry a program, so a handful.
static KNOWN: Mutex<Vec<(Stamp, String)>> = Mutex::new(Vec::new());

#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
}

/// The file's SHA-256 in hexadecimal digits. Blocks: reads the whole file unless it was read before.
pub(crate) fn sha256(path: &Path) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    let stamp = Stamp { path: path.to_owned(), length: metadata.len(), modified: metadata.modified().ok() };
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, checksum)) = known().iter().find(|(of, _)| *of == stamp) {
        return Ok(checksum.clone());
    }
    let mut digest = Sha256::new();
    let mut file = File::open(path)?;
    let mut chunk = vec![0u8; CHUNK];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        digest.update(chunk.get(..count).unwrap_or_default());
    }
    let checksum: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut known = known();
    known.retain(|(of, _)| of.path != stamp.path);
    known.push((stamp, checksum.clone()));
    Ok(checksum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_has_another_checksum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&path).unwrap(), abc);
        assert_eq!(sha256(&path).unwrap(), abc);
        fs::write(&path, "abcd").unwrap();
        assert_ne!(sha256(&path).unwrap(), abc);
    }
}
