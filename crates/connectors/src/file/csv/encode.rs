//! From batches to text, straight into a byte buffer.

use arrow_array::{Array, RecordBatch};
use arrow_schema::{Field, Schema};
use memchr::{memchr, memchr2, memchr2_iter, memchr3};

use super::Dialect;
use crate::text::cell::{Cell, NotJson};

/// At the start of a file it would be taken for the file's own.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Writes rows in a dialect.
pub(in crate::file) struct Encoder {
    dialect: Dialect,
    quote: u8,
    escape: u8,
    /// Whether numbers, dates and the like can be written without a look at their text.
    plain: bool,
}

impl Encoder {
    pub(in crate::file) fn new(dialect: &Dialect) -> Self {
        let quote = dialect.quote.unwrap_or(b'"');
        // Every character that a value other than text can have.
        let typed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.: \\".contains(&byte);
        let plain = !typed(dialect.delimiter) && !typed(quote) && dialect.null.is_empty();
        Self { dialect: dialect.clone(), quote, escape: dialect.escape.unwrap_or(quote), plain }
    }

    /// Writes the columns' names.
    pub(in crate::file) fn header(&self, schema: &Schema, out: &mut Vec<u8>) {
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                out.push(self.dialect.delimiter);
            }
            self.text(field.name().as_bytes(), out);
        }
        out.push(b'\n');
    }

    /// The batch's columns by type; the field at fault where one has a type that text has no form for.
    pub(in crate::file) fn cells<'a>(batch: &'a RecordBatch, schema: &'a Schema) -> Result<Vec<Cell<'a>>, &'a Field> {
        let pairs = schema.fields().iter().zip(batch.columns());
        pairs.map(|(field, column)| Cell::new(field, column.as_ref() as &dyn Array).ok_or(field.as_ref())).collect()
    }

    /// For each column whether none of its texts in this batch needs quotes, empty ones aside: one search over all of
    /// a column's bytes costs less than one for each value.
    pub(in crate::file) fn clean(&self, cells: &[Cell<'_>]) -> Vec<bool> {
        let clean = |cell: &Cell<'_>| {
            let (Cell::Text(array) | Cell::Json(array)) = cell else { return false };
            let offsets = array.value_offsets();
            let (Some(start), Some(end)) = (offsets.first(), offsets.last()) else { return true };
            let bytes = &array.value_data()[*start as usize..*end as usize];
            memchr3(self.dialect.delimiter, self.quote, b'\n', bytes).is_none()
                && memchr2(b'\r', BYTE_ORDER_MARK[0], bytes).is_none()
        };
        cells.iter().map(clean).collect()
    }

    /// Writes one row; `clean` is of the row's batch.
    #[inline]
    pub(in crate::file) fn row(
        &self,
        cells: &[Cell<'_>],
        clean: &[bool],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), NotJson> {
        for (index, (cell, clean)) in cells.iter().zip(clean).enumerate() {
            if index > 0 {
                out.push(self.dialect.delimiter);
            }
            if cell.is_null(row) {
                out.extend_from_slice(self.dialect.null.as_bytes());
            } else if let Some(text) = cell.stored_text(row) {
                if *clean && !text.is_empty() && text != self.dialect.null {
                    out.extend_from_slice(text.as_bytes());
                } else {
                    self.text(text.as_bytes(), out);
                }
            } else if self.plain && !matches!(cell, Cell::List(..)) {
                cell.write(row, out)?;
            } else {
                let start = out.len();
                cell.write(row, out)?;
                if self.needs_quotes(&out[start..]) {
                    let text = out.split_off(start);
                    self.quoted(&text, out);
                }
            }
        }
        out.push(b'\n');
        Ok(())
    }

    #[inline]
    fn text(&self, text: &[u8], out: &mut Vec<u8>) {
        if self.needs_quotes(text) {
            self.quoted(text, out);
        } else {
            out.extend_from_slice(text);
        }
    }

    /// A byte order mark would be taken for the file's own at its start.
    #[inline]
    fn needs_quotes(&self, text: &[u8]) -> bool {
        text == self.dialect.null.as_bytes()
            || memchr3(self.dialect.delimiter, self.quote, b'\n', text).is_some()
            || memchr(b'\r', text).is_some()
            || text.starts_with(BYTE_ORDER_MARK)
            || text.is_empty()
    }

    fn quoted(&self, text: &[u8], out: &mut Vec<u8>) {
        out.push(self.quote);
        let mut from = 0;
        for at in memchr2_iter(self.quote, self.escape, text) {
            out.extend_from_slice(&text[from..at]);
            out.push(self.escape);
            from = at;
        }
        out.extend_from_slice(&text[from..]);
        out.push(self.quote);
    }
}
