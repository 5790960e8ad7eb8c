//! The journal's file: records that are added at the end, each with its length and a check, so that one which a sudden
//! end tore is known.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sallyport_site::durable::{self, Readers};

use super::Entry;

/// What the file is, and the version of its shape.
const MAGIC: [u8; 20] = *b"sallyport/journal/1\n";

/// Before a record's text: its length (`u32`) and the check over it (`u64`), little endian.
const HEADER_BYTES: usize = 12;

pub(super) struct File {
    path: PathBuf,
    most: u64,
    open: Option<fs::File>,
    bytes: u64,
    /// Its size when it was last written anew.
    compact: u64,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) entries: Vec<Entry>,
    /// Bytes behind the last whole record.
    pub(super) cut: usize,
}

impl File {
    pub(super) fn at(path: &Path, most: u64) -> Self {
        Self { path: path.to_owned(), most, open: None, bytes: 0, compact: 0 }
    }

    /// Everything up to the first record that is not whole.
    pub(super) fn read(&self) -> io::Result<Read> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::default()),
            Err(error) => return Err(error),
        };
        let Some(mut rest) = bytes.strip_prefix(&MAGIC) else {
            return Ok(Read { cut: bytes.len(), ..Read::default() });
        };
        let mut entries = Vec::new();
        while let Some((text, behind)) = record(rest) {
            // Whole, so it was written as it stands: one that cannot be read is of another build.
            entries.push(serde_json::from_slice(text).unwrap_or(Entry::Unknown));
            rest = behind;
        }
        Ok(Read { entries, cut: rest.len() })
    }

    /// Whether it holds more than `bytes` of records beside what it held when it was written anew.
    pub(super) fn has_outgrown(&self, bytes: u64) -> bool {
        self.bytes.saturating_sub(self.compact) > bytes.max(self.compact)
    }

    /// Adds records; with `flush` they are on the disk when this returns. After an error the end may be torn.
    pub(super) fn append(&mut self, records: &[Vec<u8>], flush: bool) -> io::Result<()> {
        let mut added = Vec::new();
        for record in records {
            put(record, &mut added)?;
        }
        self.fits(self.bytes + added.len() as u64)?;
        let file = match &mut self.open {
            Some(file) => file,
            None => self.open.insert(OpenOptions::new().append(true).open(&self.path)?),
        };
        file.write_all(&added)?;
        if flush {
            file.sync_data()?;
        }
        self.bytes += added.len() as u64;
        Ok(())
    }

    /// Replaces the file: a sudden end leaves the old one or the new one.
    pub(super) fn rewrite(&mut self, records: &[Vec<u8>]) -> io::Result<()> {
        let mut whole = MAGIC.to_vec();
        for record in records {
            put(record, &mut whole)?;
        }
        self.fits(whole.len() as u64)?;
        self.open = None;
        durable::replace(&self.path, &whole, Readers::Owner)?;
        self.bytes = whole.len() as u64;
        self.compact = self.bytes;
        Ok(())
    }

    fn fits(&self, bytes: u64) -> io::Result<()> {
        if bytes > self.most {
            let (path, most) = (self.path.display(), self.most);
            return Err(io::Error::other(format!("{path} would have {bytes} bytes, the limit is {most}")));
        }
        Ok(())
    }
}

fn put(text: &[u8], into: &mut Vec<u8>) -> io::Result<()> {
    let length = u32::try_from(text.len()).map_err(|_| io::Error::other("a record is too long"))?;
    into.extend_from_slice(&length.to_le_bytes());
    into.extend_from_slice(&check(text).to_le_bytes());
    into.extend_from_slice(text);
    Ok(())
}

/// The first record and what lies behind it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [l0, l1, l2, l3, kept @ ..] = *header;
    let (text, behind) = rest.split_at_checked(u32::from_le_bytes([l0, l1, l2, l3]) as usize)?;
    (check(text) == u64::from_le_bytes(kept)).then_some((text, behind))
}

/// FNV-1a: finds what was torn, not what somebody forged. Blocks of zeros are no record.
fn check(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |check, byte| (check ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
