//! Where the body of an answer ends: pure.

use super::answer::Framing;

/// The longest line between two chunks, in bytes.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// All the lines behind the last chunk together.
const TRAILER_BYTES_MAX: usize = 64 * 1024;

/// Takes bodies apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decoder {
    state: State,
    /// A line that has begun.
    line: Vec<u8>,
    /// Bytes of trailers so far.
    trailers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes are left.
    Length(u64),
    UntilEnd,
    /// In the line that says a chunk's size.
    Size,
    Chunk(u64),
    /// In the line's end behind a chunk.
    Behind,
    Trailer,
    Over,
}

impl Decoder {
    pub(super) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Empty | Framing::Switched | Framing::Length(0) => State::Over,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size,
            Framing::UntilEnd => State::UntilEnd,
        };
        Self { state, line: Vec::new(), trailers: 0 }
    }

    /// Whether all of it has come.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Whether it is whole if nothing more comes.
    pub(super) fn may_end(&self) -> bool {
        matches!(self.state, State::Over | State::UntilEnd)
    }

    /// The next piece of the body, which may be empty, and how many bytes were used up.
    pub(super) fn take<'a>(&mut self, bytes: &'a [u8]) -> Result<(&'a [u8], usize), String> {
        match self.state {
            State::UntilEnd => Ok((bytes, bytes.len())),
            State::Length(left) => {
                let piece = first(bytes, left);
                self.state = match left - piece.len() as u64 {
                    0 => State::Over,
                    left => State::Length(left),
                };
                Ok((piece, piece.len()))
            }
            State::Chunk(left) => {
                let piece = first(bytes, left);
                self.state = match left - piece.len() as u64 {
                    0 => State::Behind,
                    left => State::Chunk(left),
                };
                Ok((piece, piece.len()))
            }
            State::Size | State::Behind | State::Trailer => self.line(bytes).map(|used| (&bytes[..0], used)),
            // What follows belongs to nothing.
            State::Over => Ok((&bytes[..0], bytes.len())),
        }
    }

    fn line(&mut self, bytes: &[u8]) -> Result<usize, String> {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            if self.line.len() + bytes.len() > LINE_BYTES_MAX {
                return Err("a line between the chunks of its answer is too long".to_owned());
            }
            self.line.extend_from_slice(bytes);
            return Ok(bytes.len());
        };
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(&bytes[..end]);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        self.state = match self.state {
            State::Size => match size(line)? {
                0 => State::Trailer,
                size => State::Chunk(size),
            },
            State::Behind if line.is_empty() => State::Size,
            State::Trailer if line.is_empty() => State::Over,
            State::Trailer if self.trailers + line.len() <= TRAILER_BYTES_MAX => {
                self.trailers += line.len();
                State::Trailer
            }
            _ => return Err("the chunks of its answer are garbled".to_owned()),
        };
        Ok(end + 1)
    }
}

fn first(bytes: &[u8], most: u64) -> &[u8] {
    let count = usize::try_from(most).map_or(bytes.len(), |most| most.min(bytes.len()));
    bytes.get(..count).unwrap_or_default()
}

fn size(line: &[u8]) -> Result<u64, String> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    text.and_then(|text| u64::from_str_radix(text, 16).ok())
        .ok_or_else(|| "a chunk of its answer has no size".to_owned())
}
