//! The taking side of a stream.

use std::collections::VecDeque;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::{BufMut, Bytes, BytesMut};
use sallyport_protocol::{CHECKPOINT_BYTES_MAX, Checkpoint};

use super::sender::{cost, encode_checkpoint};
use super::{BATCH_BYTES_MAX, Error, Totals, WINDOW_BYTES, batch, schema, shortened};
use crate::frame::{Frame, HEADER_BYTES, Kind, PREAMBLE, Parser, Writer};

/// Credit goes back in steps of this size, so that it costs few messages.
const CREDIT_STEP_BYTES: u64 = WINDOW_BYTES / 8;

/// A batch's payload and its metadata.
const PAYLOAD_BYTES_MAX: u32 = BATCH_BYTES_MAX as u32;

/// What came out of a stream, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// What the rows look like; first, once.
    Schema(SchemaRef),
    /// Rows, and what they took from the window: give it back with [`Receiver::consumed`].
    Batch(RecordBatch, u64),
    /// All rows up to the checkpoint have come, and what it took from the window.
    Mark(Checkpoint, u64),
    /// Every row has come; last.
    End,
}

/// Turns messages into a schema and batches, and consumption into credit.
pub struct Receiver {
    writer: Writer,
    parser: Parser,
    schema: Option<SchemaRef>,
    events: VecDeque<Event>,
    window: i128,
    owed: u64,
    totals: Totals,
    ended: bool,
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Receiver {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self {
            writer: Writer::new(),
            parser: Parser::new(PAYLOAD_BYTES_MAX),
            schema: None,
            events: VecDeque::new(),
            window: i128::from(WINDOW_BYTES),
            owed: 0,
            totals: Totals::default(),
            ended: false,
        }
    }

    /// What has come so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether every row has come.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Takes a message of the producer; what it completes waits in [`Receiver::next_event`].
    pub fn handle(&mut self, message: &[u8]) -> Result<(), Error> {
        let mut rest = message;
        while let Some(frame) = self.parser.next(&mut rest).map_err(Error::Garbled)? {
            if self.ended {
                return Err(Error::Garbled("more came after the end".to_owned()));
            }
            self.take(&frame)?;
        }
        if self.ended && !self.parser.at_boundary() {
            return Err(Error::Garbled("more came after the end".to_owned()));
        }
        Ok(())
    }

    /// The next of what has come.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Gives room back; now and then this makes a message for the producer.
    pub fn consumed(&mut self, bytes: u64) -> Option<Bytes> {
        self.owed = self.owed.saturating_add(bytes);
        if self.owed < CREDIT_STEP_BYTES || self.ended {
            return None;
        }
        let granted = std::mem::take(&mut self.owed);
        self.window += i128::from(granted);
        Some(self.answer(Kind::Credit, &granted.to_le_bytes()))
    }

    /// The message that says where the rows are to go on.
    pub fn resume(&mut self, checkpoint: Option<&Checkpoint>) -> Result<Bytes, Error> {
        let text = checkpoint.map_or_else(|| Ok(b"null".to_vec()), encode_checkpoint)?;
        Ok(self.answer(Kind::Resume, &text))
    }

    /// The message that says that everything was taken.
    pub fn done(&mut self) -> Bytes {
        self.answer(Kind::Done, &[])
    }

    /// The message that says that no more is taken and why.
    pub fn abort(&mut self, why: &str) -> Bytes {
        self.answer(Kind::Abort, shortened(why).as_bytes())
    }

    fn take(&mut self, frame: &Frame) -> Result<(), Error> {
        match (frame.kind, &self.schema) {
            (Kind::Schema, None) => {
                let schema = schema::decode(&frame.payload).map_err(Error::Garbled)?;
                self.schema = Some(SchemaRef::clone(&schema));
                self.events.push_back(Event::Schema(schema));
                Ok(())
            }
            (Kind::Batch, Some(schema)) => {
                if self.window <= 0 {
                    return Err(Error::Garbled("the producer sent more than it was allowed to".to_owned()));
                }
                let batch = batch::decode(&frame.payload, schema).map_err(Error::Garbled)?;
                let cost = cost(frame.payload.len());
                self.window -= i128::from(cost);
                self.totals.rows += batch.num_rows() as u64;
                self.totals.batches += 1;
                self.totals.bytes += (frame.payload.len() + HEADER_BYTES) as u64;
                self.events.push_back(Event::Batch(batch, cost));
                Ok(())
            }
            (Kind::Mark, Some(_)) => self.mark(&frame.payload),
            (Kind::End, Some(_)) => self.end(&frame.payload),
            (Kind::Abort, _) => Err(Error::Aborted(String::from_utf8_lossy(&frame.payload).into_owned())),
            (kind, _) => Err(Error::Garbled(format!("a {kind:?} frame came out of turn"))),
        }
    }

    fn mark(&mut self, payload: &[u8]) -> Result<(), Error> {
        if self.window <= 0 || payload.len() > CHECKPOINT_BYTES_MAX {
            return Err(Error::Garbled("the producer sent more than it was allowed to".to_owned()));
        }
        let checkpoint = serde_json::from_slice(payload);
        let checkpoint = checkpoint.map_err(|_| Error::Garbled("a mark without a checkpoint".to_owned()))?;
        let cost = cost(payload.len());
        self.window -= i128::from(cost);
        self.events.push_back(Event::Mark(checkpoint, cost));
        Ok(())
    }

    fn end(&mut self, payload: &[u8]) -> Result<(), Error> {
        let counts = payload.split_first_chunk::<8>().and_then(|(rows, rest)| {
            let batches = <[u8; 8]>::try_from(rest).ok()?;
            Some((u64::from_le_bytes(*rows), u64::from_le_bytes(batches)))
        });
        if counts != Some((self.totals.rows, self.totals.batches)) {
            return Err(Error::Garbled(format!(
                "the producer gave (rows, batches) {counts:?}, but {} and {} came",
                self.totals.rows, self.totals.batches
            )));
        }
        self.ended = true;
        self.events.push_back(Event::End);
        Ok(())
    }

    fn answer(&mut self, kind: Kind, payload: &[u8]) -> Bytes {
        let mut open = BytesMut::with_capacity(PREAMBLE.len() + HEADER_BYTES + payload.len());
        // Answers are at most `CHECKPOINT_BYTES_MAX` long.
        self.writer.header(kind, payload.len() as u32, &mut open);
        open.put_slice(payload);
        open.freeze()
    }
}
