//! Who is told in tests: a mail server (aiosmtpd, as a process of its own) and a program that takes webhooks.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::binaries::python;
use crate::process::{Process, free_port};

/// How long the mail server may take to start.
const START_MAX: Duration = Duration::from_secs(30);

/// No request takes longer to come.
const READ_MAX: Duration = Duration::from_secs(10);

/// The largest request that is read, in bytes.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

const SCRIPT: &str = include_str!("smtp.py");

/// A mail server that asks for STARTTLS and a login.
pub struct MailServer {
    /// Its port on the loopback.
    pub port: u16,
    folder: PathBuf,
    _process: Process,
}

impl MailServer {
    /// Who may log in, and with which password.
    pub const LOGIN: (&str, &str) = ("sallyport", "mail password of the test");

    /// Starts one that shows this certificate.
    pub fn start(folder: &Path, certificate: &Path, key: &Path) -> Result<Self> {
        let port = free_port()?;
        std::fs::create_dir_all(folder)?;
        let mut command = Command::new(python()?);
        command.args(["-c", SCRIPT]).arg(folder).arg(port.to_string()).arg(certificate).arg(key);
        command.args([Self::LOGIN.0, Self::LOGIN.1]);
        let mut process = Process::start("the mail server", &mut command, &folder.with_extension("log"))?;
        process.line("its start", START_MAX, |line| line == "listening")?;
        Ok(Self { port, folder: folder.to_path_buf(), _process: process })
    }

    /// The mails that came, the oldest first, as decoded text.
    pub fn mails(&self) -> Result<Vec<String>> {
        let mut numbers: Vec<u32> = std::fs::read_dir(&self.folder)?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".eml")?.parse().ok())
            .collect();
        numbers.sort_unstable();
        numbers
            .into_iter()
            .map(|number| {
                let file = self.folder.join(format!("{number}.eml"));
                std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))
            })
            .collect()
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Call {
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it came: signatures are over these bytes.
    pub body: Vec<u8>,
}

impl Call {
    /// A header's value, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body.
    pub fn json(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// Takes webhooks over plain HTTP, one at a time, until it is dropped.
pub struct Hook {
    /// Its address.
    pub url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    refuses: Arc<AtomicBool>,
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Hook {
    /// Starts to listen.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let (refuses, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (kept, refusing, stopping) = (Arc::clone(&calls), Arc::clone(&refuses), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                let refuse = refusing.load(Ordering::SeqCst);
                let Ok(call) = stream.map_err(anyhow::Error::from).and_then(|stream| take(stream, refuse)) else {
                    continue;
                };
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(call);
            }
        });
        Ok(Self { url: format!("http://127.0.0.1:{port}/told"), calls, refuses, port, stop, thread: Some(thread) })
    }

    /// From now on it answers 503, or takes what comes again.
    pub fn refuse(&self, refuse: bool) {
        self.refuses.store(refuse, Ordering::SeqCst);
    }

    /// The requests that came, also refused ones.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes it.
        let woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        if let (true, Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// Reads a request whose length is declared, and answers it.
fn take(mut stream: TcpStream, refuse: bool) -> Result<Call> {
    stream.set_read_timeout(Some(READ_MAX))?;
    let mut bytes = Vec::new();
    let call = loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part)?;
        anyhow::ensure!(count > 0 && bytes.len() < REQUEST_BYTES_MAX, "the request broke off");
        bytes.extend_from_slice(&part[..count]);
        if let Some(call) = parse(&bytes)? {
            break call;
        }
    };
    let status = if refuse { "503 Service Unavailable" } else { "204 No Content" };
    stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes())?;
    Ok(call)
}

/// The request, if all of it is there.
fn parse(bytes: &[u8]) -> Result<Option<Call>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end])?;
    let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    let headers: Vec<(String, String)> = head.lines().skip(1).filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").context("no length")?.1.parse::<usize>()?;
    let body = &bytes[end + 4..];
    Ok((body.len() >= length).then(|| Call { headers, body: body[..length].to_vec() }))
}
