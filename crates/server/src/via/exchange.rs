//! One request and its answer, over a stream that an agent has opened: both directions at one time.

use std::future::Future;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use sallyport_dataplane::tunnel::{self, Event, Limits, Line, Moved, Reader, SILENCE_MAX, Split};
use sallyport_protocol::TunnelWord;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::Place;
use super::answer::{self, Answer, Framing, Parsed};
use super::ask::Sends;
use super::body::Decoder;
use super::upload::{Progress, Stopped, send};

/// Pieces of an answer that wait for a slow reader; each is at most a buffer of the line.
const PIECES_MAX: usize = 4;

/// How long what was begun may take to end in order.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long the person's side may take to change over to a WebSocket.
const UPGRADE_MAX: Duration = Duration::from_secs(10);

/// An exchange without a byte for so long is over, whatever it is; and one that has lasted so long.
const LIMITS: Limits = Limits { idle: Duration::from_secs(3600), total: Duration::from_secs(7 * 24 * 3600) };

/// What is exchanged, once the service has the request's head.
pub(crate) struct Exchange {
    /// The request's body.
    pub(crate) body: Body,
    /// How it is sent.
    pub(crate) sends: Sends,
    /// Whether the service is to be heard before it is.
    pub(crate) expects: bool,
    /// Whether the answer has no body whatever it says: to HEAD.
    pub(crate) bodiless: bool,
    /// Given where a WebSocket was asked for.
    pub(crate) upgrade: Option<OnUpgrade>,
    /// How long the service may take to begin its answer, from the last byte of the body.
    pub(crate) answer_max: Duration,
    /// Where it is.
    pub(crate) place: Place,
    /// Whether pages of any origin may read the answer.
    pub(crate) open: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// None came for so long.
    Silent(Duration),
    /// What came is none, or the stream broke.
    Broken(String),
}

/// What came of an exchange.
pub(crate) struct Done {
    /// Bytes of the request's body, or of a WebSocket towards the service.
    pub(crate) sent: u64,
    /// Bytes of the answer.
    pub(crate) received: u64,
    /// In words for a log.
    pub(crate) reason: String,
    /// The line, where it can carry another stream.
    pub(crate) line: Option<Line>,
}

/// A piece of an answer's body; without `End` it broke off.
enum Piece {
    Data(Bytes),
    End,
}

/// How the answer's direction ended.
enum Down {
    /// All of it came; `heard`: and the stream's end with it.
    Whole {
        heard: bool,
    },
    /// It is a WebSocket from here on; what came of that already.
    Switched(Vec<u8>),
    /// The person's side hears no more.
    Gone,
    /// The stream broke off.
    Broken {
        heard: bool,
        why: String,
    },
    Lost(String),
}

/// Carries an exchange to its end. `answered` hears of the answer as soon as its head is there; it goes on until its body
/// has come, is not wanted any more, or `stop` says why not to go on.
pub(crate) async fn run(
    mut line: Line,
    exchange: Exchange,
    answered: oneshot::Sender<Result<Response, NoAnswer>>,
    stop: impl Future<Output = String> + Send,
) -> Done {
    let Exchange { body, sends, expects, bodiless, upgrade, answer_max, place, open } = exchange;
    let (progress, moved) = (Progress::new(), Moved::default());
    line.reader.grow();
    let mut stop = std::pin::pin!(stop);
    let wanted = Wanted { bodiless, upgrades: upgrade.is_some(), answer_max, place, open };
    let down = {
        let mut up = std::pin::pin!(send(body, sends, expects, &mut line.writer, &progress));
        let mut down = std::pin::pin!(receive(&mut line.reader, &wanted, &progress, &moved, answered));
        let mut limit = std::pin::pin!(LIMITS.reached(|| moved.total() + progress.sent.load(Ordering::Relaxed)));
        let mut up_over = false;
        let ended = loop {
            let stopped = tokio::select! {
                ended = &mut down => break ended,
                stopped = &mut up, if !up_over => stopped,
                why = &mut stop => break Down::Broken { heard: false, why },
                why = &mut limit => break Down::Broken { heard: false, why },
            };
            up_over = true;
            match stopped {
                Stopped::Theirs(why) => break Down::Broken { heard: false, why },
                // What the service has said until then is still heard.
                Stopped::Line | Stopped::Paused => {}
            }
        };
        progress.pause.cancel();
        if !up_over {
            // A frame that is half said would cost the line.
            let _ = timeout(PAUSE_MAX, &mut up).await;
        }
        ended
    };
    let sent = progress.sent.load(Ordering::Relaxed);
    let done = |line, reason: String| Done { sent, received: moved.total(), reason, line };
    match down {
        Down::Whole { heard } if progress.is_whole.load(Ordering::Relaxed) => {
            done(tunnel::finish(line, heard).await, "done".to_owned())
        }
        Down::Whole { heard } => {
            let why = "the answer was there before the request's body";
            done(tunnel::break_off(line, heard, why).await, why.to_owned())
        }
        Down::Gone => {
            let why = "the person's side heard no more";
            done(tunnel::break_off(line, false, why).await, why.to_owned())
        }
        Down::Broken { heard, why } => done(tunnel::break_off(line, heard, &why).await, why),
        Down::Lost(why) => done(None, why),
        Down::Switched(rest) => match upgrade {
            Some(upgrade) => switched(line, upgrade, &rest, stop).await,
            None => done(None, "it speaks another protocol unasked".to_owned()),
        },
    }
}

/// A WebSocket, whose bytes are nobody's business here.
async fn switched(line: Line, upgrade: OnUpgrade, rest: &[u8], stop: impl Future<Output = String> + Send) -> Done {
    let upgraded = match timeout(UPGRADE_MAX, upgrade).await {
        Ok(Ok(upgraded)) => upgraded,
        _ => {
            let why = "the person's side did not change over";
            let line = tunnel::break_off(line, false, why).await;
            return Done { sent: 0, received: 0, reason: why.to_owned(), line };
        }
    };
    let mut io = TokioIo::new(upgraded);
    if let Err(error) = io.write_all(rest).await {
        let why = format!("the person's side broke off: {error}");
        return Done { sent: 0, received: 0, reason: why.clone(), line: tunnel::break_off(line, false, &why).await };
    }
    let moved = Moved::default();
    let ending = async {
        tokio::select! {
            why = stop => why,
            why = LIMITS.reached(|| moved.total()) => why,
        }
    };
    let socket = Split { io, break_off: |_| {} };
    let (carried, line) = tunnel::carry(line, socket, &moved, ending, |_| {}).await;
    let received = carried.received + rest.len() as u64;
    Done { sent: carried.sent, received, reason: carried.end.words().to_owned(), line }
}

/// What the answer is to be.
struct Wanted {
    bodiless: bool,
    upgrades: bool,
    answer_max: Duration,
    place: Place,
    open: bool,
}

/// What came next.
enum Came {
    Bytes(std::ops::Range<usize>),
    End,
    Reset(String),
    Nothing,
    Lost(String),
}

async fn next(reader: &mut Reader, silent_at: Instant) -> Came {
    match timeout_at(silent_at, reader.next()).await {
        Err(_) => Came::Lost("the line to the agent was silent".to_owned()),
        Ok(Err(error)) => Came::Lost(format!("the line to the agent broke: {error}")),
        Ok(Ok(Event::Closed)) => Came::Lost("the agent closed the line".to_owned()),
        Ok(Ok(Event::Data(range))) => Came::Bytes(range),
        Ok(Ok(Event::Word(TunnelWord::Fin))) => Came::End,
        Ok(Ok(Event::Word(TunnelWord::Reset { reason }))) => Came::Reset(reason),
        Ok(Ok(Event::Word(TunnelWord::Refused { refusal }))) => Came::Reset(refusal.message),
        Ok(Ok(Event::Word(_) | Event::Beat)) => Came::Nothing,
    }
}

async fn receive(
    reader: &mut Reader,
    wanted: &Wanted,
    progress: &Progress,
    moved: &Moved,
    mut answered: oneshot::Sender<Result<Response, NoAnswer>>,
) -> Down {
    let (answer, rest) = match head(reader, wanted, progress, moved, &mut answered).await {
        Ok(head) => head,
        Err(no_head) => {
            let NoHead { down, told } = *no_head;
            if let Some(told) = told {
                // Whoever asked may have gone.
                let _ = answered.send(Err(told));
            }
            return down;
        }
    };
    let headers = answer.outward(&wanted.place, wanted.open);
    let mut decoder = Decoder::new(answer.framing);
    let (pieces, waiting) = mpsc::channel(PIECES_MAX);
    let body = if decoder.is_over() { Body::empty() } else { body(waiting) };
    let mut response = Response::new(body);
    (*response.status_mut(), *response.headers_mut()) = (answer.status, headers);
    if answered.send(Ok(response)).is_err() {
        return Down::Gone;
    }
    if answer.framing == Framing::Switched {
        return Down::Switched(rest);
    }
    match passed(&mut decoder, &rest, &pieces).await {
        Ok(()) => {}
        Err(down) => return down,
    }
    let mut silent_at = Instant::now() + SILENCE_MAX;
    while !decoder.is_over() {
        let came = tokio::select! {
            came = next(reader, silent_at) => came,
            () = pieces.closed() => return Down::Gone,
        };
        silent_at = Instant::now() + SILENCE_MAX;
        match came {
            Came::Nothing => {}
            Came::Bytes(range) => {
                moved.count_received(range.len() as u64);
                if let Err(down) = passed(&mut decoder, reader.bytes(range), &pieces).await {
                    return down;
                }
                // A slow reader is no silent agent.
                silent_at = Instant::now() + SILENCE_MAX;
            }
            Came::End if decoder.may_end() => {
                // The reader may have left at the very end.
                let _ = pieces.send(Piece::End).await;
                return Down::Whole { heard: true };
            }
            Came::End => return Down::Broken { heard: true, why: "the answer ended before it was whole".to_owned() },
            Came::Reset(why) => return Down::Broken { heard: true, why },
            Came::Lost(why) => return Down::Lost(why),
        }
    }
    let _ = pieces.send(Piece::End).await;
    Down::Whole { heard: false }
}

/// Hands on what of these bytes is the body's.
async fn passed(decoder: &mut Decoder, mut bytes: &[u8], pieces: &mpsc::Sender<Piece>) -> Result<(), Down> {
    while !bytes.is_empty() && !decoder.is_over() {
        let (piece, used) = decoder.take(bytes).map_err(|why| Down::Broken { heard: false, why })?;
        if !piece.is_empty() {
            let piece = Piece::Data(Bytes::copy_from_slice(piece));
            pieces.send(piece).await.map_err(|_| Down::Gone)?;
        }
        bytes = bytes.get(used..).unwrap_or_default();
    }
    Ok(())
}

/// There is no answer, and why.
struct NoHead {
    down: Down,
    told: Option<NoAnswer>,
}

/// Reads until the answer's head is whole; gives what came behind it too.
async fn head(
    reader: &mut Reader,
    wanted: &Wanted,
    progress: &Progress,
    moved: &Moved,
    answered: &mut oneshot::Sender<Result<Response, NoAnswer>>,
) -> Result<(Answer, Vec<u8>), Box<NoHead>> {
    let broken = |heard: bool, why: String| {
        let told = Some(NoAnswer::Broken(why.clone()));
        Box::new(NoHead { down: Down::Broken { heard, why }, told })
    };
    let mut head = Vec::new();
    let mut last = Instant::now();
    loop {
        let due = progress.moved_at() + wanted.answer_max;
        let came = tokio::select! {
            came = timeout_at(due, next(reader, last + SILENCE_MAX)) => came,
            () = answered.closed() => return Err(Box::new(NoHead { down: Down::Gone, told: None })),
        };
        match came {
            Err(_) if progress.moved_at() + wanted.answer_max > Instant::now() => continue,
            Err(_) => {
                let why = format!("it did not begin its answer within {} s", wanted.answer_max.as_secs());
                let told = Some(NoAnswer::Silent(wanted.answer_max));
                return Err(Box::new(NoHead { down: Down::Broken { heard: false, why }, told }));
            }
            Ok(Came::Nothing) => {}
            Ok(Came::Bytes(range)) => {
                moved.count_received(range.len() as u64);
                head.extend_from_slice(reader.bytes(range));
                loop {
                    match answer::parse(&head, wanted.bodiless, wanted.upgrades).map_err(|why| broken(false, why))? {
                        Parsed::More => break,
                        Parsed::Interim { go_on, bytes } => {
                            head.drain(..bytes);
                            if go_on {
                                progress.go_ahead.notify_one();
                            }
                        }
                        Parsed::Whole { answer, bytes } => return Ok((*answer, head.split_off(bytes))),
                    }
                }
            }
            Ok(Came::End) => return Err(broken(true, "it closed the connection without an answer".to_owned())),
            Ok(Came::Reset(why)) => return Err(broken(true, why)),
            Ok(Came::Lost(why)) => {
                return Err(Box::new(NoHead { down: Down::Lost(why.clone()), told: Some(NoAnswer::Broken(why)) }));
            }
        }
        last = Instant::now();
    }
}

/// A body whose pieces come one by one; one that breaks off is an error, so that half an answer does not look whole.
fn body(waiting: mpsc::Receiver<Piece>) -> Body {
    Body::from_stream(stream::unfold(Some(waiting), async |waiting| {
        let mut waiting = waiting?;
        match waiting.recv().await {
            Some(Piece::Data(bytes)) => Some((Ok(bytes), Some(waiting))),
            Some(Piece::End) => None,
            None => Some((Err(io::Error::new(io::ErrorKind::ConnectionReset, "the answer broke off")), None)),
        }
    }))
}
