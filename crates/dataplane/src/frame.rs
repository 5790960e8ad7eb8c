//! Frames: how a stream's parts are marked on the wire, whatever the messages that carry them.
//!
//! Each direction opens with [`PREAMBLE`], so that a hex dump explains itself. A frame is a header of 16 bytes (kind,
//! three zeros, number, payload length, check; little endian) and its payload. The check runs over all headers so far:
//! a part that was lost, repeated or put in another order is found at the next header.
//!
//! Invariant: no I/O and no trust. Any bytes give frames or an error, never a panic.

use arrow_buffer::{Buffer, MutableBuffer};
use bytes::{BufMut, BytesMut};

/// Magic and version of a stream of record batches.
pub(crate) const PREAMBLE: [u8; 16] = *b"sallyport/rows/1";

/// Bytes of a frame's header.
pub(crate) const HEADER_BYTES: usize = 16;

const CHECK_START: u32 = 0x811c_9dc5;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What the rows look like.
    Schema = 1,
    /// One record batch.
    Batch = 2,
    /// Every row was given: rows and batches as `u64`.
    End = 3,
    /// This side ends before its time: why, as UTF-8.
    Abort = 4,
    /// The consumer has room for that many more bytes, as `u64`.
    Credit = 5,
    /// The consumer has taken everything.
    Done = 6,
    /// All rows up to a checkpoint were given: the checkpoint as JSON.
    Mark = 7,
    /// The consumer says where to go on: a checkpoint as JSON, or `null` for the start.
    Resume = 8,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Schema, Self::Batch, Self::End, Self::Abort, Self::Credit, Self::Done, Self::Mark, Self::Resume]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// A whole frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// Aligned, so that record batches are decoded in place.
    pub(crate) payload: Buffer,
}

/// Numbers the frames of one direction and writes their headers.
#[derive(Debug)]
pub(crate) struct Writer {
    chain: Chain,
    opened: bool,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { chain: Chain::new(), opened: false }
    }

    /// Puts the next frame's header (before the first, the preamble too).
    pub(crate) fn header(&mut self, kind: Kind, payload_bytes: u32, into: &mut BytesMut) {
        if !self.opened {
            into.put_slice(&PREAMBLE);
            self.opened = true;
        }
        let mut head = [0; 12];
        head[0] = kind as u8;
        head[4..8].copy_from_slice(&self.chain.number.to_le_bytes());
        head[8..12].copy_from_slice(&payload_bytes.to_le_bytes());
        let check = self.chain.advance(&head);
        into.put_slice(&head);
        into.put_u32_le(check);
    }
}

/// Takes the bytes of one direction in any cut and gives its frames.
#[derive(Debug)]
pub(crate) struct Parser {
    chain: Chain,
    payload_max: u32,
    state: State,
    small: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Preamble,
    Header,
    Payload { kind: Kind, missing: usize, payload: MutableBuffer },
}

impl Parser {
    /// Refuses payloads over `payload_max`.
    pub(crate) fn new(payload_max: u32) -> Self {
        Self { chain: Chain::new(), payload_max, state: State::Preamble, small: Vec::with_capacity(HEADER_BYTES) }
    }

    /// Whether the bytes so far end between two frames.
    pub(crate) fn at_boundary(&self) -> bool {
        self.small.is_empty() && !matches!(self.state, State::Payload { .. })
    }

    /// Takes bytes from the front of `input` until a frame is whole; `None` when the input is used up.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, String> {
        loop {
            match &mut self.state {
                State::Preamble => {
                    let Some(bytes) = gather(&mut self.small, input) else { return Ok(None) };
                    if bytes != PREAMBLE {
                        return Err(format!("expected `sallyport/rows/1`, got `{}`", bytes.escape_ascii()));
                    }
                    self.state = State::Header;
                }
                State::Header => {
                    let Some(head) = gather(&mut self.small, input) else { return Ok(None) };
                    self.state = self.payload_state(&head)?;
                }
                State::Payload { kind, missing, payload } => {
                    let (now, rest) = input.split_at((*missing).min(input.len()));
                    payload.extend_from_slice(now);
                    *missing -= now.len();
                    *input = rest;
                    if *missing > 0 {
                        return Ok(None);
                    }
                    let frame = Frame { kind: *kind, payload: std::mem::take(payload).into() };
                    self.state = State::Header;
                    return Ok(Some(frame));
                }
            }
        }
    }

    fn payload_state(&mut self, head: &[u8; HEADER_BYTES]) -> Result<State, String> {
        let [kind, _, _, _, n0, n1, n2, n3, l0, l1, l2, l3, c0, c1, c2, c3] = *head;
        let expected = self.chain.number;
        let mut covered = [0; 12];
        covered.copy_from_slice(&head[..12]);
        if self.chain.advance(&covered) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(format!("bytes were lost or changed before frame {expected}"));
        }
        let number = u32::from_le_bytes([n0, n1, n2, n3]);
        if number != expected {
            return Err(format!("frame {number} came where frame {expected} was due"));
        }
        let kind = Kind::from_byte(kind).ok_or_else(|| format!("frame {number} is of the unknown kind {kind}"))?;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if length > self.payload_max {
            return Err(format!("frame {number} has {length} bytes, more than {}", self.payload_max));
        }
        let missing = length as usize;
        Ok(State::Payload { kind, missing, payload: MutableBuffer::with_capacity(missing) })
    }
}

/// Collects 16 bytes across cuts.
fn gather(small: &mut Vec<u8>, input: &mut &[u8]) -> Option<[u8; HEADER_BYTES]> {
    let (now, rest) = input.split_at((HEADER_BYTES - small.len()).min(input.len()));
    small.extend_from_slice(now);
    *input = rest;
    let whole = <[u8; HEADER_BYTES]>::try_from(small.as_slice()).ok()?;
    small.clear();
    Some(whole)
}

/// The running number and check (FNV-1a) of the headers of one direction.
#[derive(Debug)]
struct Chain {
    number: u32,
    check: u32,
}

impl Chain {
    fn new() -> Self {
        Self { number: 0, check: CHECK_START }
    }

    fn advance(&mut self, head: &[u8; 12]) -> u32 {
        self.number = self.number.wrapping_add(1);
        self.check = head.iter().fold(self.check, |check, byte| (check ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        self.check
    }
}
