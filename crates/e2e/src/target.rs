//! Small services to reach through tunnels, each connection on a thread of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;

const PIECE_BYTES: usize = 256 * 1024;

/// A service on a free port of the loopback; it ends with the process.
pub struct Target {
    port: u16,
    open: Arc<AtomicUsize>,
}

impl Target {
    /// Says everything back.
    pub fn echo() -> Result<Self> {
        Self::start(|mut stream| {
            let mut buffer = [0; 16 * 1024];
            loop {
                match stream.read(&mut buffer)? {
                    0 => return Ok(()),
                    count => stream.write_all(&buffer[..count])?,
                }
            }
        })
    }

    /// Sends zeros as long as they are taken.
    pub fn flood() -> Result<Self> {
        Self::start(|mut stream| {
            loop {
                stream.write_all(&[0; PIECE_BYTES])?;
            }
        })
    }

    /// Takes whatever comes and says nothing.
    pub fn sink() -> Result<Self> {
        Self::start(|mut stream| {
            let mut buffer = vec![0; PIECE_BYTES];
            while stream.read(&mut buffer)? > 0 {}
            Ok(())
        })
    }

    /// HTTP: `GET /N` answers N zeros, `PUT` answers how many zeros came.
    pub fn http() -> Result<Self> {
        Self::start(http)
    }

    fn start(serve: fn(TcpStream) -> std::io::Result<()>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let open = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&open);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let count = Arc::clone(&count);
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    // A connection that breaks is a test's business.
                    let _ = stream.set_nodelay(true).and_then(|()| serve(stream));
                    count.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Ok(Self { port, open })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections that stand.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

fn http(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::with_capacity(PIECE_BYTES, stream.try_clone()?);
    let mut writer = stream;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let (mut length, mut expects) = (0_u64, false);
        let mut header = String::new();
        while reader.read_line(&mut header)? > 2 {
            let lower = header.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            expects |= lower.starts_with("expect:");
            header.clear();
        }
        if line.starts_with("PUT") {
            if expects {
                writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let zeros = count_zeros(&mut reader, length)?.to_string();
            write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{zeros}", zeros.len())?;
        } else {
            let path = line.split(' ').nth(1).unwrap_or_default();
            let mut left: usize = path.trim_start_matches('/').parse().unwrap_or(0);
            write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n")?;
            let piece = vec![0; PIECE_BYTES];
            while left > 0 {
                let count = left.min(PIECE_BYTES);
                writer.write_all(&piece[..count])?;
                left -= count;
            }
        }
        line.clear();
    }
    Ok(())
}

fn count_zeros(reader: &mut impl BufRead, length: u64) -> std::io::Result<u64> {
    let (mut zeros, mut left) = (0, length);
    while left > 0 {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        zeros += bytes[..count].iter().filter(|byte| **byte == 0).count() as u64;
        reader.consume(count);
        left -= count as u64;
    }
    Ok(zeros)
}
