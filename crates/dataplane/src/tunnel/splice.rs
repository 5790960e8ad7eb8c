//! The middle of a stream: from line to line.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sallyport_protocol::{TunnelRefusal, TunnelWord};
use tokio::time::{Instant, timeout};

use super::{End, Event, Line, Reader, SETTLE_MAX, SILENCE_MAX, Writer};

/// How often the limits are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a stream may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Without a byte in either direction.
    pub idle: Duration,
    /// At all.
    pub total: Duration,
}

impl Limits {
    /// Returns when one is reached; `moved` tells the bytes so far.
    pub async fn reached(self, moved: impl Fn() -> u64 + Send) -> String {
        let began = Instant::now();
        let mut last = (began, 0);
        loop {
            tokio::time::sleep(LOOK_EVERY.min(self.idle)).await;
            let (now, bytes) = (Instant::now(), moved());
            if bytes != last.1 {
                last = (now, bytes);
            }
            if now - last.0 >= self.idle {
                return format!("nothing passed for {} s, the limit of an idle stream", self.idle.as_secs());
            }
            if now - began >= self.total {
                return format!("it lasted {} s, the limit of a stream", self.total.as_secs());
            }
        }
    }
}

/// What came of a stream.
pub struct Spliced {
    /// Bytes from the first line to the second.
    pub forth: u64,
    /// Bytes from the second line to the first.
    pub back: u64,
    /// How it ended.
    pub end: End,
    /// The first line, where it can carry another stream.
    pub first: Option<Line>,
    /// The second.
    pub second: Option<Line>,
}

/// Which directions of a line have had their last word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) sent: bool,
    pub(super) heard: bool,
}

/// Why one direction stopped.
enum Stop {
    Fin,
    /// The stream was broken off, by a word that was passed on.
    Reset(String),
    SourceLost(String),
    TargetLost(String),
}

/// Passes a stream on until it ends, comes to a limit, or `stop` says why not to go on.
pub async fn splice(
    mut first: Line,
    mut second: Line,
    limits: Limits,
    bytes: &AtomicU64,
    stop: impl Future<Output = String> + Send,
) -> Spliced {
    first.reader.grow();
    second.reader.grow();
    let (forth, back) = (AtomicU64::new(0), AtomicU64::new(0));
    let (mut forth_over, mut back_over) = (false, false);
    let mut lost = (false, false);
    let end = {
        let mut forward = std::pin::pin!(forward(&mut first.reader, &mut second.writer, &forth, bytes));
        let mut backward = std::pin::pin!(self::forward(&mut second.reader, &mut first.writer, &back, bytes));
        let moved = || forth.load(Ordering::Relaxed) + back.load(Ordering::Relaxed);
        let mut limit = std::pin::pin!(limits.reached(moved));
        let mut stop = std::pin::pin!(stop);
        loop {
            let (stopped, is_forth) = tokio::select! {
                stopped = &mut forward, if !forth_over => (stopped, true),
                stopped = &mut backward, if !back_over => (stopped, false),
                why = &mut limit => break End::Reset(why),
                why = &mut stop => break End::Reset(why),
            };
            match stopped {
                Stop::SourceLost(why) => {
                    lost = (is_forth, !is_forth);
                    break End::Lost(why);
                }
                Stop::TargetLost(why) => {
                    lost = (!is_forth, is_forth);
                    break End::Lost(why);
                }
                Stop::Fin if is_forth => forth_over = true,
                Stop::Fin => back_over = true,
                Stop::Reset(why) => {
                    let over = if is_forth { &mut forth_over } else { &mut back_over };
                    *over = true;
                    break End::Reset(why);
                }
            }
            if forth_over && back_over {
                break End::Done;
            }
        }
    };
    let of_first = Said { sent: back_over, heard: forth_over };
    let of_second = Said { sent: forth_over, heard: back_over };
    let settled = async |line: Line, said: Said, lost: bool| {
        if lost { None } else { settle(line, said, end.words()).await }
    };
    let (first, second) = tokio::join!(settled(first, of_first, lost.0), settled(second, of_second, lost.1));
    Spliced { forth: forth.into_inner(), back: back.into_inner(), end, first, second }
}

/// Says that a stream does not come about, and takes what the other side has sent for it already.
pub async fn refuse(mut line: Line, refusal: TunnelRefusal) -> Option<Line> {
    let words = refusal.message.clone();
    let refused = timeout(SETTLE_MAX, line.writer.word(&TunnelWord::Refused { refusal })).await;
    match refused {
        Ok(Ok(())) => settle(line, Said { sent: true, heard: false }, &words).await,
        _ => None,
    }
}

/// Answers a refusal or a reset of a stream that nothing was said on yet.
pub async fn dismiss(line: Line) -> Option<Line> {
    break_off(line, true, "it was refused").await
}

/// Says that all has been said, and waits for the other side's last word; `heard` where that came already.
pub async fn finish(mut line: Line, heard: bool) -> Option<Line> {
    if !line.writer.is_whole() {
        return None;
    }
    match timeout(SETTLE_MAX, line.writer.word(&TunnelWord::Fin)).await {
        Ok(Ok(())) => settle(line, Said { sent: true, heard }, "").await,
        _ => None,
    }
}

/// Breaks a stream off on this side; `heard` where the other side has had its last word.
pub async fn break_off(line: Line, heard: bool, why: &str) -> Option<Line> {
    settle(line, Said { sent: false, heard }, why).await
}

/// Each chunk is written before the next is read: a slow target slows its source through TCP.
async fn forward(source: &mut Reader, target: &mut Writer, mine: &AtomicU64, all: &AtomicU64) -> Stop {
    loop {
        let event = match timeout(SILENCE_MAX, source.next()).await {
            Ok(Ok(event)) => event,
            Ok(Err(error)) => return Stop::SourceLost(format!("a line broke: {error}")),
            Err(_) => return Stop::SourceLost(format!("nothing came on a line for {} s", SILENCE_MAX.as_secs())),
        };
        let (passed, stop) = match event {
            Event::Data(range) => {
                let count = range.len() as u64;
                mine.fetch_add(count, Ordering::Relaxed);
                all.fetch_add(count, Ordering::Relaxed);
                (target.frames(source.framed(range, target.masked())).await, None)
            }
            Event::Beat => (target.beat().await, None),
            Event::Word(word) => {
                let passed = target.word(&word).await;
                let stop = match word {
                    TunnelWord::Fin => Some(Stop::Fin),
                    TunnelWord::Reset { reason } => Some(Stop::Reset(reason)),
                    TunnelWord::Refused { refusal } => Some(Stop::Reset(refusal.message)),
                    _ => None,
                };
                (passed, stop)
            }
            Event::Closed => return Stop::SourceLost("a line was closed".to_owned()),
        };
        match (passed, stop) {
            (Err(error), _) => return Stop::TargetLost(format!("a line broke: {error}")),
            (Ok(()), Some(stop)) => return stop,
            (Ok(()), None) => {}
        }
    }
}

/// Brings both directions of a broken-off stream to their last word, so that the line can carry another; `None` where
/// that cannot be had soon.
pub(super) async fn settle(mut line: Line, said: Said, why: &str) -> Option<Line> {
    if !line.writer.is_whole() {
        return None;
    }
    let settling = async {
        if !said.sent {
            line.writer.word(&TunnelWord::Reset { reason: short(why) }).await.ok()?;
        }
        if said.heard {
            return Some(());
        }
        loop {
            match line.reader.next().await.ok()? {
                Event::Word(TunnelWord::Fin | TunnelWord::Reset { .. } | TunnelWord::Refused { .. }) => return Some(()),
                Event::Closed => return None,
                Event::Data(_) | Event::Word(_) | Event::Beat => {}
            }
        }
    };
    match timeout(SETTLE_MAX, settling).await {
        Ok(Some(())) => Some(line),
        _ => None,
    }
}

/// A reason fits into a word.
fn short(why: &str) -> String {
    let mut why = why.to_owned();
    sallyport_protocol::shorten(&mut why, 1024);
    why
}
