//! A release's archive: a zip with plain files and folders, looked at before anything of it is written.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::read::ZipFile;

/// The most files and folders.
pub const ENTRIES_MAX: usize = 2000;
/// The most bytes of all files together, unpacked.
pub const BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// The longest path inside.
const PATH_MAX: usize = 240;
/// The deepest folder inside.
const DEPTH_MAX: usize = 16;
/// Bytes moved at once.
const PIECE: usize = 128 * 1024;

/// An archive that is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is no zip, or a damaged one.
    #[error("the archive is no zip that can be read: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// More entries than a release has.
    #[error("the archive has {0} entries, at most {ENTRIES_MAX} are allowed")]
    TooMany(usize),
    /// More bytes than a release has.
    #[error("the archive's files have more than {BYTES_MAX} bytes")]
    TooLarge,
    /// A name that leads elsewhere or means something to the system.
    #[error("the archive holds `{name}`, {reason}")]
    Name {
        /// As it stands in the archive.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A link, a device or another file that is no file.
    #[error("the archive holds `{0}`, which is a link or no plain file")]
    NotPlain(String),
    /// The program is not in it.
    #[error("the archive does not hold `{0}`")]
    NoProgram(String),
    /// Writing or reading failed.
    #[error("unpacking {path}: {source}")]
    File {
        /// Where.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl ArchiveError {
    /// Whether this machine is at fault rather than the archive.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::File { .. })
    }
}

/// Looks at every entry of an archive that is to hold `program`; gives the size of its files.
pub fn check<R: Read + Seek>(archive: R, program: &str) -> Result<u64, ArchiveError> {
    let mut zip = ZipArchive::new(archive)?;
    if zip.len() > ENTRIES_MAX {
        return Err(ArchiveError::TooMany(zip.len()));
    }
    let (mut seen, mut bytes, mut found) = (HashSet::new(), 0u64, false);
    for index in 0..zip.len() {
        let entry = zip.by_index(index)?;
        let name = name_of(&entry)?;
        plain(&entry, &name)?;
        let path = safe(&name)?;
        // Windows and macOS know no difference between A and a.
        if !seen.insert(path.to_string_lossy().to_lowercase()) {
            return Err(ArchiveError::Name { name, reason: "which is there twice" });
        }
        bytes = bytes.checked_add(entry.size()).filter(|bytes| *bytes <= BYTES_MAX).ok_or(ArchiveError::TooLarge)?;
        found |= entry.is_file() && name == program;
    }
    if found { Ok(bytes) } else { Err(ArchiveError::NoProgram(program.to_owned())) }
}

/// Unpacks an archive into an empty folder, every file flushed to the disk. Looks at all of it first.
pub fn unpack<R: Read + Seek>(mut archive: R, program: &str, to: &Path) -> Result<(), ArchiveError> {
    check(&mut archive, program)?;
    let mut zip = ZipArchive::new(archive)?;
    let mut left = BYTES_MAX;
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index)?;
        let name = name_of(&entry)?;
        let path = to.join(safe(&name)?);
        let failed = |source| ArchiveError::File { path: path.display().to_string(), source };
        if entry.is_dir() {
            fs::create_dir_all(&path).map_err(failed)?;
            continue;
        }
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).map_err(failed)?;
        }
        let mut file = File::create_new(&path).map_err(failed)?;
        copy(&mut entry, &mut file, &mut left, &path)?;
        file.sync_all().map_err(failed)?;
    }
    Ok(())
}

/// Sizes in an archive are claims: what comes out is counted.
fn copy(from: &mut impl Read, to: &mut impl Write, left: &mut u64, path: &Path) -> Result<(), ArchiveError> {
    let failed = |source| ArchiveError::File { path: path.display().to_string(), source };
    let mut piece = vec![0; PIECE];
    loop {
        let count = from.read(&mut piece).map_err(|error| ArchiveError::Zip(error.into()))?;
        if count == 0 {
            return Ok(());
        }
        *left = left.checked_sub(count as u64).ok_or(ArchiveError::TooLarge)?;
        to.write_all(piece.get(..count).unwrap_or_default()).map_err(failed)?;
    }
}

fn name_of<R: Read>(entry: &ZipFile<'_, R>) -> Result<String, ArchiveError> {
    String::from_utf8(entry.name_raw().to_vec()).map_err(|_| ArchiveError::Name {
        name: String::from_utf8_lossy(entry.name_raw()).into_owned(),
        reason: "whose name is not UTF-8",
    })
}

/// Only files and folders: no links, no devices, nothing encrypted.
fn plain<R: Read>(entry: &ZipFile<'_, R>, name: &str) -> Result<(), ArchiveError> {
    const KIND: u32 = 0o170_000;
    const FOLDER: u32 = 0o040_000;
    const FILE: u32 = 0o100_000;
    let kind = entry.unix_mode().map_or(0, |mode| mode & KIND);
    let fits = if entry.is_dir() { kind == 0 || kind == FOLDER } else { kind == 0 || kind == FILE };
    if fits && !entry.is_symlink() && !entry.encrypted() {
        return Ok(());
    }
    Err(ArchiveError::NotPlain(name.to_owned()))
}

/// The path below the folder, made of names that mean the same on every system.
fn safe(name: &str) -> Result<PathBuf, ArchiveError> {
    let wrong = |reason| Err(ArchiveError::Name { name: name.chars().take(PATH_MAX).collect(), reason });
    if name.len() > PATH_MAX {
        return wrong("whose name is too long");
    }
    if name.starts_with('/') {
        return wrong("an absolute path");
    }
    if name.chars().any(|c| c.is_control() || matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')) {
        return wrong("whose name has a character that not every system allows");
    }
    let parts: Vec<&str> = name.strip_suffix('/').unwrap_or(name).split('/').collect();
    if parts.len() > DEPTH_MAX {
        return wrong("which lies too deep");
    }
    for part in &parts {
        if part.is_empty() || *part == "." || *part == ".." {
            return wrong("a path that leads elsewhere");
        }
        if part.ends_with('.') || part.ends_with(' ') || is_device(part) {
            return wrong("a name that Windows takes for something else");
        }
    }
    Ok(parts.iter().collect())
}

/// `NUL`, `COM1.txt` and their kin are devices in every folder of Windows.
fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest| rest.chars().count() == 1 && !rest.starts_with(char::is_alphabetic))
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") || numbered("COM") || numbered("LPT")
}
