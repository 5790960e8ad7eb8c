//! Outcomes of orders: from the order's end until the server has stored it, and a while longer, for late repeats.

use std::collections::VecDeque;
use std::time::Duration;

use sallyport_protocol::{AttemptKey, OrderReport, RunId};

/// Outcomes kept after the server has stored them, to answer a late repeat of their order.
const REMEMBERED_MAX: usize = 256;

/// Outcomes kept for a server that is away: far more than it hands out.
const UNDELIVERED_MAX: usize = 10_000;

struct Outcome {
    report: OrderReport,
    /// In the journal: until then nobody hears of it.
    kept: bool,
    stored: bool,
    /// When it was sent on this connection.
    sent: Option<Duration>,
}

/// What became of an order that is sent again.
pub(super) enum Repeat {
    /// It has not ended here.
    Unknown,
    /// It has ended; nobody may hear of it yet.
    Unkept,
    /// It has ended so.
    Ended(Box<OrderReport>),
}

#[derive(Default)]
pub(super) struct Outcomes(VecDeque<Outcome>);

impl Outcomes {
    /// Adds those of an earlier process that the server has not stored.
    pub(super) fn restore(&mut self, reports: Vec<OrderReport>) {
        let kept = |report| Outcome { report, kept: true, stored: false, sent: None };
        self.0.extend(reports.into_iter().map(kept));
    }

    /// Adds one; gives the oldest undelivered one, dropped, where there are too many.
    pub(super) fn add(&mut self, report: OrderReport, kept: bool) -> Option<AttemptKey> {
        let full = self.undelivered().count() >= UNDELIVERED_MAX;
        let oldest = full.then(|| self.0.iter().position(|outcome| !outcome.stored)).flatten();
        let dropped = oldest.and_then(|index| self.0.remove(index)).map(|outcome| outcome.report.key);
        self.0.push_back(Outcome { report, kept, stored: false, sent: None });
        dropped
    }

    /// These are in the journal; gives those that may be told from now on.
    pub(super) fn kept(&mut self, keys: &[AttemptKey]) -> Vec<OrderReport> {
        let mut told = Vec::new();
        for outcome in self.0.iter_mut().filter(|outcome| keys.contains(&outcome.report.key)) {
            if !std::mem::replace(&mut outcome.kept, true) && !outcome.stored {
                told.push(outcome.report.clone());
            }
        }
        told
    }

    /// Orders that have ended without the server's having stored it.
    pub(super) fn undelivered(&self) -> impl Iterator<Item = AttemptKey> {
        self.0.iter().filter(|outcome| !outcome.stored).map(|outcome| outcome.report.key)
    }

    /// A connection is up: gives what is to be told on it.
    pub(super) fn tell_again(&mut self) -> Vec<OrderReport> {
        self.0.iter_mut().for_each(|outcome| outcome.sent = None);
        let told = self.0.iter().filter(|outcome| outcome.kept && !outcome.stored);
        told.map(|outcome| outcome.report.clone()).collect()
    }

    /// One was sent.
    pub(super) fn sent(&mut self, key: AttemptKey, at: Duration) {
        if let Some(outcome) = self.find(key) {
            outcome.sent = Some(at);
        }
    }

    /// The run of one that was sent and has not been stored for longer than `max`.
    pub(super) fn late(&self, at: Duration, max: Duration) -> Option<RunId> {
        let late =
            |outcome: &&Outcome| !outcome.stored && outcome.sent.is_some_and(|sent| at.saturating_sub(sent) > max);
        self.0.iter().find(late).map(|outcome| outcome.report.key.run)
    }

    /// An order is sent again: its outcome is told again.
    pub(super) fn repeat(&mut self, key: AttemptKey, at: Duration) -> Repeat {
        let Some(outcome) = self.find(key) else { return Repeat::Unknown };
        outcome.stored = false;
        if !outcome.kept {
            return Repeat::Unkept;
        }
        outcome.sent = Some(at);
        Repeat::Ended(Box::new(outcome.report.clone()))
    }

    /// The server has stored it.
    pub(super) fn stored(&mut self, key: AttemptKey) {
        if let Some(outcome) = self.find(key) {
            outcome.stored = true;
        }
        let mut spare = self.0.iter().filter(|outcome| outcome.stored).count().saturating_sub(REMEMBERED_MAX);
        self.0.retain(|outcome| {
            let drop = outcome.stored && spare > 0;
            spare -= usize::from(drop);
            !drop
        });
    }

    fn find(&mut self, key: AttemptKey) -> Option<&mut Outcome> {
        self.0.iter_mut().find(|outcome| outcome.report.key == key)
    }
}
