//! Startup and authentication.

use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;

use sallyport_protocol::{FailureKind, Secret};

use super::Client;
use super::cursor::Cursor;
use super::error::{Error, ServerError};
use super::stream::Stream;
use crate::Error as StepError;
use crate::postgres::settings::{Connection, Tls};

const OK: i32 = 0;
const CLEARTEXT: i32 = 3;
const MD5: i32 = 5;
const SASL: i32 = 10;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;

/// Logs in over a socket on which encryption is settled.
pub(crate) fn login(stream: Stream, connection: &Connection, password: &Secret) -> Result<Client, Error> {
    let mut client = Client::over(stream);
    let parameters = [
        ("user", connection.user.as_str()),
        ("database", connection.database.as_str()),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, YMD"),
        ("TimeZone", "UTC"),
        ("application_name", "sallyport"),
    ];
    client.put(|out| frontend::startup_message(parameters, out))?;
    client.send()?;
    client.authenticate(connection, password)?;
    client.session_facts()?;
    Ok(client)
}

impl Client {
    fn authenticate(&mut self, connection: &Connection, password: &Secret) -> Result<(), Error> {
        let mut scram: Option<ScramSha256> = None;
        loop {
            let (tag, body) = self.message()?;
            let body = self.input[body].to_vec();
            match tag {
                b'R' => {}
                b'E' => return Err(Error::Server(Box::new(ServerError::parse(&body)))),
                b'N' | b'v' => continue,
                _ => return Err(Error::Protocol(format!("message `{}` during the login", char::from(tag)))),
            }
            let mut cursor = Cursor::new(&body);
            match cursor.i32()? {
                OK => return Ok(()),
                CLEARTEXT => {
                    let secret = given(password)?;
                    if self.stream.encryption().is_none() && connection.tls != Tls::Disable {
                        return Err(exposed());
                    }
                    self.put(|out| frontend::password_message(secret, out))?;
                }
                MD5 => {
                    let salt = cursor.bytes(4)?;
                    let salt = [salt[0], salt[1], salt[2], salt[3]];
                    let hash = md5_hash(connection.user.as_bytes(), given(password)?, salt);
                    self.put(|out| frontend::password_message(hash.as_bytes(), out))?;
                }
                SASL => scram = Some(self.begin_scram(cursor, given(password)?)?),
                SASL_CONTINUE => {
                    let scram = scram.as_mut().ok_or_else(out_of_order)?;
                    scram.update(cursor.rest()).map_err(|why| Error::Protocol(why.to_string()))?;
                    self.put(|out| frontend::sasl_response(scram.message(), out))?;
                }
                SASL_FINAL => {
                    let scram = scram.as_mut().ok_or_else(out_of_order)?;
                    scram.finish(cursor.rest()).map_err(|why| {
                        Error::Protocol(format!("the server does not know the password either: {why}"))
                    })?;
                    continue;
                }
                other => return Err(unsupported(&format!("the server asks for login method {other}"))),
            }
            self.send()?;
        }
    }

    fn begin_scram(&mut self, mut mechanisms: Cursor<'_>, password: &[u8]) -> Result<ScramSha256, Error> {
        let mut offered = false;
        while let Ok(mechanism) = mechanisms.text() {
            offered |= mechanism == SCRAM_SHA_256;
        }
        if !offered {
            return Err(unsupported("the server offers no SCRAM-SHA-256"));
        }
        let scram = ScramSha256::new(password, ChannelBinding::unsupported());
        self.put(|out| frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), out))?;
        Ok(scram)
    }

    /// What the server says of the session before it is ready.
    fn session_facts(&mut self) -> Result<(), Error> {
        loop {
            let (tag, body) = self.message()?;
            let mut cursor = Cursor::new(&self.input[body]);
            match tag {
                b'K' => self.key = Some((cursor.i32()?, cursor.i32()?)),
                b'S' => {
                    let (name, value) = (cursor.text()?, cursor.text()?);
                    if name == "server_version" {
                        self.version = value.to_owned();
                    }
                }
                b'E' => return Err(Error::Server(Box::new(ServerError::parse(cursor.rest())))),
                b'Z' => return Ok(()),
                _ => {}
            }
        }
    }
}

fn given(password: &Secret) -> Result<&[u8], Error> {
    if password.is_empty() {
        let told = StepError::permanent(
            FailureKind::Connector,
            "login_refused",
            "the server asks for a password and the connection has none",
        )
        .advise("set the connection's secret `password`");
        return Err(told.into());
    }
    Ok(password.expose().as_bytes())
}

/// Whoever stands between would only have to say that the server does not encrypt.
fn exposed() -> Error {
    let why = "the server asks for the password in clear text, and the connection is not encrypted";
    StepError::permanent(FailureKind::Connector, "login_method", why)
        .advise("use scram-sha-256 in pg_hba.conf, or `tls: require`; `tls: disable` sends it as it is")
        .into()
}

fn unsupported(what: &str) -> Error {
    StepError::permanent(FailureKind::Connector, "login_method", what)
        .advise("Sallyport logs in with scram-sha-256, md5, password or trust: change the line in pg_hba.conf")
        .into()
}

fn out_of_order() -> Error {
    Error::Protocol("an answer of the login that was not asked for".into())
}
