//! COPY out of and into the server.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use postgres_protocol::message::frontend;

use super::error::{Error, ServerError};
use super::{Client, INPUT_BYTES, MESSAGE_BYTES_MAX, closed};
use crate::VALUE_BYTES_MAX;

/// The longest row that is read: a few of the longest values.
const ROW_BYTES_MAX: usize = 96 * 1024 * 1024;

/// How long a full socket is left alone before rows are pressed into it again.
const PAUSE: Duration = Duration::from_micros(500);

const HEAD: usize = 5;

/// What the first message of a binary COPY starts with: signature, flags, length of an extension.
pub(crate) const SIGNATURE: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Whole CopyData messages as they came, a row each: a tag byte, a length that counts itself, the row.
pub(crate) struct Block {
    pub bytes: Vec<u8>,
    pub end: usize,
}

/// How far a COPY is.
#[derive(Default)]
pub(super) struct State {
    /// Bytes of a message that was not complete when its block was given away.
    carry: Vec<u8>,
    rows: u64,
    over: bool,
}

impl Client {
    /// Starts a binary COPY to us; [`Client::next_block`] gives the rows.
    pub(crate) fn copy_out(&mut self, sql: &str) -> Result<(), Error> {
        self.begin_copy(sql, b'H')?;
        let rest = self.input[self.start..self.end].to_vec();
        self.start = 0;
        self.end = 0;
        self.copy = State { carry: rest, ..State::default() };
        self.stream.gather(true);
        Ok(())
    }

    /// The next rows, at least one, `None` after the last. `bytes` is the room to use, from an earlier block if there is
    /// one. Waits for the first row only: what has come is given as soon as the server takes its time.
    pub(crate) fn next_block(&mut self, mut bytes: Vec<u8>) -> Result<Option<Block>, Error> {
        if self.copy.over {
            return Ok(None);
        }
        let carried = self.copy.carry.len();
        if bytes.len() < carried + HEAD {
            bytes.resize(carried + HEAD, 0);
        }
        bytes[..carried].copy_from_slice(&self.copy.carry);
        self.copy.carry.clear();
        let (mut framed, mut filled) = (0, carried);
        loop {
            let other = self.frame(&mut bytes, &mut framed, &mut filled)?;
            if other && framed == 0 {
                return self.end_copy(&bytes[..filled]).map(|()| None);
            }
            // Rows before the end are given first.
            if other || framed > 0 && filled > bytes.len() - bytes.len() / 8 {
                break;
            }
            let room = &mut bytes[filled..];
            let read = if framed > 0 { self.stream.read_at_once(room) } else { self.stream.read(room) };
            match read {
                Ok(0) => return Err(closed()),
                Ok(read) => filled += read,
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) if why.kind() == ErrorKind::WouldBlock && framed > 0 => break,
                Err(why) => return Err(why.into()),
            }
        }
        self.copy.carry.extend_from_slice(&bytes[framed..filled]);
        Ok(Some(Block { bytes, end: framed }))
    }

    /// Moves `framed` behind the last whole row of `bytes[..filled]` and takes notices out; makes room for a row that is
    /// longer than `bytes`. Whether a message that is neither comes next.
    fn frame(&mut self, bytes: &mut Vec<u8>, framed: &mut usize, filled: &mut usize) -> Result<bool, Error> {
        while *filled - *framed >= HEAD {
            let head = &bytes[*framed..*framed + HEAD];
            let row = match head[0] {
                b'd' => true,
                b'N' | b'S' | b'A' => false,
                _ => return Ok(true),
            };
            let size = 1 + u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            if row && size > VALUE_BYTES_MAX {
                self.check_values(&bytes[*framed..*filled], size)?;
            } else if !(HEAD..=MESSAGE_BYTES_MAX).contains(&size) {
                return Err(Error::Protocol(format!("a message of {size} bytes")));
            }
            if *filled - *framed < size {
                if *framed == 0 && bytes.len() < size {
                    // Grows with what has really come, so that a huge row is refused before it is held.
                    let grown = size.min(bytes.len() * 2);
                    bytes.resize(grown, 0);
                }
                break;
            }
            if row {
                *framed += size;
                self.copy.rows += 1;
            } else {
                bytes.copy_within(*framed + size..*filled, *framed);
                *filled -= size;
            }
        }
        Ok(false)
    }

    /// Takes what follows the rows, which starts with `came`: the end, or an error.
    fn end_copy(&mut self, came: &[u8]) -> Result<(), Error> {
        self.copy.over = true;
        self.stream.gather(false);
        self.input.clear();
        self.input.extend_from_slice(came);
        self.input.resize(came.len().max(INPUT_BYTES), 0);
        (self.start, self.end) = (0, came.len());
        self.until_ready(|_, _| Ok(()))
    }

    /// Refuses a row that holds too long a value, by the part of the row that has come.
    fn check_values(&self, message: &[u8], size: usize) -> Result<(), Error> {
        let row = self.copy.rows + 1;
        let mut rest = &message[HEAD..];
        if self.copy.rows == 0 {
            rest = rest.get(SIGNATURE.len()..).unwrap_or_default();
        }
        rest = rest.get(2..).unwrap_or_default();
        let mut column = 0;
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
            if length > VALUE_BYTES_MAX {
                return Err(Error::ValueTooLarge { row, column, bytes: length as u64 });
            }
            let Some(after) = after.get(length..) else { break };
            rest = after;
            column += 1;
        }
        if size > ROW_BYTES_MAX {
            return Err(Error::RowTooLarge { row, bytes: size as u64 });
        }
        Ok(())
    }

    /// Starts a binary COPY to the server; [`Client::write_block`] gives it CopyData messages.
    pub(crate) fn copy_in(&mut self, sql: &str) -> Result<(), Error> {
        self.begin_copy(sql, b'G')?;
        self.copy = State::default();
        // Writes must not wait: a server that waits to be heard takes no rows.
        self.stream.carrier().set_nonblocking(true)?;
        Ok(())
    }

    /// Sends whole CopyData messages. An error that the server has meanwhile told comes out here.
    pub(crate) fn write_block(&mut self, mut block: &[u8]) -> Result<(), Error> {
        self.hear()?;
        while !block.is_empty() {
            match self.stream.write(block) {
                Ok(0) => return Err(closed()),
                Ok(written) => block = &block[written..],
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) if why.kind() == ErrorKind::WouldBlock => {
                    self.hear()?;
                    std::thread::sleep(PAUSE);
                }
                // What the server said before it hung up explains more than the broken pipe.
                Err(why) => return Err(self.hear().err().unwrap_or(Error::Lost(why))),
            }
        }
        Ok(())
    }

    /// Ends the COPY; gives the number of rows that the server took.
    pub(crate) fn finish_copy(&mut self) -> Result<u64, Error> {
        self.stream.carrier().set_nonblocking(false)?;
        self.put(|out| {
            frontend::copy_done(out);
            Ok(())
        })?;
        self.send()?;
        let mut rows = 0;
        self.until_ready(|tag, body| {
            if tag == b'C' {
                rows = count_of(body);
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// Takes, without waiting, whatever the server has said during a COPY to it: notices, or an error.
    fn hear(&mut self) -> Result<(), Error> {
        loop {
            while self.has_message() {
                let (tag, body) = self.message()?;
                if tag == b'E' {
                    return Err(Error::Server(Box::new(ServerError::parse(&self.input[body]))));
                }
            }
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.input.len() == self.end {
                self.input.resize(self.end + INPUT_BYTES, 0);
            }
            match self.stream.read(&mut self.input[self.end..]) {
                Ok(0) => return Err(closed()),
                Ok(read) => self.end += read,
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(why) => return Err(why.into()),
            }
        }
    }

    /// Whether a whole message has come.
    fn has_message(&self) -> bool {
        let came = &self.input[self.start..self.end];
        let Some((head, _)) = came.split_first_chunk::<HEAD>() else { return false };
        // A length that cannot be is told by whoever takes the message.
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        came.len() > length || length > MESSAGE_BYTES_MAX
    }

    fn begin_copy(&mut self, sql: &str, expected: u8) -> Result<(), Error> {
        self.put(|out| frontend::query(sql, out))?;
        self.send()?;
        loop {
            let (tag, body) = self.message()?;
            match tag {
                b'N' | b'S' | b'A' => {}
                b'E' => {
                    let error = Error::Server(Box::new(ServerError::parse(&self.input[body])));
                    // After a fatal error the server hangs up.
                    let _ = self.until_ready(|_, _| Ok(()));
                    return Err(error);
                }
                tag if tag == expected => return Ok(()),
                tag => return Err(Error::Protocol(format!("message `{}` instead of COPY", char::from(tag)))),
            }
        }
    }
}

/// The number at the end of a command's tag, such as `COPY 5`.
fn count_of(body: &[u8]) -> u64 {
    let tag = std::str::from_utf8(body).unwrap_or_default().trim_end_matches('\0');
    tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}
