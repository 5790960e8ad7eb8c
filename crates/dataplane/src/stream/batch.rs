//! One record batch as Arrow IPC, and back without trust.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc as ipc;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::writer::StreamEncoder;
use arrow_schema::{Schema, SchemaRef};

use super::Error;

/// Rows of one batch: more would let a few bytes stand for endless nulls.
const ROWS_MAX: i64 = 16 * 1024 * 1024;

/// The marker and length before a batch's metadata.
const PREFIX_BYTES: usize = 8;

/// Encodes the batches of one schema.
pub(super) struct Encoder(StreamEncoder);

impl Encoder {
    pub(super) fn new(schema: &SchemaRef) -> Result<Self, Error> {
        let mut encoder = StreamEncoder::try_new(schema).map_err(encode_failed)?;
        // The encoder puts its own schema message before its first batch; ours went ahead in a frame of its own.
        encoder.encode(&RecordBatch::new_empty(SchemaRef::clone(schema))).map_err(encode_failed)?;
        Ok(Self(encoder))
    }

    /// The message in pieces that share the batch's memory.
    pub(super) fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<Buffer>, Error> {
        self.0.encode(batch).map_err(encode_failed)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn encode_failed(error: arrow_schema::ArrowError) -> Error {
    Error::Encode(error.to_string())
}

/// Decodes a peer's batch in place and validates all of it: offsets, lengths, UTF-8.
pub(super) fn decode(payload: &Buffer, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let metadata_bytes = match payload.get(..PREFIX_BYTES) {
        Some(&[0xff, 0xff, 0xff, 0xff, l0, l1, l2, l3]) => u32::from_le_bytes([l0, l1, l2, l3]) as usize,
        _ => return Err("a batch does not begin as one".to_owned()),
    };
    let body_at = PREFIX_BYTES.saturating_add(metadata_bytes);
    let metadata = payload.get(PREFIX_BYTES..body_at).ok_or("a batch ends within its metadata")?;
    let body = payload.slice(body_at);
    let message = ipc::root_as_message(metadata).map_err(|error| format!("a batch cannot be read: {error}"))?;
    let batch = message.header_as_record_batch().ok_or("a batch frame holds no batch")?;
    within(&batch, body.len(), schema)?;
    let dictionaries = HashMap::new();
    // What `within` and Arrow's own validation leave unchecked in nested types ends in an assertion, not in bad memory.
    catch_unwind(AssertUnwindSafe(|| {
        RecordBatchDecoder::try_new(&body, batch, SchemaRef::clone(schema), &dictionaries, &message.version())?
            .with_require_alignment(false)
            .read_record_batch()
    }))
    .map_err(|_| "a batch contradicts itself".to_owned())?
    .map_err(|error| format!("a batch is not valid: {error}"))
}

/// Whether all that the metadata points to is there.
fn within(batch: &ipc::RecordBatch<'_>, body_bytes: usize, schema: &Schema) -> Result<(), String> {
    if batch.compression().is_some() {
        return Err("a batch is compressed".to_owned());
    }
    if !(0..=ROWS_MAX).contains(&batch.length()) {
        return Err(format!("a batch claims {} rows", batch.length()));
    }
    for buffer in batch.buffers().into_iter().flatten() {
        let inside = usize::try_from(buffer.offset())
            .ok()
            .zip(usize::try_from(buffer.length()).ok())
            .and_then(|(offset, length)| offset.checked_add(length))
            .is_some_and(|end| end <= body_bytes);
        if !inside {
            return Err("a column lies outside its batch".to_owned());
        }
    }
    let values_max = i64::try_from(body_bytes).unwrap_or(i64::MAX).saturating_mul(8).max(ROWS_MAX);
    for node in batch.nodes().into_iter().flatten() {
        if !(0..=values_max).contains(&node.length()) || !(0..=node.length()).contains(&node.null_count()) {
            return Err("a column claims more values than its batch can hold".to_owned());
        }
    }
    let views = batch.variadicBufferCounts().into_iter().flatten();
    let buffers = i64::try_from(batch.buffers().map_or(0, |buffers| buffers.len())).unwrap_or(i64::MAX);
    let mut columns = 0;
    for count in views {
        columns += 1;
        if !(0..=buffers).contains(&count) {
            return Err("a column claims more buffers than its batch has".to_owned());
        }
    }
    if columns != view_columns(schema) {
        return Err("a batch does not fit its schema".to_owned());
    }
    Ok(())
}

fn view_columns(schema: &Schema) -> usize {
    use arrow_schema::DataType;
    schema
        .flattened_fields()
        .into_iter()
        .filter(|field| matches!(field.data_type(), DataType::Utf8View | DataType::BinaryView))
        .count()
}
