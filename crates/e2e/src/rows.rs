//! The rows of a result as fields of text, whatever its format; written apart from the product, so that both cannot
//! share a mistake.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rusqlite::OpenFlags;
use rusqlite::types::ValueRef;

/// What SQLite itself says that a query gives.
pub fn of_sqlite(path: &Path, query: &str, row: &mut dyn FnMut(&[String])) -> Result<()> {
    // With the right to write: a killed writer's journal must be rolled back first.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = rusqlite::Connection::open_with_flags(path, flags)?;
    let mut statement = sql.prepare(query)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(found) = rows.next()? {
        let mut fields = Vec::with_capacity(columns);
        for column in 0..columns {
            fields.push(match found.get_ref(column)? {
                ValueRef::Null => String::new(),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                ValueRef::Blob(_) => bail!("the query gives bytes"),
            });
        }
        row(&fields);
    }
    Ok(())
}

/// What a CSV file with a header holds.
pub fn of_csv(path: &Path, row: &mut dyn FnMut(&[String])) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut records = Records { rest: &text };
    records.next().context("the file has no header")?;
    records.for_each(|record| row(&record));
    Ok(())
}

/// What a CSV text without a header holds.
pub fn of_csv_text(text: &str, row: &mut dyn FnMut(&[String])) {
    Records { rest: text }.for_each(|record| row(&record));
}

/// What a Parquet file holds.
pub fn of_parquet(path: &Path, row: &mut dyn FnMut(&[String])) -> Result<()> {
    let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let options = FormatOptions::default();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
        let batch = batch?;
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<std::result::Result<_, _>>()?;
        for index in 0..batch.num_rows() {
            let fields: Vec<String> = columns.iter().map(|column| column.value(index).to_string()).collect();
            row(&fields);
        }
    }
    Ok(())
}

/// The records of a CSV text, by RFC 4180.
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
