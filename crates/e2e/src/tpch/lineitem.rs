//! What a copy of `lineitem` holds, however a tool has written its numbers, dates and blanks.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::Digest;

const COLUMNS: usize = 16;

/// The digest of `lineitem` as CSV lines with a header, which are written into it in pieces of any size.
#[derive(Default)]
pub struct Lines {
    digest: Digest,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    header_passed: bool,
    /// The first line that is none.
    wrong: Option<String>,
    fields: Vec<Vec<u8>>,
}

impl Lines {
    /// The digest of all lines.
    pub fn finish(mut self) -> Result<Digest> {
        let last = std::mem::take(&mut self.begun);
        self.line(&last);
        match self.wrong {
            Some(line) => anyhow::bail!("this is no line of lineitem: {line}"),
            None => Ok(self.digest),
        }
    }

    /// No value of lineitem holds a line break.
    fn line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || !std::mem::replace(&mut self.header_passed, true) {
            return;
        }
        let count = split(line, &mut self.fields);
        if count != COLUMNS {
            self.wrong.get_or_insert_with(|| String::from_utf8_lossy(line).into_owned());
            return;
        }
        for (column, field) in self.fields.iter_mut().enumerate() {
            plain(column, field);
        }
        self.digest.add(self.fields.iter().map(Vec::as_slice));
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            if self.begun.is_empty() {
                self.line(&rest[..end]);
            } else {
                self.begun.extend_from_slice(&rest[..end]);
                let mut line = std::mem::take(&mut self.begun);
                self.line(&line);
                line.clear();
                self.begun = line;
            }
            rest = &rest[end + 1..];
        }
        self.begun.extend_from_slice(rest);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a CSV file with a header holds.
pub fn of_lineitem_csv(path: &Path) -> Result<Digest> {
    let mut lines = Lines::default();
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    io::copy(&mut file, &mut lines)?;
    lines.finish().with_context(|| format!("in {}", path.display()))
}

/// What a Parquet file holds.
pub fn of_lineitem_parquet(path: &Path) -> Result<Digest> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut digest = Digest::default();
    let options = FormatOptions::default();
    let mut fields = vec![Vec::new(); COLUMNS];
    for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
        let batch = batch?;
        ensure!(batch.num_columns() == COLUMNS, "{} has {} columns", path.display(), batch.num_columns());
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<std::result::Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            for (column, (values, field)) in columns.iter().zip(&mut fields).enumerate() {
                field.clear();
                write!(field, "{}", values.value(row))?;
                plain(column, field);
            }
            digest.add(fields.iter().map(Vec::as_slice));
        }
    }
    Ok(digest)
}

/// Splits a line of CSV into `fields`; gives their number.
fn split(line: &[u8], fields: &mut Vec<Vec<u8>>) -> usize {
    let mut count = 0;
    let mut rest = Some(line);
    while let Some(text) = rest {
        if fields.len() == count {
            fields.push(Vec::new());
        }
        let field = &mut fields[count];
        field.clear();
        rest = take_field(text, field);
        count += 1;
    }
    fields.truncate(count);
    count
}

/// Moves the first field of `text` into `field`; gives what follows its comma.
fn take_field<'a>(text: &'a [u8], field: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut quoted = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b',' if !quoted => return Some(&text[at + 1..]),
            b'"' => {
                // The second of two quotes inside of quotes is the value's own.
                if !quoted && at > 0 && text[at - 1] == b'"' {
                    field.push(b'"');
                }
                quoted = !quoted;
            }
            byte => field.push(*byte),
        }
    }
    None
}

/// Brings a field to one spelling: whole numbers as they are, money in cents, dates without a time, texts without the
/// blanks that fill char(n).
fn plain(column: usize, field: &mut Vec<u8>) {
    match column {
        4..=7 => {
            let number = std::str::from_utf8(field).ok().and_then(|text| text.parse::<f64>().ok());
            if let Some(number) = number {
                let cents = (number * 100.0).round() as i64;
                field.clear();
                field.extend_from_slice(cents.to_string().as_bytes());
            }
        }
        10..=12 => field.truncate(10),
        _ => field.truncate(field.trim_ascii_end().len()),
    }
}

#[cfg(test)]
mod tests;
