//! An Arrow IPC stream from a program outside our hands: bounded, and read as a peer's rows are, without trust.

use std::io::{ErrorKind, Read};

use arrow_array::RecordBatch;
use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc as ipc;
use arrow_schema::SchemaRef;

use super::{BATCH_BYTES_MAX, batch, schema};

/// The largest metadata of one message: thousands of columns have less.
pub const METADATA_BYTES_MAX: usize = 1024 * 1024;

/// Memory is taken in steps of this size, as the bytes come: a length alone costs nothing.
const STEP_BYTES: usize = 1024 * 1024;

/// The marker and the length before each message's metadata.
const PREFIX_BYTES: usize = 8;

/// Why a stream cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It ended early, or is no Arrow stream, or one with parts that are not taken.
    #[error("{0}")]
    Broken(String),
    /// A batch is larger than [`BATCH_BYTES_MAX`].
    #[error("a batch of {bytes} bytes; the limit is {BATCH_BYTES_MAX}")]
    BatchTooLarge {
        /// What it says it has.
        bytes: u64,
    },
}

/// Reads one stream.
pub struct Reader<R> {
    inner: R,
    schema: SchemaRef,
}

impl<R: Read> Reader<R> {
    /// Reads what the rows look like.
    pub fn open(mut inner: R) -> Result<Self, Error> {
        let metadata_bytes = prefix(&mut inner)?.ok_or_else(|| broken("it ended before its schema"))?;
        let mut message = MutableBuffer::new(metadata_bytes);
        fill(&mut inner, &mut message, metadata_bytes)?;
        let schema = schema::decode(&message.into()).map_err(Error::Broken)?;
        Ok(Self { inner, schema })
    }

    /// What the rows look like.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next batch, `None` after the last.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, Error> {
        let Some(metadata_bytes) = prefix(&mut self.inner)? else { return Ok(None) };
        let mut message = MutableBuffer::new(PREFIX_BYTES + metadata_bytes);
        message.extend_from_slice(&[0xff_u8; 4]);
        message.extend_from_slice(&(metadata_bytes as u32).to_le_bytes());
        fill(&mut self.inner, &mut message, metadata_bytes)?;
        let body_bytes = body_bytes(&message[PREFIX_BYTES..])?;
        fill(&mut self.inner, &mut message, body_bytes)?;
        let message: Buffer = message.into();
        batch::decode(&message, &self.schema).map(Some).map_err(Error::Broken)
    }
}

/// The length of the next message's metadata; `None` at the stream's end mark.
fn prefix(inner: &mut impl Read) -> Result<Option<usize>, Error> {
    let mut prefix = [0; PREFIX_BYTES];
    inner.read_exact(&mut prefix).map_err(|error| ended(&error))?;
    let [0xff, 0xff, 0xff, 0xff, l0, l1, l2, l3] = prefix else {
        return Err(broken("a message does not begin as one"));
    };
    match u32::from_le_bytes([l0, l1, l2, l3]) as usize {
        0 => Ok(None),
        bytes if bytes <= METADATA_BYTES_MAX => Ok(Some(bytes)),
        bytes => Err(Error::Broken(format!("a message has {bytes} bytes of metadata, more than {METADATA_BYTES_MAX}"))),
    }
}

fn body_bytes(metadata: &[u8]) -> Result<usize, Error> {
    let message =
        ipc::root_as_message(metadata).map_err(|error| Error::Broken(format!("a message cannot be read: {error}")))?;
    if message.header_as_dictionary_batch().is_some() {
        return Err(broken("it has a dictionary; give the column's plain values"));
    }
    let bytes = u64::try_from(message.bodyLength()).map_err(|_| broken("a message has a negative length"))?;
    let length = usize::try_from(bytes).ok().filter(|bytes| *bytes <= BATCH_BYTES_MAX);
    length.ok_or(Error::BatchTooLarge { bytes })
}

/// Appends so many bytes.
fn fill(inner: &mut impl Read, message: &mut MutableBuffer, bytes: usize) -> Result<(), Error> {
    let end = message.len() + bytes;
    while message.len() < end {
        let start = message.len();
        message.resize(end.min(start + STEP_BYTES), 0);
        inner.read_exact(&mut message.as_slice_mut()[start..]).map_err(|error| ended(&error))?;
    }
    Ok(())
}

fn ended(error: &std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => broken("it ended early"),
        _ => Error::Broken(error.to_string()),
    }
}

fn broken(why: &str) -> Error {
    Error::Broken(why.to_owned())
}

#[cfg(test)]
mod tests;
