//! What a result holds, whatever its format and order of rows: their number, and a sum over a hash of each.

use std::fmt;
use std::path::Path;

use anyhow::Result;

use crate::rows;

/// Number of rows and checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// How many rows.
    pub rows: u64,
    /// The sum of the rows' hashes: the same for any order, another if a row is missing, double or different.
    pub checksum: u64,
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows, checksum {:016x}", self.rows, self.checksum)
    }
}

impl Digest {
    /// What so many copies of the same rows hold.
    pub fn times(self, times: u64) -> Self {
        Self { rows: self.rows * times, checksum: self.checksum.wrapping_mul(times) }
    }

    pub(super) fn add<'a>(&mut self, fields: impl Iterator<Item = &'a [u8]>) {
        // FNV-1a, with a separator that no field holds.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for field in fields {
            for byte in field.iter().chain(std::iter::once(&0x1f)) {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        self.rows += 1;
        self.checksum = self.checksum.wrapping_add(hash);
    }
}

/// What SQLite itself says that a query gives.
pub fn of_sqlite(path: &Path, query: &str) -> Result<Digest> {
    digest(|row| rows::of_sqlite(path, query, row))
}

/// What a CSV file with a header holds.
pub fn of_csv(path: &Path) -> Result<Digest> {
    digest(|row| rows::of_csv(path, row))
}

/// What a Parquet file holds.
pub fn of_parquet(path: &Path) -> Result<Digest> {
    digest(|row| rows::of_parquet(path, row))
}

fn digest(read: impl FnOnce(&mut dyn FnMut(&[String])) -> Result<()>) -> Result<Digest> {
    let mut digest = Digest::default();
    read(&mut |row| digest.add(row.iter().map(String::as_bytes)))?;
    Ok(digest)
}

#[cfg(test)]
mod tests;
