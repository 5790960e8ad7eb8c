//! Batches into the bytes of a binary COPY.

use std::sync::mpsc::{Receiver, SyncSender};

use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::SchemaRef;

use sallyport_protocol::FailureKind;

use super::cells::Cells;
use super::convert::{Demands, cells};
use super::places::Place;
use crate::postgres::value::Reason;
use crate::postgres::wire::{SIGNATURE, cut};
use crate::reject::{RejectFile, row_values};
use crate::{Context, Error};

/// Bytes that are sent at once.
pub(super) const BLOCK_BYTES: usize = 512 * 1024;

/// A CopyData message ends with the row that reaches this: the server holds a message in memory, best in its cache.
const MESSAGE_BYTES: usize = 64 * 1024;

/// Characters of a bad value that an error shows.
pub(super) const SHOWN_CHARS: usize = 100;

/// A message's tag and length.
const HEAD: usize = 5;

/// Ends the rows.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// Full blocks on their way to the thread that sends them, and empty ones on their way back.
pub(super) struct Blocks {
    block: Vec<u8>,
    /// Where in the block the last message starts.
    message: usize,
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
}

/// The thread that sends has ended; it says why.
pub(super) struct SenderGone;

impl Blocks {
    pub(super) fn new(full: SyncSender<Vec<u8>>, empty: Receiver<Vec<u8>>) -> Self {
        let mut block = fresh();
        block.extend_from_slice(&SIGNATURE);
        Self { block, message: 0, full, empty }
    }

    /// Ends the message, and the block, that a row has filled.
    #[inline]
    fn end_row(&mut self) -> Result<(), SenderGone> {
        if self.block.len() - self.message < MESSAGE_BYTES {
            return Ok(());
        }
        if self.block.len() >= BLOCK_BYTES {
            return self.ship();
        }
        self.seal()?;
        self.message = self.block.len();
        self.block.extend_from_slice(&[0; HEAD]);
        Ok(())
    }

    /// Writes the head of the last message.
    fn seal(&mut self) -> Result<(), SenderGone> {
        // The tag does not count in the length.
        let length = u32::try_from(self.block.len() - self.message - 1).map_err(|_| SenderGone)?;
        let head = &mut self.block[self.message..self.message + HEAD];
        head[0] = b'd';
        head[1..].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn ship(&mut self) -> Result<(), SenderGone> {
        self.seal()?;
        let next = match self.empty.try_recv() {
            Ok(mut block) if block.capacity() < 4 * BLOCK_BYTES => {
                block.truncate(HEAD);
                block
            }
            _ => fresh(),
        };
        self.message = 0;
        self.full.send(std::mem::replace(&mut self.block, next)).map_err(|_| SenderGone)
    }

    /// Sends what is left, and the end.
    pub(super) fn finish(mut self) -> Result<(), SenderGone> {
        self.block.extend_from_slice(&TRAILER);
        self.ship()
    }
}

fn fresh() -> Vec<u8> {
    let mut block = Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 8);
    block.resize(HEAD, 0);
    block
}

/// Writes batches into blocks, and bad rows into the reject file.
pub(super) struct Encoder<'a> {
    pub places: &'a [Place],
    pub schema: SchemaRef,
    pub doing: &'a str,
    pub rejects: Option<RejectFile>,
    /// Rows that came before the current batch.
    pub before: u64,
    /// Rows that were written.
    pub written: u64,
}

/// Why a batch was not taken.
pub(super) enum Stop {
    Sender(SenderGone),
    Failed(Error),
}

impl From<SenderGone> for Stop {
    fn from(gone: SenderGone) -> Self {
        Self::Sender(gone)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Encoder<'_> {
    pub(super) fn batch(&mut self, batch: &RecordBatch, blocks: &mut Blocks, cx: &Context) -> Result<(), Stop> {
        let columns = self.columns(batch)?;
        let count = (columns.len() as u16).to_be_bytes();
        let mut rejected = 0;
        for row in 0..batch.num_rows() {
            let start = blocks.block.len();
            blocks.block.extend_from_slice(&count);
            for (at, cells) in columns.iter().enumerate() {
                if let Err(reason) = cells.put(row, &mut blocks.block) {
                    blocks.block.truncate(start);
                    self.bad_row(batch, row, at, &reason)?;
                    rejected += 1;
                    break;
                }
            }
            blocks.end_row()?;
        }
        let written = batch.num_rows() as u64 - rejected;
        self.before += batch.num_rows() as u64;
        self.written += written;
        cx.progress.add_rows_out(written);
        cx.progress.add_rows_rejected(rejected);
        Ok(())
    }

    fn columns(&self, batch: &RecordBatch) -> Result<Vec<Cells>, Error> {
        let convert = |place: &Place| {
            let field = self.schema.field(place.index);
            let demands = Demands { required: place.required, check: self.rejects.is_some() };
            cells(batch.column(place.index), field, &place.kind, demands).map_err(|why| {
                let message = format!("{}: column `{}`: {why} to {}", self.doing, place.name, place.type_name);
                Error::permanent(FailureKind::Input, "columns_differ", message)
            })
        };
        self.places.iter().map(convert).collect()
    }

    #[cold]
    fn bad_row(&mut self, batch: &RecordBatch, row: usize, place: usize, reason: &Reason) -> Result<(), Error> {
        let number = self.before + row as u64 + 1;
        let Some(place) = self.places.get(place) else { return Ok(()) };
        if let Some(rejects) = &mut self.rejects {
            return rejects.reject(number, Some(&place.name), &reason.to_string(), &row_values(batch, row));
        }
        let value = shown(batch.column(place.index), row);
        let (code, message) = match reason {
            Reason::TooLarge(_) => ("value_too_large", reason.to_string()),
            _ => ("bad_value", format!("{reason}: {value}")),
        };
        let message = format!("{}: row {number}, column `{}` ({}): {message}", self.doing, place.name, place.type_name);
        Err(Error::permanent(FailureKind::Input, code, message)
            .advise("correct the row at its source, or set `on_bad_row: reject` with a `reject_file`"))
    }
}

/// A value as an error shows it.
fn shown(column: &arrow_array::ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    let options = FormatOptions::default();
    match ArrayFormatter::try_new(column, &options) {
        Ok(text) => format!("`{}`", cut(&text.value(row).to_string(), SHOWN_CHARS)),
        Err(_) => "(a value without a text)".to_owned(),
    }
}
