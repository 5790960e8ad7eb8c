//! What is sent through: streams that move bytes for a while, and connections that say one byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use sallyport_protocol::Clock;

/// Bytes of one write.
const PIECE_BYTES: usize = 128 * 1024;

/// Streams fill their buffers before anything is counted.
const WARM_UP: Duration = Duration::from_millis(500);

/// A stream that stands still for so long fails the measurement.
const STILL_MAX: Duration = Duration::from_secs(20);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the target.
    Up,
    /// From the target.
    Down,
}

/// The far end: it does what the first byte of a connection says.
pub(crate) struct Far {
    pub(crate) port: u16,
    received: Arc<AtomicU64>,
}

impl Far {
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let received = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                // What the near end breaks off ends here too.
                thread::spawn(move || serve(stream, &counter));
            }
        });
        Ok(Self { port, received })
    }

    /// Bytes a second over `streams` connections to `port`, and what `around` makes of the time they flow.
    pub(crate) fn rate<T>(
        &self,
        port: u16,
        way: Way,
        streams: usize,
        lasts: Duration,
        around: impl FnOnce(Duration) -> Result<T>,
    ) -> Result<(f64, u64, T)> {
        let stop = Arc::new(AtomicBool::new(false));
        let down = Arc::new(AtomicU64::new(0));
        let mut near = Vec::new();
        for _ in 0..streams {
            let mut stream = connect(port)?;
            stream.write_all(if way == Way::Up { b"U" } else { b"D" })?;
            let (stop, down) = (Arc::clone(&stop), Arc::clone(&down));
            near.push(thread::spawn(move || move_bytes(stream, way, &stop, &down)));
        }
        thread::sleep(WARM_UP);
        let counter = if way == Way::Up { &self.received } else { &down };
        let clock = Clock::system();
        let (began, before) = (clock.now(), counter.load(Ordering::Relaxed));
        let made = around(lasts);
        let (took, bytes) = (clock.now().since(began), counter.load(Ordering::Relaxed) - before);
        stop.store(true, Ordering::Relaxed);
        for one in near {
            one.join().ok().context("a stream's thread fell over")?.context("a stream broke")?;
        }
        Ok((bytes as f64 / took.as_secs_f64(), bytes, made?))
    }
}

fn serve(mut stream: TcpStream, received: &AtomicU64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; PIECE_BYTES];
    let mut word = [0];
    stream.read_exact(&mut word)?;
    loop {
        match word[0] {
            b'D' => stream.write_all(&buffer)?,
            what => match stream.read(&mut buffer)? {
                0 => return Ok(()),
                count if what == b'U' => {
                    received.fetch_add(count as u64, Ordering::Relaxed);
                }
                count => stream.write_all(&buffer[..count])?,
            },
        }
    }
}

fn move_bytes(mut stream: TcpStream, way: Way, stop: &AtomicBool, down: &AtomicU64) -> std::io::Result<()> {
    let mut buffer = vec![0; PIECE_BYTES];
    while !stop.load(Ordering::Relaxed) {
        match way {
            Way::Up => stream.write_all(&buffer)?,
            Way::Down => match stream.read(&mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => {
                    down.fetch_add(count as u64, Ordering::Relaxed);
                }
            },
        }
    }
    Ok(())
}

/// Times of `count` connections, one after the other, each from its dialling to its echo; sorted.
pub(crate) fn connects(port: u16, count: usize) -> Result<Vec<Duration>> {
    let clock = Clock::system();
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let began = clock.now();
        let mut stream = connect(port)?;
        stream.write_all(b"Ex")?;
        stream.read_exact(&mut [0])?;
        times.push(clock.now().since(began));
    }
    times.sort();
    Ok(times)
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("dialling port {port}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STILL_MAX))?;
    stream.set_write_timeout(Some(STILL_MAX))?;
    Ok(stream)
}
