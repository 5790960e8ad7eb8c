//! What one end of a line has said and heard: a value without I/O.
//!
//! A message of more than [`SMALL_BYTES`] is data as it is, so that nothing large is copied; a smaller one begins with a
//! byte that says what it is.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes that wait for the peer's word at most, beside one message. Above what the credits of a stream of rows let
/// pass, so that they are what holds a producer back.
pub const KEPT_BYTES_MAX: usize = 80 * 1024 * 1024;

/// The peer hears after this many bytes that they have come: often enough that little is kept, and costs nothing.
const TOLD_BYTES: usize = 256 * 1024;

/// The same, for small messages.
const TOLD_MESSAGES: u64 = 64;

/// The longest message that begins with its kind.
const SMALL_BYTES: usize = 32;

const MAGIC: &[u8; 16] = b"sallyport/line/1";

const DATA: u8 = 0;
const HAVE: u8 = 1;
const END: u8 = 2;
const HELLO: u8 = 3;

/// The peer says what makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Garbled(pub String);

/// What a message was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Bytes of the stream, each once and in order.
    Data(Bytes),
    /// Something between the two ends.
    Nothing,
}

/// One end of a line.
#[derive(Debug, Default)]
pub struct Ends {
    /// What the peer has not said it has; the first of them has the number `first`.
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
    first: u64,
    /// The number that goes out next on this connection; none before the peer has said what it waits for.
    next: Option<u64>,
    said_hello: bool,
    /// The stream gives nothing more.
    ended: bool,
    said_end: bool,
    /// How many messages of the peer have come.
    have: u64,
    told: u64,
    untold_bytes: usize,
    peer_ended: bool,
}

impl Ends {
    /// Before the first connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new connection begins.
    pub fn connect(&mut self) {
        self.next = None;
        self.said_hello = false;
        self.said_end = false;
    }

    /// Whether the stream may give more.
    pub fn has_room(&self) -> bool {
        self.kept_bytes < KEPT_BYTES_MAX
    }

    /// Takes a message of the stream.
    pub fn give(&mut self, mut bytes: Bytes) {
        // One of just this length would be too long with its kind and too short without.
        if bytes.len() == SMALL_BYTES {
            self.keep(bytes.split_to(SMALL_BYTES / 2));
        }
        self.keep(bytes);
    }

    /// The stream gives nothing more.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Whether the stream gives nothing more.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the peer has said all.
    pub fn peer_has_ended(&self) -> bool {
        self.peer_ended
    }

    /// Whether both have said all, or this one has and the peer has it.
    pub fn is_over(&self) -> bool {
        self.ended && self.said_end && (self.peer_ended || self.kept.is_empty())
    }

    /// The next message for this connection.
    pub fn next_message(&mut self) -> Option<Bytes> {
        if !self.said_hello {
            self.said_hello = true;
            self.told = self.have;
            self.untold_bytes = 0;
            return Some(number(HELLO, Some(MAGIC), self.have));
        }
        let next = self.next?;
        let behind = self.have - self.told;
        if behind > 0 && (self.peer_ended || behind >= TOLD_MESSAGES || self.untold_bytes >= TOLD_BYTES) {
            self.told = self.have;
            self.untold_bytes = 0;
            return Some(number(HAVE, None, self.have));
        }
        let at = usize::try_from(next - self.first).unwrap_or(usize::MAX);
        if let Some(bytes) = self.kept.get(at) {
            self.next = Some(next + 1);
            return Some(if bytes.len() > SMALL_BYTES { bytes.clone() } else { small(DATA, bytes) });
        }
        if self.ended && !self.said_end {
            self.said_end = true;
            return Some(small(END, &[]));
        }
        None
    }

    /// Takes a message of the peer.
    ///
    /// # Errors
    /// It is none, or the peer waits for what is no longer kept: this connection is of no use.
    pub fn hear(&mut self, mut message: Bytes) -> Result<Heard, Garbled> {
        if message.len() > SMALL_BYTES {
            return self.data(message);
        }
        let kind = message.first().copied().ok_or_else(|| garbled("an empty message"))?;
        let rest = message.split_off(1);
        match kind {
            DATA => return self.data(rest),
            // It cannot have what was not sent to it.
            HAVE if self.next.is_some_and(|next| read(&rest).is_ok_and(|have| have <= next)) => {
                self.forget(read(&rest)?)?;
            }
            END if self.next.is_some() => self.peer_ended = true,
            HELLO if self.next.is_none() => {
                let from = rest.strip_prefix(MAGIC).ok_or_else(|| garbled("the peer speaks of no line"))?;
                let from = read(from)?;
                self.forget(from)?;
                self.next = Some(from);
            }
            _ => return Err(garbled("a message out of turn")),
        }
        Ok(Heard::Nothing)
    }

    fn data(&mut self, bytes: Bytes) -> Result<Heard, Garbled> {
        if self.next.is_none() || self.peer_ended {
            return Err(garbled("data out of turn"));
        }
        self.have += 1;
        self.untold_bytes += bytes.len();
        Ok(Heard::Data(bytes))
    }

    fn keep(&mut self, bytes: Bytes) {
        self.kept_bytes += bytes.len();
        self.kept.push_back(bytes);
    }

    /// The peer has all before `number`.
    fn forget(&mut self, number: u64) -> Result<(), Garbled> {
        let behind = self.first + self.kept.len() as u64;
        if number < self.first || number > behind {
            let first = self.first;
            return Err(garbled(&format!("the peer waits for message {number}, kept are {first} to {behind}")));
        }
        while self.first < number {
            self.kept_bytes -= self.kept.pop_front().map_or(0, |bytes| bytes.len());
            self.first += 1;
        }
        Ok(())
    }
}

fn small(kind: u8, rest: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(1 + rest.len());
    message.put_u8(kind);
    message.put_slice(rest);
    message.freeze()
}

fn number(kind: u8, before: Option<&[u8; 16]>, number: u64) -> Bytes {
    let mut message = BytesMut::with_capacity(SMALL_BYTES);
    message.put_u8(kind);
    message.put_slice(before.map_or(&[][..], |magic| &magic[..]));
    message.put_u64_le(number);
    message.freeze()
}

fn read(bytes: &[u8]) -> Result<u64, Garbled> {
    let bytes = <[u8; 8]>::try_from(bytes).map_err(|_| garbled("a message without its number"))?;
    Ok(u64::from_le_bytes(bytes))
}

fn garbled(what: &str) -> Garbled {
    Garbled(format!("the line between the two ends is garbled: {what}"))
}
