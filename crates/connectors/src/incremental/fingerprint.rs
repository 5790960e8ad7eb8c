//! Rows told apart by what is in them.

use std::collections::HashMap;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use sallyport_protocol::FailureKind;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::text::cell::Cell;

/// Enough that two of the few rows that are compared do not meet by chance.
const FINGERPRINT_BYTES: usize = 12;

/// A fingerprint of each row: the same for the same values.
pub(crate) fn fingerprints(batch: &RecordBatch) -> Result<Vec<String>, Error> {
    let schema = batch.schema_ref();
    let mut cells = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        cells.push(Cell::new(field, column.as_ref()).ok_or_else(|| unknown(field.name()))?);
    }
    let mut value = Vec::new();
    let mut all = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let mut digest = Sha256::new();
        for (cell, field) in cells.iter().zip(schema.fields()) {
            if cell.is_null(row) {
                digest.update([0]);
                continue;
            }
            value.clear();
            cell.write(row, &mut value).map_err(|_| unknown(field.name()))?;
            if field.data_type().is_floating() {
                as_integer(&mut value);
            }
            digest.update([1]);
            digest.update((value.len() as u64).to_le_bytes());
            digest.update(&value);
        }
        all.push(digest.finalize().iter().take(FINGERPRINT_BYTES).map(|byte| format!("{byte:02x}")).collect());
    }
    Ok(all)
}

/// A whole number is spelt like an integer: a column without a declared type may have held only integers before.
fn as_integer(value: &mut Vec<u8>) {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<f64>().ok());
    let Some(number) = number.filter(|number| number.fract() == 0.0 && number.abs() <= EXACT_MAX) else { return };
    value.clear();
    #[expect(clippy::cast_possible_truncation, reason = "whole and small enough")]
    value.extend_from_slice((number as i64).to_string().as_bytes());
}

/// The rows of one cursor value that were read before.
pub(crate) struct Ties {
    counts: HashMap<String, u32>,
}

impl Ties {
    pub(crate) fn new(fingerprints: &[String]) -> Self {
        let mut counts = HashMap::new();
        for fingerprint in fingerprints {
            *counts.entry(fingerprint.clone()).or_default() += 1;
        }
        Self { counts }
    }

    /// The rows that were not read before.
    pub(crate) fn without(&mut self, batch: &RecordBatch) -> Result<RecordBatch, Error> {
        let fresh: BooleanArray = fingerprints(batch)?.iter().map(|one| Some(!self.take(one))).collect();
        filter_record_batch(batch, &fresh)
            .map_err(|error| Error::permanent(FailureKind::Runtime, "batch", error.to_string()))
    }

    fn take(&mut self, fingerprint: &str) -> bool {
        match self.counts.get_mut(fingerprint) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }
}

fn unknown(column: &str) -> Error {
    let why = format!("column `{column}` has values that cannot be compared");
    Error::permanent(FailureKind::Connector, "unsupported_type", why).advise("leave the column out, or cast it to text")
}
