//! Whether the agent goes on: asked regularly, it must answer. Counted in questions, not in time, so that a wrapper that
//! was itself stopped, or a machine that slept, blames nobody.

use std::time::Duration;

use crate::moment::Moment;

/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Questions in a row without an answer that make a hang: found 20 to 25 s after it began.
const UNANSWERED_MAX: u32 = 4;
/// An agent that has never answered is one from before the question, or one that has not come so far; it is not asked
/// without end, because the pipe holds only so much.
const NEVER_ANSWERED_MAX: u32 = 60;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Ask,
    Hangs,
}

/// The pulse of one process.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    next: Moment,
    unanswered: u32,
    has_answered: bool,
}

impl Pulse {
    /// It is asked at once: what has answered once is watched.
    pub(super) fn new(now: Moment) -> Self {
        Self { next: now, unanswered: 0, has_answered: false }
    }

    /// It has answered.
    pub(super) fn beat(&mut self) {
        self.unanswered = 0;
        self.has_answered = true;
    }

    /// What is due.
    pub(super) fn tick(&mut self, now: Moment) -> Option<Sign> {
        if !self.next.has_come(now) {
            return None;
        }
        self.next = now.plus(ASK_EVERY);
        match (self.has_answered, self.unanswered) {
            (true, UNANSWERED_MAX..) => return Some(Sign::Hangs),
            (false, NEVER_ANSWERED_MAX..) => return None,
            _ => {}
        }
        self.unanswered += 1;
        Some(Sign::Ask)
    }
}
