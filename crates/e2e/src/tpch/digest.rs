//! What a result holds, whatever its format and order of rows: their number, and a sum over a hash of each.

use std::fmt;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rusqlite::types::ValueRef;

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
    let sql = rusqlite::Connection::open(path)?;
    let mut statement = sql.prepare(query)?;
    let columns = statement.column_count();
    let mut digest = Digest::default();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut fields = Vec::with_capacity(columns);
        for column in 0..columns {
            fields.push(match row.get_ref(column)? {
                ValueRef::Null => String::new(),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                ValueRef::Blob(_) => bail!("the query gives bytes"),
            });
        }
        digest.add(fields.iter().map(String::as_bytes));
    }
    Ok(digest)
}

/// What a CSV file with a header holds.
pub fn of_csv(path: &Path) -> Result<Digest> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut digest = Digest::default();
    let mut records = Records { rest: &text };
    records.next().context("the file has no header")?;
    for record in records {
        digest.add(record.iter().map(String::as_bytes));
    }
    Ok(digest)
}

/// What a Parquet file holds.
pub fn of_parquet(path: &Path) -> Result<Digest> {
    let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let mut digest = Digest::default();
    let options = FormatOptions::default();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
        let batch = batch?;
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<std::result::Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let fields: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            digest.add(fields.iter().map(String::as_bytes));
        }
    }
    Ok(digest)
}

/// The records of a CSV text, by RFC 4180; written apart from the product so that both cannot share a mistake.
struct Records<'a> {
    rest: &'a str,
}

impl Iterator for Records<'_> {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        if self.rest.is_empty() {
            return None;
        }
        let mut fields = vec![String::new()];
        let mut quoted = false;
        let mut chars = self.rest.char_indices().peekable();
        while let Some((index, c)) = chars.next() {
            match (c, quoted) {
                ('"', true) if chars.peek().is_some_and(|(_, next)| *next == '"') => {
                    chars.next();
                    push(&mut fields, '"');
                }
                ('"', _) => quoted = !quoted,
                (',', false) => fields.push(String::new()),
                ('\r', false) if chars.peek().is_some_and(|(_, next)| *next == '\n') => {}
                ('\n', false) => {
                    self.rest = &self.rest[index + 1..];
                    return Some(fields);
                }
                (c, _) => push(&mut fields, c),
            }
        }
        self.rest = "";
        Some(fields)
    }
}

fn push(fields: &mut [String], c: char) {
    if let Some(last) = fields.last_mut() {
        last.push(c);
    }
}

#[cfg(test)]
mod tests;
