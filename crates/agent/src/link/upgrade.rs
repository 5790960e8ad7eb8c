//! The HTTP request that turns a TLS stream into a WebSocket, and the whole answer when it does not: a refused login
//! says why in its body, which a WebSocket library would not read to its end.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sallyport_protocol::{Secret, TICKET_HEADER, Ticket};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The longest body of a refusal.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What the server answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Upgraded; the bytes after the head belong to the WebSocket.
    Switched { rest: Vec<u8> },
    /// Not upgraded.
    Refused { status: u16, body: Vec<u8> },
}

/// Asks for the upgrade and reads the answer.
pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    authority: &str,
    path: &str,
    (authorization, ticket): (&Secret, Option<&Ticket>),
) -> std::io::Result<Answer> {
    let key = STANDARD.encode(uuid::Uuid::new_v4().as_bytes());
    let request = Secret::new(format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: {}\r\n\
         User-Agent: sallyport-agent/{}\r\n{}\r\n",
        authorization.expose(),
        env!("CARGO_PKG_VERSION"),
        ticket.map_or_else(String::new, |ticket| format!("{TICKET_HEADER}: {}\r\n", ticket.expose())),
    ));
    stream.write_all(request.expose().as_bytes()).await?;
    stream.flush().await?;
    let mut got = Vec::with_capacity(1024);
    let head = loop {
        if let Some(head) = Head::parse(&got)? {
            break head;
        }
        if got.len() > HEAD_BYTES_MAX {
            return Err(invalid("its head is too long"));
        }
        more(stream, &mut got).await?;
    };
    let rest = got.split_off(head.bytes);
    if head.status == 101 {
        return if head.accept.as_deref() == Some(derive_accept_key(key.as_bytes()).as_str()) {
            Ok(Answer::Switched { rest })
        } else {
            Err(invalid("it does not prove that it is a WebSocket server"))
        };
    }
    let mut body = rest;
    let wanted = head.length.unwrap_or(0).min(BODY_BYTES_MAX);
    while body.len() < wanted && more(stream, &mut body).await.is_ok() {}
    Ok(Answer::Refused { status: head.status, body })
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, into: &mut Vec<u8>) -> std::io::Result<()> {
    match stream.read_buf(into).await? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// The parts of an answer's head that matter.
#[derive(Debug)]
struct Head {
    bytes: usize,
    status: u16,
    accept: Option<String>,
    length: Option<usize>,
}

impl Head {
    /// `None` until the head is whole.
    fn parse(got: &[u8]) -> std::io::Result<Option<Self>> {
        let Some(end) = got.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let text = String::from_utf8_lossy(&got[..end]);
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .filter(|line| line.starts_with("HTTP/1."))
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| invalid("it is no HTTP answer"))?;
        let mut head = Self { bytes: end + 4, status, accept: None, length: None };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            match name.to_ascii_lowercase().as_str() {
                "sec-websocket-accept" => head.accept = Some(value.trim().to_owned()),
                "content-length" => head.length = value.trim().parse().ok(),
                _ => {}
            }
        }
        Ok(Some(head))
    }
}

fn invalid(why: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, format!("the server's answer is not usable: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn exchange(answer: impl FnOnce(&str) -> String) -> std::io::Result<Answer> {
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let asking = async move {
            ask(&mut ours, "host:1", "/connect/agent", (&Secret::new("Basic x"), Some(&Secret::new("t")))).await
        };
        let answering = async move {
            let mut request = vec![0; 4096];
            let count = theirs.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            assert!(request.starts_with("GET /connect/agent HTTP/1.1\r\nHost: host:1\r\n"), "{request}");
            assert!(request.ends_with("\r\nsallyport-ticket: t\r\n\r\n"), "{request}");
            let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
            // In two pieces, as networks do.
            let answer = answer(key);
            let (one, two) = answer.split_at(answer.len() / 2);
            theirs.write_all(one.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
            theirs.write_all(two.as_bytes()).await.unwrap();
        };
        tokio::join!(asking, answering).0
    }

    #[tokio::test]
    async fn switches_and_keeps_what_follows() {
        let answer = exchange(|key| {
            let accept = derive_accept_key(key.as_bytes());
            format!("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {accept}\r\n\r\nrest")
        });
        let Answer::Switched { rest } = answer.await.unwrap() else { panic!("not switched") };
        assert!(b"rest".starts_with(&rest[..]) && !rest.is_empty());
    }

    #[tokio::test]
    async fn a_refusal_is_read_to_its_end() {
        let body = "{\"refusal\":{}}".repeat(100);
        let sent = body.clone();
        let answer =
            exchange(move |_| format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{sent}", sent.len()));
        assert_eq!(answer.await.unwrap(), Answer::Refused { status: 403, body: body.into_bytes() });
    }

    #[tokio::test]
    async fn other_servers_are_told_apart() {
        assert!(exchange(|_| "SSH-2.0-OpenSSH\r\n\r\n".to_owned()).await.is_err());
        let wrong = exchange(|_| "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: no\r\n\r\n".to_owned());
        assert!(wrong.await.is_err());
    }
}
