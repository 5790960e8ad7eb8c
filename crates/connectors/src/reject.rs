//! Rows that a target would not take, with the reason, as JSON Lines.
//!
//! One line a row: `{"row": 17, "column": "price", "reason": "...", "values": {...}}`. Rows count from 1 in the order
//! they came in. The file appears when it is complete; a step that rejects nothing leaves none.

use std::fs::File;
use std::io::{BufWriter, Write};

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::part::{PartFile, write_failed};
use crate::paths::Root;
use crate::settings::invalid;
use crate::{CommitKey, Error, Site};

/// Longer values are cut in the file: it is there to be read.
const VALUE_CHARS_MAX: usize = 1000;

/// What happens to a row that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnBadRow {
    /// The step fails and names row and column.
    #[default]
    Fail,
    /// The row goes to `reject_file` with the reason.
    Reject,
}

impl OnBadRow {
    /// Whether the settings agree with each other.
    pub(crate) fn check(self, reject_file: Option<&str>) -> Result<(), Error> {
        match (self, reject_file) {
            (Self::Reject, None) => {
                Err(invalid("reject_file", "name the file that rejected rows go to (`on_bad_row` is `reject`)"))
            }
            _ => Ok(()),
        }
    }
}

/// A reject file that is being written; dropped unfinished, it leaves nothing.
pub(crate) struct RejectFile {
    part: PartFile,
    writer: BufWriter<File>,
    rows: u64,
}

impl RejectFile {
    /// Starts the file `path` below the site's files root.
    pub(crate) fn create(site: &Site, path: &str, commit: &CommitKey) -> Result<Self, Error> {
        let part = PartFile::create(&Root::new(&site.files_root)?, path, commit)?;
        let writer = BufWriter::new(part.writer()?);
        Ok(Self { part, writer, rows: 0 })
    }

    /// Adds a row: its number from 1, the column at fault where one is, why, and its values (see [`row_values`]).
    pub(crate) fn reject(&mut self, row: u64, column: Option<&str>, reason: &str, values: &Value) -> Result<(), Error> {
        let line = json!({"row": row, "column": column, "reason": reason, "values": values});
        self.rows += 1;
        writeln!(self.writer, "{line}").map_err(|error| write_failed(self.part.path(), &error))
    }

    /// Gives the file its name, in place of an earlier one; without rows, removes an earlier one.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        if self.rows == 0 {
            return self.part.finish_without();
        }
        self.writer.flush().map_err(|error| write_failed(self.part.path(), &error))?;
        self.part.finish(true)
    }
}

/// The values of one row as text by column, long ones cut.
pub(crate) fn row_values(batch: &RecordBatch, row: usize) -> Value {
    let options = FormatOptions::default();
    let schema = batch.schema_ref();
    let values = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let value = if column.is_null(row) {
            Value::Null
        } else {
            ArrayFormatter::try_new(column, &options)
                .map_or(Value::Null, |text| Value::String(cut(&text.value(row).to_string())))
        };
        (field.name().clone(), value)
    });
    Value::Object(values.collect::<Map<_, _>>())
}

/// The beginning of a long text, for messages and reject files.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
