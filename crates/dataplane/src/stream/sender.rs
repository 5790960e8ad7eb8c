//! The giving side of a stream.

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_schema::SchemaRef;
use bytes::{BufMut, Bytes, BytesMut};
use sallyport_protocol::{CHECKPOINT_BYTES_MAX, Checkpoint};

use super::batch::Encoder;
use super::{
    BATCH_BYTES_MAX, BATCH_COST_MIN, Error, MESSAGE_BYTES_MAX, SLICE_BYTES, Totals, WINDOW_BYTES, schema, shortened,
};
use crate::frame::{HEADER_BYTES, Kind, PREAMBLE, Parser, Writer};

/// Buffers from here on travel as messages of their own, without a copy.
const SHARED_BYTES_MIN: usize = 64 * 1024;

/// The largest payload of the back channel: a checkpoint.
const ANSWER_BYTES_MAX: u32 = CHECKPOINT_BYTES_MAX as u32;

/// What the consumer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is room for more.
    Credit,
    /// Everything was taken.
    Done,
    /// Where to go on: see [`Sender::take_resume`].
    Resume,
}

/// Turns a schema and batches into messages, and answers into credit.
pub struct Sender {
    writer: Writer,
    parser: Parser,
    encoder: Option<Encoder>,
    credit: i128,
    totals: Totals,
    ended: bool,
    resume: Option<Option<Checkpoint>>,
}

impl Default for Sender {
    fn default() -> Self {
        Self::new()
    }
}

impl Sender {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self {
            writer: Writer::new(),
            parser: Parser::new(ANSWER_BYTES_MAX),
            encoder: None,
            credit: i128::from(WINDOW_BYTES),
            totals: Totals::default(),
            ended: false,
            resume: None,
        }
    }

    /// What was sent so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether the consumer has room for the next batch.
    pub fn has_credit(&self) -> bool {
        self.credit > 0
    }

    /// The first messages: what the rows look like.
    pub fn start(&mut self, schema: &SchemaRef) -> Result<Vec<Bytes>, Error> {
        let message = schema::encode(schema)?;
        self.encoder = Some(Encoder::new(schema)?);
        self.small(Kind::Schema, &message)
    }

    /// The messages of one of a batch's [`slices`]; only while [`Sender::has_credit`].
    pub fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<Bytes>, Error> {
        let encoder = self.encoder.as_mut().ok_or_else(|| Error::Encode("the schema was not sent".to_owned()))?;
        let pieces = encoder.encode(batch)?;
        let bytes: usize = pieces.iter().map(Buffer::len).sum();
        let length = u32::try_from(bytes).ok().filter(|_| bytes <= BATCH_BYTES_MAX);
        let length = length.ok_or(Error::BatchTooLarge { bytes })?;
        let mut messages = Vec::new();
        let mut open = BytesMut::with_capacity(open_bytes(&pieces));
        self.writer.header(Kind::Batch, length, &mut open);
        for piece in pieces {
            put_piece(piece, &mut open, &mut messages);
        }
        messages.push(open.freeze());
        messages.retain(|message| !message.is_empty());
        self.totals.rows += batch.num_rows() as u64;
        self.totals.batches += 1;
        self.totals.bytes += (bytes + HEADER_BYTES) as u64;
        self.credit -= i128::from(cost(bytes));
        Ok(messages)
    }

    /// The messages of a mark; takes room from the window, as a batch does.
    pub fn mark(&mut self, checkpoint: &Checkpoint) -> Result<Vec<Bytes>, Error> {
        let text = encode_checkpoint(checkpoint)?;
        self.credit -= i128::from(cost(text.len()));
        self.small(Kind::Mark, &text)
    }

    /// Where the consumer wants the rows to go on, once it has said so.
    pub fn take_resume(&mut self) -> Option<Option<Checkpoint>> {
        self.resume.take()
    }

    /// The last messages: every row was given.
    pub fn end(&mut self) -> Result<Vec<Bytes>, Error> {
        self.ended = true;
        let mut payload = [0; 16];
        payload[..8].copy_from_slice(&self.totals.rows.to_le_bytes());
        payload[8..].copy_from_slice(&self.totals.batches.to_le_bytes());
        self.small(Kind::End, &payload)
    }

    /// The last message of a stream that ends before its time.
    pub fn abort(&mut self, why: &str) -> Result<Vec<Bytes>, Error> {
        self.small(Kind::Abort, shortened(why).as_bytes())
    }

    /// Takes a message of the consumer; gives its last answer, if it holds a whole one.
    pub fn handle(&mut self, message: &[u8]) -> Result<Option<Answer>, Error> {
        let mut rest = message;
        let mut last = None;
        while let Some(frame) = self.parser.next(&mut rest).map_err(Error::Garbled)? {
            last = Some(match frame.kind {
                Kind::Credit => {
                    let bytes = <[u8; 8]>::try_from(frame.payload.as_slice())
                        .map_err(|_| Error::Garbled("credit without a number".to_owned()))?;
                    self.credit += i128::from(u64::from_le_bytes(bytes));
                    Answer::Credit
                }
                Kind::Done if self.ended => return Ok(Some(Answer::Done)),
                Kind::Done => return Err(Error::Garbled("the consumer was done before the end".to_owned())),
                Kind::Abort => return Err(Error::Aborted(String::from_utf8_lossy(&frame.payload).into_owned())),
                Kind::Resume => {
                    let said = serde_json::from_slice(frame.payload.as_slice());
                    self.resume = Some(said.map_err(|_| Error::Garbled("a resume without a checkpoint".to_owned()))?);
                    Answer::Resume
                }
                Kind::Schema | Kind::Batch | Kind::Mark | Kind::End => {
                    return Err(Error::Garbled("the consumer sends rows".to_owned()));
                }
            });
        }
        Ok(last)
    }

    fn small(&mut self, kind: Kind, payload: &[u8]) -> Result<Vec<Bytes>, Error> {
        let length = u32::try_from(payload.len()).map_err(|_| Error::Encode("a frame is too long".to_owned()))?;
        let mut open = BytesMut::with_capacity(PREAMBLE.len() + HEADER_BYTES + payload.len());
        self.writer.header(kind, length, &mut open);
        open.put_slice(payload);
        let mut whole = open.freeze();
        let mut messages = Vec::with_capacity(1);
        while whole.len() > MESSAGE_BYTES_MAX {
            messages.push(whole.split_to(MESSAGE_BYTES_MAX));
        }
        messages.push(whole);
        Ok(messages)
    }
}

/// A batch halved by rows until each part has at most [`SLICE_BYTES`] or a single row; the parts share its memory.
pub fn slices(batch: RecordBatch) -> Vec<RecordBatch> {
    let mut slices = Vec::new();
    let mut left = vec![batch];
    while let Some(batch) = left.pop() {
        let rows = batch.num_rows();
        if rows > 1 && crate::edge::payload_bytes(&batch) > SLICE_BYTES {
            let half = rows / 2;
            left.push(batch.slice(half, rows - half));
            left.push(batch.slice(0, half));
        } else {
            slices.push(batch);
        }
    }
    slices
}

/// A checkpoint as it travels.
pub(super) fn encode_checkpoint(checkpoint: &Checkpoint) -> Result<Vec<u8>, Error> {
    let text = serde_json::to_vec(checkpoint).map_err(|error| Error::Encode(error.to_string()))?;
    if text.len() > CHECKPOINT_BYTES_MAX {
        return Err(Error::Encode(format!(
            "a checkpoint of {} bytes, the limit is {CHECKPOINT_BYTES_MAX}",
            text.len()
        )));
    }
    Ok(text)
}

/// What a batch takes from the window.
pub(super) fn cost(payload_bytes: usize) -> u64 {
    (payload_bytes as u64).max(BATCH_COST_MIN)
}

/// Room for the small pieces of a batch, which are gathered.
fn open_bytes(pieces: &[Buffer]) -> usize {
    let small: usize = pieces.iter().map(Buffer::len).filter(|length| *length < SHARED_BYTES_MIN).sum();
    PREAMBLE.len() + HEADER_BYTES + small.min(MESSAGE_BYTES_MAX)
}

fn put_piece(piece: Buffer, open: &mut BytesMut, messages: &mut Vec<Bytes>) {
    if piece.len() < SHARED_BYTES_MIN {
        if open.len() + piece.len() > MESSAGE_BYTES_MAX {
            messages.push(open.split().freeze());
        }
        open.put_slice(&piece);
        return;
    }
    messages.push(open.split().freeze());
    let mut shared = Bytes::from_owner(Shared(piece));
    while !shared.is_empty() {
        messages.push(shared.split_to(shared.len().min(MESSAGE_BYTES_MAX)));
    }
}

/// Lends an Arrow buffer's memory to a message.
struct Shared(Buffer);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
