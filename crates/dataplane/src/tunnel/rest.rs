//! Lines that wait for their next stream.

use std::future::Future;

use sallyport_protocol::TunnelWord;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};

use super::{BEAT_EVERY, Event, Line, SILENCE_MAX};

/// Waits for a word, showing that this side lives; `None` when the line has ended or was idle for too long.
pub async fn wait(line: &mut Line) -> Option<TunnelWord> {
    line.reader.shrink();
    let mut beat = interval_at(Instant::now() + BEAT_EVERY, BEAT_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silent_at = Instant::now() + SILENCE_MAX;
    loop {
        let event = tokio::select! {
            event = timeout_at(silent_at, line.reader.next()) => Some(event.ok()?.ok()?),
            _ = beat.tick() => None,
        };
        match event {
            None => line.writer.beat().await.ok()?,
            Some(Event::Word(word)) => return Some(word),
            Some(Event::Beat) => silent_at = Instant::now() + SILENCE_MAX,
            // Bytes belong to a stream.
            Some(Event::Data(_) | Event::Closed) => return None,
        }
    }
}

/// A line that is kept alive by a task until it is needed.
pub struct Rest {
    ask: oneshot::Sender<oneshot::Sender<Line>>,
}

impl Rest {
    /// The handle, and the task that keeps the line; it ends when the line is taken, lost, or not wanted any more.
    pub fn new(mut line: Line) -> (Self, impl Future<Output = ()> + Send) {
        let (ask, mut asked) = oneshot::channel::<oneshot::Sender<Line>>();
        let keeping = async move {
            let taker = tokio::select! {
                taker = &mut asked => taker,
                // Nobody speaks on a line at rest.
                _ = wait(&mut line) => return,
            };
            let unwanted = match taker {
                // A sign of life that was broken off would be taken for the beginning of something.
                Ok(_) if !line.writer.is_whole() => return,
                Ok(taker) => taker.send(line).err(),
                Err(_) => Some(line),
            };
            if let Some(mut line) = unwanted {
                // It is given up either way.
                let _ = tokio::time::timeout(super::SETTLE_MAX, line.writer.close()).await;
            }
        };
        (Self { ask }, keeping)
    }

    /// Whether the line was lost.
    pub fn is_over(&self) -> bool {
        self.ask.is_closed()
    }

    /// The line, unless it was lost.
    pub async fn take(self) -> Option<Line> {
        let (give, given) = oneshot::channel();
        self.ask.send(give).ok()?;
        given.await.ok()
    }
}

/// Lines at rest, each with what goes with it. Those that were not needed for a while are given up bit by bit.
pub struct Resting<T> {
    lines: Vec<(Rest, T)>,
    /// The fewest since the last sweep.
    least: usize,
}

impl<T> Default for Resting<T> {
    fn default() -> Self {
        Self { lines: Vec::new(), least: 0 }
    }
}

impl<T> Resting<T> {
    /// How many there are; some may have been lost.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Takes one in.
    pub fn put(&mut self, rest: Rest, with: T) {
        self.lines.push((rest, with));
    }

    /// The one that came last: its buffers are still warm.
    pub fn pop(&mut self) -> Option<(Rest, T)> {
        let last = self.lines.pop();
        self.least = self.least.min(self.lines.len());
        last
    }

    /// Forgets those that were lost.
    pub fn weed(&mut self) {
        self.lines.retain(|(rest, _)| !rest.is_over());
    }

    /// To be called regularly: gives up half of those that nobody needed since the last time, but for `kept`.
    pub fn sweep(&mut self, kept: usize) {
        self.weed();
        let spare = self.least.min(self.lines.len()).saturating_sub(kept).div_ceil(2);
        self.lines.drain(..spare);
        self.least = self.lines.len();
    }
}
