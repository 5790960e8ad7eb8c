//! COPY out of and into the server.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use postgres_protocol::message::frontend;

use super::error::{Error, ServerError};
use super::{Client, Stream, closed};

/// The longest single value that is read or written.
pub(crate) const VALUE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The longest row that is read: a few of the longest values.
const ROW_BYTES_MAX: usize = 96 * 1024 * 1024;

/// How long rows may wait for others to fill their block.
const LINGER: Duration = Duration::from_millis(100);

/// A read that gave less than this caught up with the server, which sends 8 KiB at a time ...
const SHORT_READ: usize = 64 * 1024;

/// ... so the next one waits a moment for more: fewer wake-ups on both sides (a tenth of the time of a COPY on loopback,
/// half of the reader's system time). Data that is there is never delayed.
const GATHER: Duration = Duration::from_micros(400);

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
        self.stream.socket().set_read_timeout(Some(LINGER))?;
        Ok(())
    }

    /// The next rows, `None` after the last; none for now if the server takes its time. `bytes` is the room to use, from an earlier block if there is one.
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
        let (mut filled, mut framed, mut short) = (carried, 0, false);
        loop {
            // Frame what is there.
            while filled - framed >= HEAD {
                let head = &bytes[framed..framed + HEAD];
                let size = 1 + u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                if head[0] != b'd' {
                    self.copy.carry.extend_from_slice(&bytes[framed..filled]);
                    return self.interlude(bytes, framed);
                }
                if size > VALUE_BYTES_MAX {
                    self.check_values(&bytes[framed..filled], size)?;
                }
                if filled - framed < size {
                    if framed == 0 && bytes.len() < size {
                        // Grows with what has really come, so that a huge row is refused before it is held.
                        let grown = size.min(bytes.len() * 2);
                        bytes.resize(grown, 0);
                    }
                    break;
                }
                framed += size;
                self.copy.rows += 1;
            }
            if framed > 0 && filled > bytes.len() - bytes.len() / 8 {
                break;
            }
            if short {
                std::thread::sleep(GATHER);
            }
            match self.stream.read(&mut bytes[filled..]) {
                Ok(0) => return Err(closed()),
                Ok(read) => {
                    filled += read;
                    // TLS gives its records one by one, whatever the socket holds.
                    short = read < SHORT_READ && matches!(self.stream, Stream::Plain(_));
                }
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                // Gives what there is, even nothing: the caller may have reasons to stop.
                Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(why) => return Err(why.into()),
            }
        }
        self.copy.carry.extend_from_slice(&bytes[framed..filled]);
        Ok(Some(Block { bytes, end: framed }))
    }

    /// A message that is no row: the end, an error or a notice. Rows before it are given first.
    fn interlude(&mut self, bytes: Vec<u8>, framed: usize) -> Result<Option<Block>, Error> {
        if framed > 0 {
            return Ok(Some(Block { bytes, end: framed }));
        }
        let carry = std::mem::take(&mut self.copy.carry);
        self.input.clear();
        self.input.extend_from_slice(&carry);
        self.start = 0;
        self.end = carry.len();
        self.input.resize(carry.len().max(super::INPUT_BYTES), 0);
        self.stream.socket().set_read_timeout(None)?;
        let (tag, body) = self.message()?;
        match tag {
            b'N' | b'S' | b'A' => {
                self.copy.carry = self.input[self.start..self.end].to_vec();
                self.start = 0;
                self.end = 0;
                self.stream.socket().set_read_timeout(Some(LINGER))?;
                self.next_block(bytes)
            }
            b'E' => {
                let error = Error::Server(Box::new(ServerError::parse(&self.input[body])));
                self.copy.over = true;
                // After a fatal error the server hangs up.
                let _ = self.until_ready(|_, _| Ok(()));
                Err(error)
            }
            _ => {
                self.copy.over = true;
                self.until_ready(|_, _| Ok(()))?;
                Ok(None)
            }
        }
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
        Ok(())
    }

    /// Sends whole CopyData messages. An error that the server has meanwhile told comes out here.
    pub(crate) fn write_block(&mut self, block: &[u8]) -> Result<(), Error> {
        self.hear()?;
        match self.stream.write_all(block) {
            Ok(()) => Ok(()),
            // What the server said before it hung up explains more than the broken pipe.
            Err(why) => Err(self.hear().err().unwrap_or(Error::Lost(why))),
        }
    }

    /// Ends the COPY; gives the number of rows that the server took.
    pub(crate) fn finish_copy(&mut self) -> Result<u64, Error> {
        self.copy = State::default();
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

    /// Looks, without waiting, whether the server has told an error during a COPY to it.
    fn hear(&mut self) -> Result<(), Error> {
        let mut heard = [0; 4096];
        self.stream.socket().set_nonblocking(true)?;
        let read = self.stream.read(&mut heard);
        self.stream.socket().set_nonblocking(false)?;
        match read {
            Ok(0) => return Err(closed()),
            Ok(read) => {
                self.input.truncate(self.end);
                self.input.extend_from_slice(&heard[..read]);
                self.end += read;
            }
            Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(why) => return Err(why.into()),
        }
        loop {
            let (tag, body) = self.message()?;
            if tag == b'E' {
                return Err(Error::Server(Box::new(ServerError::parse(&self.input[body]))));
            }
            if self.start == self.end {
                return Ok(());
            }
        }
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
