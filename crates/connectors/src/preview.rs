//! The first rows of a source as texts, for people: bounded in rows, columns and bytes.

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use sallyport_protocol::{Preview, PreviewColumn, shorten};
use serde_json::Value;

use crate::text::cell::Cell;
use crate::text::types::word;

/// The most rows, whatever is asked for.
const ROWS_MAX: usize = 1000;

/// The most columns; the others are counted.
const COLUMNS_MAX: usize = 150;

/// Of a column's name and type.
const NAME_BYTES_MAX: usize = 100;

/// Of one value.
const VALUE_BYTES_MAX: usize = 200;

/// Of all values together, and one row more. In the worst case JSON takes six times as many, which a control message
/// still holds.
const BYTES_MAX: usize = 64 * 1024;

/// What a value costs besides its text.
const VALUE_COST: usize = 8;

/// Takes rows until it has seen enough.
#[derive(Debug)]
pub struct Look {
    preview: Preview,
    rows_max: usize,
    bytes: usize,
}

impl Look {
    /// At the first `rows` rows.
    pub fn new(rows: u32) -> Self {
        let rows_max = usize::try_from(rows).unwrap_or(ROWS_MAX).clamp(1, ROWS_MAX);
        Self { preview: Preview::default(), rows_max, bytes: 0 }
    }

    /// Takes the columns.
    pub fn columns(&mut self, schema: &Schema) {
        let columns = schema.fields().iter().take(COLUMNS_MAX).map(|field| {
            let (mut name, mut kind) = (field.name().clone(), word(field));
            shorten(&mut name, NAME_BYTES_MAX);
            shorten(&mut kind, NAME_BYTES_MAX);
            PreviewColumn { name, kind }
        });
        self.preview.columns = columns.collect();
        let left = schema.fields().len().saturating_sub(COLUMNS_MAX);
        self.preview.columns_left = u32::try_from(left).unwrap_or(u32::MAX);
    }

    /// Takes rows; says whether it wants more.
    pub fn rows(&mut self, batch: &RecordBatch) -> bool {
        let schema = batch.schema_ref();
        let columns = batch.columns().iter().zip(schema.fields()).take(COLUMNS_MAX);
        let cells: Vec<Option<Cell<'_>>> = columns.map(|(array, field)| Cell::new(field, array.as_ref())).collect();
        for row in 0..batch.num_rows() {
            if self.preview.rows.len() >= self.rows_max || self.bytes >= BYTES_MAX {
                self.preview.more = true;
                return false;
            }
            let texts: Vec<Option<String>> = cells.iter().map(|cell| text(cell.as_ref()?, row)).collect();
            self.bytes += texts.iter().map(|text| VALUE_COST + text.as_ref().map_or(0, String::len)).sum::<usize>();
            self.preview.rows.push(texts);
        }
        true
    }

    /// What was seen.
    pub fn seen(self) -> Preview {
        self.preview
    }
}

/// A step's settings without what a look must not do: it leaves checkpoints and reject files alone, and needs no second
/// connection.
pub fn without_traces(settings: &Value) -> Value {
    let mut settings = settings.clone();
    if let Some(fields) = settings.as_object_mut() {
        for field in ["incremental", "on_bad_row", "reject_file", "parallel"] {
            fields.remove(field);
        }
    }
    settings
}

fn text(cell: &Cell<'_>, row: usize) -> Option<String> {
    if cell.is_null(row) {
        return None;
    }
    let mut bytes = Vec::new();
    // What is marked as JSON and is none is shown as it is.
    let _ = cell.write(row, &mut bytes);
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    shorten(&mut text, VALUE_BYTES_MAX);
    Some(text)
}

#[cfg(test)]
mod tests;
