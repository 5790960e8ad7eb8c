//! Rows of binary COPY into batches.

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};

use sallyport_protocol::FailureKind;

use super::column::Column;
use super::plan::Plan;
use super::too_large;
use crate::postgres::value::Reason;
use crate::postgres::wire::SIGNATURE;
use crate::{Error, VALUE_BYTES_MAX};

/// A batch ends with this many rows ...
const BATCH_ROWS_MAX: usize = 32 * 1024;

/// ... or with rows of this many bytes, whichever is first.
const BATCH_BYTES: usize = 1024 * 1024;

/// Rows the first batch makes room for.
const FIRST_ROWS: usize = 1024;

/// The bytes in front of a row: the message's tag and length.
const HEAD: usize = 5;

/// Fills batches.
pub(crate) struct Decoder<'a> {
    plan: &'a Plan,
    schema: SchemaRef,
    columns: Vec<Column>,
    /// In the batch that is being filled.
    rows: usize,
    bytes: usize,
    /// In batches that were given; `None` where others read rows of the table too, so that a number says nothing.
    given: Option<u64>,
    /// Whether the signature in front of the first row has passed.
    signed: bool,
}

/// What is wrong with a row, and in which column.
struct Bad {
    column: usize,
    reason: Reason,
}

impl<'a> Decoder<'a> {
    /// Of all the rows.
    pub(crate) fn new(plan: &'a Plan) -> Self {
        Self::with(plan, Some(0))
    }

    /// Of some of the rows.
    pub(crate) fn of_part(plan: &'a Plan) -> Self {
        Self::with(plan, None)
    }

    fn with(plan: &'a Plan, given: Option<u64>) -> Self {
        let columns = plan.columns.iter().map(|column| Column::new(&column.kind, FIRST_ROWS)).collect();
        Self { plan, schema: plan.schema(), columns, rows: 0, bytes: 0, given, signed: false }
    }

    /// The next COPY starts with its own signature.
    pub(crate) fn restart(&mut self) {
        self.signed = false;
    }

    /// Takes whole messages, a row each, and gives every batch that is full.
    pub(crate) fn block(
        &mut self,
        mut block: &[u8],
        give: &mut dyn FnMut(RecordBatch) -> Result<(), Error>,
    ) -> Result<(), Error> {
        while let Some((head, _)) = block.split_first_chunk::<HEAD>() {
            let size = 1 + u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let Some((message, rest)) = block.split_at_checked(size) else { break };
            block = rest;
            let mut row = &message[HEAD..];
            if !self.signed {
                row = self.unsigned(row)?;
            }
            self.row(row).map_err(|bad| self.bad(&bad))?;
            if self.bytes >= BATCH_BYTES || self.rows >= BATCH_ROWS_MAX {
                self.finish(give)?;
            }
        }
        Ok(())
    }

    /// The part of the first message that is its row; servers may send the signature alone.
    fn unsigned<'b>(&mut self, message: &'b [u8]) -> Result<&'b [u8], Error> {
        self.signed = true;
        message.strip_prefix(&SIGNATURE).ok_or_else(|| {
            Error::permanent(FailureKind::Connector, "protocol", format!("{}: no binary COPY", self.plan.what))
        })
    }

    #[inline]
    fn row(&mut self, row: &[u8]) -> Result<(), Bad> {
        // No row: the signature stood alone. A count of -1: the end.
        let Some((count, mut rest)) = row.split_first_chunk::<2>() else { return Ok(()) };
        let count = i16::from_be_bytes(*count);
        if count < 0 {
            return Ok(());
        }
        let malformed = |column| Bad { column, reason: Reason::Malformed };
        if usize::from(count.unsigned_abs()) != self.columns.len() {
            return Err(malformed(0));
        }
        for (at, column) in self.columns.iter_mut().enumerate() {
            let (length, after) = rest.split_first_chunk::<4>().ok_or_else(|| malformed(at))?;
            let length = i32::from_be_bytes(*length);
            if length < 0 {
                column.push_null();
                rest = after;
                continue;
            }
            let length = length as usize;
            if length > VALUE_BYTES_MAX {
                return Err(Bad { column: at, reason: Reason::TooLarge(length as u64) });
            }
            let (value, after) = after.split_at_checked(length).ok_or_else(|| malformed(at))?;
            column.push(value).map_err(|reason| Bad { column: at, reason })?;
            rest = after;
        }
        self.rows += 1;
        self.bytes += row.len();
        Ok(())
    }

    /// Gives what has been gathered.
    pub(crate) fn finish(&mut self, give: &mut dyn FnMut(RecordBatch) -> Result<(), Error>) -> Result<(), Error> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut arrays = Vec::with_capacity(self.columns.len());
        for at in 0..self.columns.len() {
            match self.columns[at].take() {
                Ok(array) => arrays.push(array),
                Err(error) => return Err(self.unbuilt(at, &error)),
            }
        }
        let batch =
            RecordBatch::try_new(SchemaRef::clone(&self.schema), arrays).map_err(|error| self.unbuilt(0, &error))?;
        self.given = self.given.map(|given| given + self.rows as u64);
        self.rows = 0;
        self.bytes = 0;
        give(batch)
    }

    fn bad(&self, bad: &Bad) -> Error {
        let row = self.given.map(|given| given + self.rows as u64 + 1);
        if let Reason::TooLarge(bytes) = bad.reason {
            let name = self.plan.columns.get(bad.column).map_or("?", |column| column.name.as_str());
            return too_large(&self.plan.what, name, row, bytes);
        }
        self.plan.bad_value(row, bad.column, &bad.reason.to_string())
    }

    /// A column whose values do not make an array: text that is not UTF-8, from a database without an encoding.
    fn unbuilt(&self, column: usize, error: &ArrowError) -> Error {
        let first = self.given.map(|given| given + 1);
        self.plan
            .bad_value(first, column, &format!("in this or one of the next {} rows: {error}", self.rows))
            .advise("if the database's encoding is SQL_ASCII, read the column as bytea with convert_to in `query`")
    }
}
