//! From a door to a WebSocket on which something can be said.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use sallyport_protocol::{CONTROL_MESSAGE_BYTES_MAX, Refusal, ServerToWrapper, WrapperMessage, path};
use sallyport_site::dial::Route;
use sallyport_site::login;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::{HeaderValue, Response};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{HandshakeError, Message, WebSocket};

use super::Over;
use crate::fetch::Door;

/// Small buffers: the messages are small, and the wrapper shall be too.
const BUFFER_BYTES: usize = 4 * 1024;
/// The most bytes read of a refusal's body.
const REFUSAL_BYTES_MAX: u64 = 64 * 1024;

/// How long the server may take to answer a rehearsal's hello.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A stream with a second handle: the handshake keeps what it is given when it fails, and the body of a refusal must
/// still be read.
#[derive(Clone)]
pub(super) struct Shared(Rc<RefCell<Tls>>);

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

/// A connection that was opened.
pub(super) struct Opened {
    pub(super) socket: WebSocket<Shared>,
    pub(super) route: Route,
    /// This end's address.
    pub(super) local: Option<IpAddr>,
}

/// Opens a connection to `path`; a read waits for `patience`.
pub(super) fn open(door: &Door, path: &str, patience: Duration) -> Result<Opened, Over> {
    let (tls, route) = door.open()?;
    let local = tls.sock.local_addr().ok().map(|address| address.ip());
    let tls = Shared(Rc::new(RefCell::new(tls)));
    let socket = upgrade(door, path, &tls)?;
    tls.0.borrow().sock.set_read_timeout(Some(patience)).map_err(|error| Over::lost(error.to_string()))?;
    Ok(Opened { socket, route, local })
}

/// Says hello where it takes no place; whether the server would let this wrapper in.
pub(crate) fn rehearse(door: &Door, hello: &WrapperMessage) -> Result<(), Over> {
    let Opened { mut socket, .. } = open(door, path::REHEARSAL, ANSWER_WITHIN)?;
    let broke = |error: tungstenite::Error| Over::lost(format!("the rehearsal broke: {error}"));
    let text = serde_json::to_string(hello).map_err(|error| Over::lost(error.to_string()))?;
    socket.send(Message::text(text)).map_err(broke)?;
    loop {
        if let Message::Text(text) = socket.read().map_err(broke)? {
            return match serde_json::from_str(&text) {
                Ok(ServerToWrapper::Welcome { .. }) => Ok(()),
                Ok(ServerToWrapper::Refused { refusal }) => Err(Over::Refused(refusal)),
                _ => Err(Over::lost("the server answered the hello with something else than a welcome")),
            };
        }
    }
}

fn upgrade(door: &Door, path: &str, tls: &Shared) -> Result<WebSocket<Shared>, Over> {
    let mut request =
        door.address.websocket_url(path).into_client_request().map_err(|error| Over::lost(error.to_string()))?;
    let mut credentials = HeaderValue::from_str(login::basic(&door.username, &door.password).expose())
        .map_err(|_| Over::lost("Username in appsettings.json holds characters that are not allowed"))?;
    credentials.set_sensitive(true);
    request.headers_mut().insert("Authorization", credentials);
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * CONTROL_MESSAGE_BYTES_MAX)
        .max_message_size(Some(CONTROL_MESSAGE_BYTES_MAX))
        .max_frame_size(Some(CONTROL_MESSAGE_BYTES_MAX));
    match tungstenite::client::client_with_config(request, tls.clone(), Some(config)) {
        Ok((socket, _)) => Ok(socket),
        Err(HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
            Err(Over::Refused(refusal(*answer, tls.clone())))
        }
        Err(other) => Err(Over::lost(format!("opening the control connection failed: {other}"))),
    }
}

/// The refusal in an answer that is no upgrade; the rest of its body is read from the stream.
fn refusal(answer: Response<Option<Vec<u8>>>, tls: Shared) -> Refusal {
    let (parts, early) = answer.into_parts();
    let mut body = early.unwrap_or_default();
    let length: Option<u64> =
        parts.headers.get("Content-Length").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let missing = length.unwrap_or(0).min(REFUSAL_BYTES_MAX).saturating_sub(body.len() as u64);
    // A body that breaks off still leaves the status to go by.
    let _ = tls.take(missing).read_to_end(&mut body);
    login::refusal(parts.status.as_u16(), &body)
}
