//! The two halves of a line: what comes, and what is said.

use std::future::{Future, poll_fn};
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::Poll;

use sallyport_protocol::{TUNNEL_WORD_BYTES_MAX, TunnelWord};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};

use super::frame::{self, HEAD_BYTES_MAX, Head, Kind};
use crate::bulk::{Room, Sizes};

/// Bytes of a TLS record.
const RECORD_BYTES: usize = 16 * 1024;

/// The most bytes that are sent at once: with their frame's head they fill one, four or sixteen TLS records, so that none
/// leaves almost empty.
pub(super) const CHUNKS: Sizes =
    Sizes { few: RECORD_BYTES - 8, many: 4 * RECORD_BYTES - 8, bulk: 16 * RECORD_BYTES - HEAD_BYTES_MAX };

/// What TLS may hold of what is sent, so that all of it leaves in one piece.
pub const TLS_BYTES: usize = 16 * RECORD_BYTES;

/// Behind a frame's bytes there is room for the head of the next.
const NEXT_BYTES: usize = 64;

/// Fewer bytes wait for those that are there behind them.
const GATHER_BYTES: usize = 8 * 1024;

/// Enough for a word while nothing flows.
const REST_BYTES: usize = 512;

/// What a line runs over: TLS, or what TLS was made of before the server took it over.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// An open line.
pub struct Line {
    /// What comes.
    pub reader: Reader,
    /// What is said.
    pub writer: Writer,
}

/// What comes on a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Bytes of a stream: where in the buffer, see [`Reader::bytes`].
    Data(Range<usize>),
    /// A word.
    Word(TunnelWord),
    /// A sign of life.
    Beat,
    /// The end of the line.
    Closed,
}

/// The reading half.
pub struct Reader {
    io: ReadHalf<Box<dyn Io>>,
    buffer: Vec<u8>,
    /// What was read and not yet taken.
    unread: Range<usize>,
    /// Of the frame of bytes that is being read.
    left: u64,
    taken: u64,
    mask: [u8; 4],
    /// Met while reading ahead.
    failed: Option<io::Error>,
    room: Room,
}

/// The writing half.
pub struct Writer {
    io: WriteHalf<Box<dyn Io>>,
    /// Whether this side is the WebSocket's client.
    masked: bool,
    /// Whether a frame was begun that may not be whole.
    torn: bool,
}

impl Line {
    /// A line over an upgraded connection; `rest` was read from it already. The side that dialled is the client.
    pub fn new(io: impl Io + 'static, rest: &[u8], client: bool) -> Self {
        let io: Box<dyn Io> = Box::new(io);
        let (reading, writing) = tokio::io::split(io);
        let mut buffer = vec![0; HEAD_BYTES_MAX + REST_BYTES.max(rest.len())];
        buffer[HEAD_BYTES_MAX..HEAD_BYTES_MAX + rest.len()].copy_from_slice(rest);
        let unread = HEAD_BYTES_MAX..HEAD_BYTES_MAX + rest.len();
        let room = Room::new(CHUNKS);
        let reader = Reader { io: reading, buffer, unread, left: 0, taken: 0, mask: [0; 4], failed: None, room };
        Self { reader, writer: Writer { io: writing, masked: client, torn: false } }
    }

    /// Who is on its other side, in words: only the server is dialled.
    pub(super) fn peer(&self) -> &'static str {
        if self.writer.masked { "the server" } else { "the agent" }
    }
}

impl Reader {
    /// The next thing that comes. May be dropped while it waits: nothing is lost.
    pub async fn next(&mut self) -> io::Result<Event> {
        loop {
            // A few bytes in front of many would be passed on as a frame of their own.
            if self.left > self.unread.len() as u64 && (1..GATHER_BYTES).contains(&self.unread.len()) {
                self.make_room();
                self.read_ready().await;
            }
            if let Some(event) = self.take()? {
                return Ok(event);
            }
            self.make_room();
            if let Some(failed) = self.failed.take() {
                return Err(failed);
            }
            let space = self.buffer.get_mut(self.unread.end..).unwrap_or_default();
            match self.io.read(space).await? {
                0 => return Ok(Event::Closed),
                count => self.unread.end += count,
            }
            self.read_ready().await;
            self.widen();
        }
    }

    /// Makes more room for the next bytes, where these have filled it.
    fn widen(&mut self) {
        if self.buffer.len() >= self.wanted() {
            self.room.note(self.unread.end == self.buffer.len());
            self.grow();
        }
    }

    fn wanted(&self) -> usize {
        HEAD_BYTES_MAX + self.room.bytes() + NEXT_BYTES
    }

    /// Moves what is unread to the front of the buffer, behind the place for a head.
    fn make_room(&mut self) {
        if self.unread.start > HEAD_BYTES_MAX {
            let length = self.unread.len();
            self.buffer.copy_within(self.unread.clone(), HEAD_BYTES_MAX);
            self.unread = HEAD_BYTES_MAX..HEAD_BYTES_MAX + length;
        }
    }

    /// Reads what is there already, without waiting: TLS gives its records one by one.
    async fn read_ready(&mut self) {
        poll_fn(|context| {
            while self.failed.is_none() && self.unread.end < self.buffer.len() {
                let mut space = ReadBuf::new(self.buffer.get_mut(self.unread.end..).unwrap_or_default());
                match Pin::new(&mut self.io).poll_read(context, &mut space) {
                    Poll::Ready(Ok(())) if space.filled().is_empty() => break,
                    Poll::Ready(Ok(())) => self.unread.end += space.filled().len(),
                    Poll::Ready(Err(error)) => self.failed = Some(error),
                    Poll::Pending => break,
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Bytes that [`Event::Data`] named.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    /// The same bytes as a whole frame for another line: its head takes the place of what stood before them.
    pub(super) fn framed(&mut self, range: Range<usize>, masked: bool) -> &[u8] {
        framed(&mut self.buffer, range, masked)
    }

    /// Makes room for a stream.
    pub fn grow(&mut self) {
        let wanted = self.wanted();
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
    }

    /// Gives the room back. What was read already stays.
    pub(super) fn shrink(&mut self) {
        self.room.rest();
        self.fit(HEAD_BYTES_MAX + REST_BYTES);
    }

    fn fit(&mut self, bytes: usize) {
        let unread = self.buffer.get(self.unread.clone()).unwrap_or_default();
        if self.left > 0 || unread.len() > REST_BYTES || self.buffer.len() <= bytes {
            return;
        }
        let mut buffer = vec![0; bytes];
        buffer[HEAD_BYTES_MAX..HEAD_BYTES_MAX + unread.len()].copy_from_slice(unread);
        self.unread = HEAD_BYTES_MAX..HEAD_BYTES_MAX + unread.len();
        self.buffer = buffer;
    }

    /// What the buffer holds already.
    fn take(&mut self) -> io::Result<Option<Event>> {
        if self.left > 0 {
            return Ok(self.take_data());
        }
        let unread = self.buffer.get(self.unread.clone()).unwrap_or_default();
        let Some(head) = Head::parse(unread).map_err(garbled)? else { return Ok(None) };
        if head.kind == Kind::Data {
            self.unread.start += head.bytes;
            (self.left, self.taken, self.mask) = (head.payload, 0, head.mask);
            return Ok(self.take_data());
        }
        if head.payload > TUNNEL_WORD_BYTES_MAX as u64 {
            return Err(garbled(format!("a word of {} bytes", head.payload)));
        }
        let payload = usize::try_from(head.payload).unwrap_or_default();
        if unread.len() < head.bytes + payload {
            let wanted = HEAD_BYTES_MAX + head.bytes + payload + REST_BYTES;
            if self.buffer.len() < wanted {
                self.buffer.resize(wanted, 0);
            }
            return Ok(None);
        }
        let start = self.unread.start + head.bytes;
        self.unread.start = start + payload;
        let body = self.buffer.get_mut(start..start + payload).unwrap_or_default();
        if head.mask != [0; 4] {
            frame::unmask(body, head.mask, 0);
        }
        Ok(Some(match head.kind {
            Kind::Text => Event::Word(serde_json::from_slice(body).map_err(|why| garbled(why.to_string()))?),
            Kind::Beat | Kind::Data => {
                // Who has nothing else to say has not much to say soon.
                self.room.rest();
                self.fit(self.wanted());
                Event::Beat
            }
            Kind::Close => Event::Closed,
        }))
    }

    fn take_data(&mut self) -> Option<Event> {
        let there = self.unread.len();
        let count = usize::try_from(self.left).map_or(there, |left| left.min(there));
        if count == 0 {
            return (self.left == 0).then_some(Event::Beat);
        }
        let range = self.unread.start..self.unread.start + count;
        if self.mask != [0; 4] {
            frame::unmask(self.buffer.get_mut(range.clone()).unwrap_or_default(), self.mask, self.taken);
        }
        self.unread.start += count;
        self.left -= count as u64;
        self.taken += count as u64;
        Some(Event::Data(range))
    }
}

/// A frame of the bytes at `range`, which begins at least a head's length into the buffer.
pub(super) fn framed(buffer: &mut [u8], range: Range<usize>, masked: bool) -> &[u8] {
    let before = buffer.get_mut(..range.start).and_then(|before| before.last_chunk_mut::<HEAD_BYTES_MAX>());
    let head = before.map_or(0, |space| frame::write(space, 0x2, range.len(), masked));
    buffer.get(range.start - head..range.end).unwrap_or_default()
}

impl Writer {
    /// Whether what is said must carry a mask.
    pub(super) fn masked(&self) -> bool {
        self.masked
    }

    /// Whether the line can still be used: nothing was broken off in the middle.
    pub(super) fn is_whole(&self) -> bool {
        !self.torn
    }

    /// Sends whole frames.
    pub(super) async fn frames(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.torn = true;
        self.io.write_all(bytes).await?;
        self.io.flush().await?;
        self.torn = false;
        Ok(())
    }

    /// Sends bytes of a stream.
    pub async fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut buffer = vec![0; HEAD_BYTES_MAX + bytes.len().min(CHUNKS.many)];
        for chunk in bytes.chunks(CHUNKS.many) {
            let range = HEAD_BYTES_MAX..HEAD_BYTES_MAX + chunk.len();
            buffer.get_mut(range.clone()).unwrap_or_default().copy_from_slice(chunk);
            let masked = self.masked;
            self.frames(framed(&mut buffer, range, masked)).await?;
        }
        Ok(())
    }

    /// Says a word.
    pub fn word(&mut self, word: &TunnelWord) -> impl Future<Output = io::Result<()>> + Send {
        let body = serde_json::to_vec(word).map_err(io::Error::other);
        async move {
            let body = body?;
            let mut bytes = vec![0; HEAD_BYTES_MAX];
            if body.len() > TUNNEL_WORD_BYTES_MAX {
                return Err(garbled(format!("a word of {} bytes", body.len())));
            }
            let mut space = [0; HEAD_BYTES_MAX];
            let head = frame::write(&mut space, 0x1, body.len(), self.masked);
            bytes.copy_from_slice(&space);
            bytes.extend_from_slice(&body);
            self.frames(bytes.get(HEAD_BYTES_MAX - head..).unwrap_or_default()).await
        }
    }

    /// Shows that this side lives.
    pub async fn beat(&mut self) -> io::Result<()> {
        let mut space = [0; HEAD_BYTES_MAX];
        let head = frame::write(&mut space, 0xA, 0, self.masked);
        self.frames(space.get(HEAD_BYTES_MAX - head..).unwrap_or_default()).await
    }

    /// Ends the line in order, as far as the other side still listens.
    pub async fn close(&mut self) -> io::Result<()> {
        if self.is_whole() {
            let mut space = [0; HEAD_BYTES_MAX];
            let head = frame::write(&mut space, 0x8, 0, self.masked);
            self.frames(space.get(HEAD_BYTES_MAX - head..).unwrap_or_default()).await?;
        }
        self.io.shutdown().await
    }
}

fn garbled(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
