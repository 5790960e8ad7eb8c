//! Tries a connection with a request that changes nothing.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use sallyport_dataplane::Cancel;
use sallyport_protocol::{ConnectionOrder, HttpOrder};

use super::Target;
use crate::Site;
use crate::stages::Stages;
use crate::tcp::reach;

/// How long each answer of the service may take at most; three of them fit into the time of a test.
const ANSWER_MAX: Duration = Duration::from_secs(8);

/// The longest head of an answer that is read, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What the service is spoken to through.
trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// What the base address answers.
struct Answer {
    status: u16,
    line: String,
    location: Option<String>,
}

pub(super) fn run(stages: &mut Stages, order: &ConnectionOrder, site: &Site, cancel: &Cancel) -> Option<()> {
    let target = Target::new(order).map(|target| {
        let seen = format!("{}{}", target.address().origin(), target.address().base());
        (target, seen)
    });
    let target = stages.note("settings", target)?;
    let mut stream = open(stages, &target, site, cancel)?;
    let mut answer = ask(&target, order, "HEAD", &mut *stream);
    // Some services have no HEAD.
    if answer.as_ref().is_ok_and(|answer| matches!(answer.status, 404 | 405 | 501)) {
        let mut again = None;
        // The same stages passed a moment ago: if they do not now, the first answer stands.
        let _ = Stages::tried(|stages| {
            again = open(stages, &target, site, cancel);
            None
        });
        if let Some(mut stream) = again {
            answer = ask(&target, order, "GET", &mut *stream);
        }
    }
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => return stages.note("query", Err::<((), String), _>(why)),
    };
    stages.note("login", login(&target, answer.status).map(|seen| ((), seen.to_owned())))?;
    stages.note("query", seen(answer).map(|seen| ((), seen)))
}

fn login(target: &Target, status: u16) -> Result<&'static str, String> {
    match (status, target.logs_in()) {
        (401 | 403, true) => Err(format!(
            "the service answers {status}: it does not take the connection's credentials; check user, password, token \
             and header"
        )),
        (401 | 403, false) => {
            Err(format!("the service answers {status}: it asks for credentials, and the connection has none"))
        }
        (407, _) => Err("a proxy between the agent and the service asks for credentials".to_owned()),
        (_, true) => Ok("the credentials were sent and not refused"),
        (_, false) => Ok("the service asks for no credentials"),
    }
}

fn seen(answer: Answer) -> Result<String, String> {
    let Answer { status, line, location } = answer;
    match (status, location) {
        (500.., _) => Err(format!("the base address answers `{line}`: the service is in trouble")),
        (300..400, Some(location)) => Ok(format!("the base address answers `{line}`, to {location}")),
        (404, _) => Ok(format!("the base address answers `{line}`: the service has nothing at this very path")),
        _ => Ok(format!("the base address answers `{line}`")),
    }
}

/// Name, policy, port and TLS.
fn open(stages: &mut Stages, target: &Target, site: &Site, cancel: &Cancel) -> Option<Box<dyn Stream>> {
    let address = target.address();
    let stream = reach(stages, address.host(), address.port(), site, cancel)?;
    let patience = target.answer_max().clamp(Duration::from_secs(1), ANSWER_MAX);
    if stream.set_read_timeout(Some(patience)).and_then(|()| stream.set_write_timeout(Some(patience))).is_err() {
        return None;
    }
    if !address.is_encrypted() {
        return Some(Box::new(stream));
    }
    let encrypted = encrypt(target, stream).map_err(|why| {
        format!(
            "TLS with {}: {why}; check that the service's certificate comes from `ca`, or without one from an authority \
             that the agent's machine trusts, and that it names the host",
            address.authority()
        )
    });
    Some(Box::new(stages.note("tls", encrypted)?))
}

fn encrypt(target: &Target, stream: TcpStream) -> Result<(StreamOwned<ClientConnection, TcpStream>, String), String> {
    let config = target.tls().map_err(|why| why.to_string())?;
    let name = target.name().map_err(|why| why.to_string())?;
    let connection = ClientConnection::new(config, name).map_err(|why| why.to_string())?;
    let mut stream = StreamOwned::new(connection, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(|why| in_time(&why))?;
    }
    let version = stream.conn.protocol_version().map_or_else(String::new, |version| format!("{version:?}"));
    let (_, verified) = target.trust();
    let checked = if verified { "certificate and host name are right" } else { "the certificate was not checked" };
    Ok((stream, format!("{version}; {checked}")))
}

fn ask(target: &Target, order: &ConnectionOrder, method: &str, stream: &mut dyn Stream) -> Result<Answer, String> {
    let base = target.address().base();
    let order = HttpOrder {
        connection: order.clone(),
        method: method.to_owned(),
        target: base.to_owned(),
        headers: vec![("accept".to_owned(), "*/*".to_owned()), ("user-agent".to_owned(), "sallyport".to_owned())],
    };
    let head = target.head(&order).map_err(|why| why.to_string())?;
    let failed = |why: io::Error| format!("no answer to {method} {base}: {}", in_time(&why));
    stream.write_all(&head).and_then(|()| stream.flush()).map_err(failed)?;
    answer(stream).map_err(failed)?.ok_or_else(|| "what answers there does not speak HTTP".to_owned())
}

/// The head of an answer; `None` where there is none.
fn answer(stream: &mut dyn Stream) -> io::Result<Option<Answer>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    // Byte by byte is slow, and once in a test.
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX && stream.read(&mut byte)? > 0 {
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let status =
        line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).and_then(|word| word.parse().ok());
    let Some(status) = status else { return Ok(None) };
    let mut headers = lines.filter_map(|line| line.split_once(':'));
    let location = headers.find(|(name, _)| name.eq_ignore_ascii_case("location"));
    let location = location.map(|(_, value)| value.trim().to_owned());
    Ok(Some(Answer { status, line: line.to_owned(), location }))
}

fn in_time(why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "nothing came in time".to_owned(),
        _ => why.to_string(),
    }
}
