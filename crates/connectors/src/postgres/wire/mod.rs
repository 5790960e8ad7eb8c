//! A small blocking PostgreSQL client: login, simple queries, describe, and COPY in both directions.
//!
//! Invariant: bulk data passes in large blocks; nothing is allocated for a row.

mod breaker;
mod copy;
mod cursor;
mod error;
mod login;
mod socket;
mod stream;

use std::io::{Read, Write};
use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use sallyport_dataplane::{Cancel, CancelGuard};

use breaker::Again;
pub(crate) use breaker::Breaker;
pub(crate) use copy::{Block, SIGNATURE};
use cursor::Cursor;
pub(crate) use error::{Error, ServerError, cut};
pub(crate) use login::login;
pub(crate) use stream::{Stream, TlsError, dial, encrypt, permitted, resolve};

use stream::LOGIN_TIMEOUT;

use super::target::Target;
use crate::Context;
use crate::reach::{Carrier, Reach};

/// The longest message outside of COPY that is taken.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

const INPUT_BYTES: usize = 16 * 1024;

/// Ends the role's own time limits for the rest of a transaction, which may be long, and the sending of notices, which
/// would only be dropped. The limit of a whole transaction came with PostgreSQL 17.
pub(crate) const UNLIMITED: &str = "set local statement_timeout = 0; \
    set local idle_in_transaction_session_timeout = 0; set local client_min_messages = error; \
    select pg_catalog.set_config(name, '0', true) from pg_catalog.pg_settings where name = 'transaction_timeout'";

/// A column as the server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub name: String,
    pub type_oid: u32,
    pub modifier: i32,
}

/// A row of text values.
pub(crate) type Row = Vec<Option<String>>;

/// A logged-in connection.
pub(crate) struct Client {
    stream: Stream,
    input: Vec<u8>,
    start: usize,
    end: usize,
    output: BytesMut,
    key: Option<(i32, i32)>,
    version: String,
    copy: copy::State,
    stop: Option<(CancelGuard, Arc<Breaker>)>,
}

impl Client {
    /// Reaches the server, encrypts and logs in; the step's stop breaks whatever it is doing from then on.
    pub(crate) fn connect(target: &Target, cx: &Context) -> Result<Self, crate::Error> {
        let connection = &target.connection;
        let doing = target.doing("connecting");
        let lost = |why: std::io::Error| Error::from(why).explain(&doing);
        let (carrier, server) = match &cx.reach {
            Reach::Through(through) => {
                let mut carrier = Carrier::Far(through.open(&cx.cancel)?);
                carrier.set_read_timeout(Some(LOGIN_TIMEOUT)).map_err(lost)?;
                carrier.set_write_timeout(Some(LOGIN_TIMEOUT)).map_err(lost)?;
                (carrier, Again::Through(Arc::clone(through)))
            }
            Reach::Direct => {
                let addresses = resolve(connection).map_err(|why| target.unresolved(&why))?;
                let addresses = permitted(connection, &addresses, &cx.site.policy)
                    .map_err(|why| crate::Error::not_allowed(&why))?;
                let socket = dial(&addresses, &cx.cancel).map_err(|why| target.unreachable(&why))?;
                let server = Again::Address(socket.peer_addr().map_err(lost)?);
                (Carrier::Tcp(socket), server)
            }
        };
        let cut = carrier.cut().map_err(lost)?;
        let guard = cx.cancel.on_cancel(move || cut.cut());
        let stream = encrypt(carrier, connection).map_err(|why| target.unencrypted(&why))?;
        let mut client = login(stream, connection, &target.password).map_err(|error| error.explain(&doing))?;
        drop(guard);
        client.stop_with(&cx.cancel, server).map_err(|error| error.explain(&doing))?;
        Ok(client)
    }

    fn over(stream: Stream) -> Self {
        Self {
            stream,
            input: vec![0; INPUT_BYTES],
            start: 0,
            end: 0,
            output: BytesMut::new(),
            key: None,
            version: String::new(),
            copy: copy::State::default(),
            stop: None,
        }
    }

    /// The server's version, as it says it.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Makes `cancel` stop the server's work and break this connection.
    fn stop_with(&mut self, cancel: &Cancel, server: Again) -> Result<(), Error> {
        let carrier = self.stream.carrier();
        carrier.set_read_timeout(None)?;
        carrier.set_write_timeout(None)?;
        let breaker = Arc::new(Breaker::new(carrier, server, self.key)?);
        let hook = Arc::clone(&breaker);
        self.stop = Some((cancel.on_cancel(move || hook.cut()), breaker));
        Ok(())
    }

    /// What breaks this connection from another thread.
    pub(crate) fn breaker(&self) -> Option<Arc<Breaker>> {
        self.stop.as_ref().map(|(_, breaker)| Arc::clone(breaker))
    }

    /// Runs statements; the rows of all of them, values as text.
    pub(crate) fn simple(&mut self, sql: &str) -> Result<Vec<Row>, Error> {
        self.put(|out| frontend::query(sql, out))?;
        self.send()?;
        let mut rows = Vec::new();
        self.until_ready(|tag, body| {
            if tag == b'D' {
                rows.push(row(body)?);
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// As [`Client::simple`], for a statement that gives one row.
    pub(crate) fn one(&mut self, sql: &str) -> Result<Row, Error> {
        let mut rows = self.simple(sql)?;
        rows.pop().ok_or_else(|| Error::Protocol("a query that gives one row gave none".into()))
    }

    /// What columns a statement gives, without running it.
    pub(crate) fn describe(&mut self, sql: &str) -> Result<Vec<Described>, Error> {
        self.put(|out| {
            frontend::parse("", sql, [], out)?;
            frontend::describe(b'S', "", out)?;
            frontend::sync(out);
            Ok(())
        })?;
        self.send()?;
        let mut columns = Vec::new();
        self.until_ready(|tag, body| {
            if tag == b'T' {
                columns = described(body)?;
            }
            Ok(())
        })?;
        Ok(columns)
    }

    /// Breaks the connection in the middle of a COPY and has the server stop its work.
    pub(crate) fn abandon(&self) {
        if let Some((_, breaker)) = &self.stop {
            breaker.cut();
        }
    }

    /// Says goodbye; an open transaction is rolled back by the server.
    pub(crate) fn close(mut self) {
        self.stop = None;
        if self
            .put(|out| {
                frontend::terminate(out);
                Ok(())
            })
            .is_ok()
        {
            let _ = self.send();
        }
    }

    fn put(&mut self, write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) -> Result<(), Error> {
        write(&mut self.output).map_err(|why| Error::Protocol(why.to_string()))
    }

    fn send(&mut self) -> Result<(), Error> {
        self.stream.write_all(&self.output)?;
        self.stream.flush()?;
        self.output.clear();
        Ok(())
    }

    /// Takes messages until the server is ready for the next command; its first error is the result.
    fn until_ready(&mut self, mut take: impl FnMut(u8, &[u8]) -> Result<(), Error>) -> Result<(), Error> {
        let mut outcome = Ok(());
        loop {
            let (tag, body) = match self.message() {
                Ok(message) => message,
                // A server that hangs up has said why before.
                Err(lost) => return outcome.and(Err(lost)),
            };
            let body = &self.input[body];
            match tag {
                b'Z' => return outcome,
                b'E' if outcome.is_ok() => outcome = Err(Error::Server(Box::new(ServerError::parse(body)))),
                b'N' | b'S' | b'A' | b'E' => {}
                _ if outcome.is_ok() => {
                    if let Err(error) = take(tag, body) {
                        outcome = Err(error);
                    }
                }
                _ => {}
            }
        }
    }

    /// The next message: its tag, and where its body stands in the input.
    fn message(&mut self) -> Result<(u8, Range<usize>), Error> {
        self.buffered(5)?;
        let head = &self.input[self.start..self.start + 5];
        let tag = head[0];
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
            return Err(Error::Protocol(format!("a message of {length} bytes")));
        }
        self.buffered(1 + length)?;
        let body = self.start + 5..self.start + 1 + length;
        self.start += 1 + length;
        Ok((tag, body))
    }

    /// Waits until `length` bytes stand in the input.
    fn buffered(&mut self, length: usize) -> Result<(), Error> {
        if self.end - self.start >= length {
            return Ok(());
        }
        if self.input.len() - self.start < length {
            self.input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.input.len() < length {
                self.input.resize(length, 0);
            }
        }
        while self.end - self.start < length {
            match self.stream.read(&mut self.input[self.end..]) {
                Ok(0) => return Err(closed()),
                Ok(read) => self.end += read,
                Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
                Err(why) => return Err(stream::in_time(why).into()),
            }
        }
        Ok(())
    }
}

fn closed() -> Error {
    Error::Lost(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the server closed it"))
}

fn row(body: &[u8]) -> Result<Row, Error> {
    let mut cursor = Cursor::new(body);
    let count = cursor.i16()?;
    let mut row = Vec::new();
    for _ in 0..count {
        let length = cursor.i32()?;
        row.push(match usize::try_from(length) {
            Ok(length) => Some(String::from_utf8_lossy(cursor.bytes(length)?).into_owned()),
            Err(_) => None,
        });
    }
    Ok(row)
}

fn described(body: &[u8]) -> Result<Vec<Described>, Error> {
    let mut cursor = Cursor::new(body);
    let count = cursor.i16()?;
    let mut columns = Vec::new();
    for _ in 0..count {
        let name = cursor.text()?.to_owned();
        let (_table, _attribute) = (cursor.u32()?, cursor.i16()?);
        let type_oid = cursor.u32()?;
        let _size = cursor.i16()?;
        let modifier = cursor.i32()?;
        let _format = cursor.i16()?;
        columns.push(Described { name, type_oid, modifier });
    }
    Ok(columns)
}
