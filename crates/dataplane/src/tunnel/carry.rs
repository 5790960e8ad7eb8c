//! The end of a stream: between a TCP socket and a line.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use sallyport_protocol::TunnelWord;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::frame::HEAD_BYTES_MAX;
use super::line::{self, CHUNKS};
use super::splice::{Said, settle};
use super::{BEAT_EVERY, End, Event, Line, Reader, SETTLE_MAX, SILENCE_MAX, Socket, Writer};
use crate::bulk::Room;

/// What a stream has carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Bytes from the socket.
    pub sent: u64,
    /// Bytes to the socket.
    pub received: u64,
    /// How it ended.
    pub end: End,
}

/// What a stream has moved so far, for whoever looks on.
#[derive(Debug, Default)]
pub struct Moved {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Moved {
    /// Bytes both ways.
    pub fn total(&self) -> u64 {
        self.sent.load(Ordering::Relaxed) + self.received.load(Ordering::Relaxed)
    }

    /// Counts what went to the socket before the stream was carried.
    pub fn count_received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Why one direction stopped.
enum Stop {
    /// Its last byte has passed.
    Fin,
    /// The other side broke the stream off.
    Theirs(String),
    /// The socket broke.
    Ours(String),
    /// The line broke.
    Lost(String),
    /// It was asked to, and nothing is half said.
    Paused,
}

/// Joins a socket and a line until both directions have ended, or `stop` says why not to go on. Gives the line back where
/// it can carry another stream. `opened` hears what the other side says about the target.
pub async fn carry(
    mut line: Line,
    mut socket: impl Socket,
    moved: &Moved,
    stop: impl Future<Output = String> + Send,
    mut opened: impl FnMut(TunnelWord) + Send,
) -> (Carried, Option<Line>) {
    let Moved { sent, received } = moved;
    let mut said = Said::default();
    line.reader.grow();
    let peer = line.peer();
    let broken = {
        let (mut from, mut to) = socket.halves();
        let pause = CancellationToken::new();
        let mut outward = std::pin::pin!(outward(&mut from, &mut line.writer, sent, &pause, peer));
        let mut inward = std::pin::pin!(inward(&mut line.reader, &mut to, received, &mut opened, peer));
        let mut stop = std::pin::pin!(stop);
        let mut out_ended = false;
        let broken = loop {
            let (stopped, is_out) = tokio::select! {
                stopped = &mut outward, if !out_ended => (stopped, true),
                stopped = &mut inward, if !said.heard => (stopped, false),
                why = &mut stop => (Stop::Ours(why), false),
            };
            out_ended |= is_out;
            match stopped {
                Stop::Fin if is_out => said.sent = true,
                Stop::Fin => said.heard = true,
                Stop::Paused => {}
                Stop::Theirs(why) => {
                    said.heard = true;
                    break Some(End::Reset(why));
                }
                Stop::Ours(why) => break Some(End::Reset(why)),
                Stop::Lost(why) => break Some(End::Lost(why)),
            }
            if said.sent && said.heard {
                break None;
            }
        };
        if matches!(broken, Some(End::Reset(_))) && !out_ended {
            // A frame that is half said would cost the line.
            pause.cancel();
            let stopped = timeout(SETTLE_MAX, &mut outward).await;
            said.sent |= matches!(stopped, Ok(Stop::Fin));
        }
        broken
    };
    if let Some(broken) = &broken {
        // The other side of the socket must not take what came for all that there was.
        socket.break_off(broken.words());
    }
    drop(socket);
    let end = broken.unwrap_or(End::Done);
    let line = match &end {
        End::Lost(_) => None,
        End::Done => Some(line),
        End::Reset(why) => settle(line, said, why).await,
    };
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    (Carried { sent: load(sent), received: load(received), end }, line)
}

async fn outward(
    from: &mut (impl AsyncRead + Unpin + Send),
    to: &mut Writer,
    sent: &AtomicU64,
    pause: &CancellationToken,
    peer: &str,
) -> Stop {
    let mut room = Room::new(CHUNKS);
    let mut buffer = vec![0; HEAD_BYTES_MAX + room.bytes()];
    loop {
        let space = buffer.get_mut(HEAD_BYTES_MAX..).unwrap_or_default();
        let read = tokio::select! {
            biased;
            () = pause.cancelled() => return Stop::Paused,
            read = timeout(BEAT_EVERY, from.read(space)) => read,
        };
        let said = match read {
            Err(_) => {
                room.rest();
                buffer = vec![0; HEAD_BYTES_MAX + room.bytes()];
                to.beat().await
            }
            Ok(Ok(0)) => match to.word(&TunnelWord::Fin).await {
                Ok(()) => return Stop::Fin,
                Err(error) => Err(error),
            },
            Ok(Ok(count)) => {
                sent.fetch_add(count as u64, Ordering::Relaxed);
                let range = HEAD_BYTES_MAX..HEAD_BYTES_MAX + count;
                let passed = to.frames(line::framed(&mut buffer, range, to.masked())).await;
                room.note(count == room.bytes());
                buffer.resize(HEAD_BYTES_MAX + room.bytes(), 0);
                passed
            }
            Ok(Err(error)) => return Stop::Ours(words(&error)),
        };
        if let Err(error) = said {
            return Stop::Lost(broke(peer, &error));
        }
    }
}

async fn inward(
    from: &mut Reader,
    to: &mut (impl AsyncWrite + Unpin + Send),
    received: &AtomicU64,
    opened: &mut (impl FnMut(TunnelWord) + Send),
    peer: &str,
) -> Stop {
    loop {
        let event = match timeout(SILENCE_MAX, from.next()).await {
            Ok(Ok(event)) => event,
            Ok(Err(error)) => return Stop::Lost(broke(peer, &error)),
            Err(_) => return Stop::Lost(format!("nothing came from {peer} for {} s", SILENCE_MAX.as_secs())),
        };
        match event {
            Event::Data(range) => {
                received.fetch_add(range.len() as u64, Ordering::Relaxed);
                if let Err(error) = to.write_all(from.bytes(range)).await {
                    return Stop::Ours(words(&error));
                }
            }
            Event::Word(TunnelWord::Fin) => {
                return match to.shutdown().await {
                    Ok(()) => Stop::Fin,
                    Err(error) => Stop::Ours(words(&error)),
                };
            }
            Event::Word(TunnelWord::Reset { reason }) => return Stop::Theirs(reason),
            Event::Word(TunnelWord::Refused { refusal }) => {
                let message = refusal.message.clone();
                opened(TunnelWord::Refused { refusal });
                return Stop::Theirs(message);
            }
            Event::Word(word) => opened(word),
            Event::Beat => {}
            Event::Closed => return Stop::Lost(format!("{peer} closed the line")),
        }
    }
}

fn broke(peer: &str, error: &io::Error) -> String {
    format!("the line to {peer} broke: {error}")
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset => "the connection was reset".to_owned(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => "the connection was closed".to_owned(),
        _ => format!("the connection broke: {error}"),
    }
}
