//! Heartbeats: when the next is due, how late its answer is, how far the clocks are apart, and gaps in our own life.

use std::time::Duration;

use sallyport_protocol::Timestamp;

/// Offsets from here on are worth a warning: certificates, log times and schedules suffer.
const OFFSET_WARN: Duration = Duration::from_secs(5);

/// A pause of the process from here on is a gap.
const GAP: Duration = Duration::from_secs(20);

/// Two clocks go with it: the machine's for what is told, a monotonic one (time since the start) for what is measured.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    every: Option<Duration>,
    seq: u64,
    due: Duration,
    waiting: Option<Waiting>,
    last_tick: Option<(Duration, Timestamp)>,
    warned: bool,
}

#[derive(Debug)]
struct Waiting {
    seq: u64,
    at: Duration,
    said_at: Timestamp,
}

/// What an answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) round_trip: Duration,
    /// Server's clock minus ours, in milliseconds.
    pub(super) offset_ms: i64,
    /// Whether to warn of the offset: once until it is small again.
    pub(super) warn: bool,
}

impl Heartbeat {
    /// A session begins: the first heartbeat is due at once, to measure the offset.
    pub(super) fn begin(&mut self, every: Duration, at: Duration) {
        self.every = Some(every.max(Duration::from_secs(1)));
        self.due = at;
        self.waiting = None;
    }

    /// Between sessions nothing is due.
    pub(super) fn pause(&mut self) {
        self.every = None;
        self.waiting = None;
        // Nobody counts between sessions.
        self.last_tick = None;
    }

    /// The number to send now, if one is due.
    pub(super) fn due(&mut self, at: Duration, now: Timestamp) -> Option<u64> {
        let every = self.every?;
        if at < self.due || self.waiting.is_some() {
            return None;
        }
        self.seq += 1;
        self.due = at + every;
        self.waiting = Some(Waiting { seq: self.seq, at, said_at: now });
        Some(self.seq)
    }

    /// How long the last heartbeat has gone unanswered.
    pub(super) fn unanswered(&self, at: Duration) -> Option<Duration> {
        self.waiting.as_ref().map(|waiting| at.saturating_sub(waiting.at))
    }

    /// The server answered.
    pub(super) fn answered(&mut self, seq: u64, server_time: Timestamp, at: Duration) -> Option<Measured> {
        let waiting = self.waiting.take_if(|waiting| waiting.seq == seq)?;
        let round_trip = at.saturating_sub(waiting.at);
        let middle = waiting.said_at.plus(round_trip / 2);
        let offset_ms = server_time.0.saturating_sub(middle.0) / 1000;
        let large = u128::from(offset_ms.unsigned_abs()) > OFFSET_WARN.as_millis();
        let warn = large && !self.warned;
        self.warned = large;
        Some(Measured { round_trip, offset_ms, warn })
    }

    /// To be called about once a second; tells a gap since the last call and its likely cause.
    pub(super) fn tick(&mut self, at: Duration, now: Timestamp) -> Option<(Duration, &'static str)> {
        let (last_at, last_now) = self.last_tick.replace((at, now))?;
        let measured = at.saturating_sub(last_at);
        let told = now.since(last_now);
        if measured > GAP {
            Some((measured, "the process was stopped or the machine was overloaded"))
        } else if told > measured + GAP {
            Some((told, "the machine slept or its clock was set"))
        } else {
            None
        }
    }
}
