//! A server on loopback: TLS, the wrapper's control connection, and the download of the agent.

use std::io::{self, Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;
use sallyport_protocol::{ServerToWrapper, Timestamp, WrapperMessage};
use tungstenite::{Message, WebSocket};

use crate::home::Home;

const PATIENCE: Duration = Duration::from_secs(30);

/// What the server does; changed while it runs.
#[derive(Default)]
pub(crate) struct Manners {
    /// Answer logins with this instead: status and body.
    pub(crate) refuse: Option<(u16, String)>,
    /// The agent to offer: its bytes and what the checksum's header says.
    pub(crate) release: Option<(Vec<u8>, String)>,
    /// Do not acknowledge heartbeats.
    pub(crate) silent: bool,
}

pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) manners: Arc<Mutex<Manners>>,
    authority: String,
    heard: Receiver<WrapperMessage>,
    say: Arc<Mutex<Option<ServerToWrapper>>>,
    logins: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let (tell, heard) = channel();
        let server = Self {
            address,
            manners: Arc::default(),
            authority: certificate.pem(),
            heard,
            say: Arc::default(),
            logins: Arc::default(),
        };
        let (manners, say, logins) = (Arc::clone(&server.manners), Arc::clone(&server.say), Arc::clone(&server.logins));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (config, manners, say, logins, tell) =
                    (Arc::clone(&config), Arc::clone(&manners), Arc::clone(&say), Arc::clone(&logins), tell.clone());
                // A connection that the wrapper breaks off ends its thread.
                thread::spawn(move || drop(serve(stream, &config, &manners, &say, &logins, &tell)));
            }
        });
        server
    }

    /// A folder that trusts this server and logs in to it.
    pub(crate) fn home(&self, changes: &serde_json::Value) -> Home {
        let home = Home::at(&self.address, changes);
        home.write("server-ca.pem", &self.authority);
        home
    }

    /// The next message for which `wanted` gives something; others are passed over.
    #[track_caller]
    pub(crate) fn hear<T>(&self, mut wanted: impl FnMut(WrapperMessage) -> Option<T>) -> T {
        loop {
            let message = self.heard.recv_timeout(PATIENCE).expect("the wrapper says what is waited for");
            if let Some(found) = wanted(message) {
                return found;
            }
        }
    }

    /// Says something on the present connection.
    pub(crate) fn say(&self, message: ServerToWrapper) {
        *self.say.lock().unwrap() = Some(message);
    }

    /// The `Authorization` headers so far.
    pub(crate) fn logins(&self) -> Vec<String> {
        self.logins.lock().unwrap().clone()
    }

    pub(crate) fn offer(&self, program: &str, checksum: Option<&str>) {
        let right = sha256(program.as_bytes());
        let checksum = checksum.unwrap_or(&right).to_owned();
        self.manners.lock().unwrap().release = Some((program.as_bytes().to_vec(), checksum));
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A stream whose first bytes were read already.
struct Prefixed<S> {
    first: Cursor<Vec<u8>>,
    rest: S,
}

impl<S: Read> Read for Prefixed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.first.read(buffer)? {
            0 => self.rest.read(buffer),
            count => Ok(count),
        }
    }
}

impl<S: Write> Write for Prefixed<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.rest.flush()
    }
}

type Tls = StreamOwned<ServerConnection, TcpStream>;

fn serve(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    manners: &Mutex<Manners>,
    say: &Mutex<Option<ServerToWrapper>>,
    logins: &Mutex<Vec<String>>,
    tell: &Sender<WrapperMessage>,
) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut tls = StreamOwned::new(ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?, stream);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        tls.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let login = text.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization: ")).unwrap_or_default();
    logins.lock().unwrap().push(login.to_owned());
    if text.starts_with("GET /connect/release?platform=") {
        return release(&mut tls, &text, manners);
    }
    assert!(text.starts_with("GET /connect/wrapper HTTP/1.1\r\n"), "{text}");
    if let Some((status, body)) = manners.lock().unwrap().refuse.clone() {
        // In two writes, as a body may arrive after its header.
        write!(tls, "HTTP/1.1 {status} No\r\nContent-Length: {}\r\n\r\n", body.len())?;
        tls.flush()?;
        thread::sleep(Duration::from_millis(50));
        tls.write_all(body.as_bytes())?;
        return tls.flush();
    }
    let mut socket = tungstenite::accept(Prefixed { first: Cursor::new(head), rest: tls }).map_err(io::Error::other)?;
    socket.get_mut().rest.sock.set_read_timeout(Some(Duration::from_millis(50)))?;
    converse(&mut socket, manners, say, tell).map_err(io::Error::other)
}

fn release(tls: &mut Tls, head: &str, manners: &Mutex<Manners>) -> io::Result<()> {
    match manners.lock().unwrap().release.clone() {
        Some((_, checksum)) if head.contains(&format!("If-None-Match: \"{checksum}\"\r\n")) => {
            tls.write_all(b"HTTP/1.0 304 Not Modified\r\n\r\n")?;
        }
        Some((bytes, checksum)) => {
            write!(
                tls,
                "HTTP/1.0 200 OK\r\nContent-Length: {}\r\nX-Sallyport-Sha256: {checksum}\r\n\r\n",
                bytes.len()
            )?;
            tls.write_all(&bytes)?;
        }
        None => tls.write_all(b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n")?,
    }
    tls.flush()
}

fn converse(
    socket: &mut WebSocket<Prefixed<Tls>>,
    manners: &Mutex<Manners>,
    say: &Mutex<Option<ServerToWrapper>>,
    tell: &Sender<WrapperMessage>,
) -> tungstenite::Result<()> {
    let server_time = Timestamp(0);
    let answer = |message: &ServerToWrapper| Message::text(serde_json::to_string(message).unwrap());
    loop {
        if let Some(message) = say.lock().unwrap().take() {
            socket.send(answer(&message))?;
        }
        let text = match socket.read() {
            Ok(Message::Text(text)) => text,
            Ok(_) => continue,
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        let message: WrapperMessage = serde_json::from_str(&text).unwrap();
        match &message {
            WrapperMessage::Hello { .. } => {
                let name = "client-server".to_owned();
                socket.send(answer(&ServerToWrapper::Welcome {
                    version: 1,
                    name,
                    heartbeat_seconds: 60,
                    server_time,
                }))?;
            }
            WrapperMessage::Heartbeat { seq, .. } if !manners.lock().unwrap().silent => {
                socket.send(answer(&ServerToWrapper::HeartbeatAck { seq: *seq, server_time }))?;
            }
            WrapperMessage::Logs { batch } => socket.send(answer(&ServerToWrapper::LogsAck { seq: batch.seq }))?,
            _ => {}
        }
        if tell.send(message).is_err() {
            return Ok(());
        }
    }
}
