//! When a wrapper on trial does not work: a pure decision, from what the guard sees of it.

use std::time::Duration;

use crate::moment::Moment;

/// How long a new wrapper may take until it holds its lock, or a service manager until it starts one again.
const START_MAX: Duration = Duration::from_secs(30);
/// A wrapper whose lock nobody holds for so long has ended: a moment longer than one that hands over needs.
const GONE_MAX: Duration = Duration::from_secs(2);
/// How often it is tried whether the server can be reached, while the new wrapper is not online.
const TRY_EVERY: Duration = Duration::from_secs(10);
/// How long the new wrapper may be missed while the server can be reached: longer than a wrapper waits between two tries,
/// so that a network that comes back is no reason.
const MISSED_MAX: Duration = Duration::from_secs(90);

/// What is seen of the wrapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    /// The record still says that it is on trial.
    pub(super) on_trial: bool,
    /// Its process lives.
    pub(super) alive: bool,
    /// Somebody holds the wrapper's lock.
    pub(super) held: bool,
    /// Its status says that it has ended in order.
    pub(super) stopped: bool,
    /// Its status says that it is online.
    pub(super) online: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again in a while.
    Wait,
    /// Try whether the server can be reached, and say so with [`Watch::tried`].
    Try,
    /// There is nothing to watch any more.
    Done,
    /// It has ended by itself.
    Ended,
    /// It does not work; why.
    Broken(String),
}

/// The watch over one start of a wrapper.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// Somebody else starts it, who may take a while.
    patient: bool,
    began: Moment,
    /// It has held its lock once.
    ran: bool,
    gone_since: Option<Moment>,
    missed_since: Option<Moment>,
    try_at: Moment,
}

impl Watch {
    pub(super) fn new(patient: bool, now: Moment) -> Self {
        let try_at = now.plus(TRY_EVERY);
        Self { patient, began: now, ran: false, gone_since: None, missed_since: None, try_at }
    }

    /// Judges what is seen.
    pub(super) fn see(&mut self, sight: Sight, now: Moment) -> Verdict {
        if !sight.on_trial {
            return Verdict::Done;
        }
        if !sight.held {
            return self.without_lock(sight, now);
        }
        (self.ran, self.gone_since) = (true, None);
        if sight.online {
            self.missed_since = None;
            self.try_at = now.plus(TRY_EVERY);
            return Verdict::Wait;
        }
        match self.missed_since {
            Some(since) if now.since(since) >= MISSED_MAX => Verdict::Broken(format!(
                "it did not come online within {} s, while the version before reached the server",
                MISSED_MAX.as_secs()
            )),
            _ if self.try_at.has_come(now) => {
                self.try_at = now.plus(TRY_EVERY);
                Verdict::Try
            }
            _ => Verdict::Wait,
        }
    }

    fn without_lock(&mut self, sight: Sight, now: Moment) -> Verdict {
        if sight.stopped {
            return Verdict::Done;
        }
        if !self.ran && (sight.alive || self.patient) {
            let started = now.since(self.began) < START_MAX;
            let seconds = START_MAX.as_secs();
            return if started {
                Verdict::Wait
            } else {
                Verdict::Broken(format!("it did not start within {seconds} s"))
            };
        }
        let gone = now.since(*self.gone_since.get_or_insert(now));
        if gone >= GONE_MAX { Verdict::Ended } else { Verdict::Wait }
    }

    /// Whether the server could be reached. Where it cannot, nobody is to blame.
    pub(super) fn tried(&mut self, reached: bool, now: Moment) {
        self.missed_since = if reached { self.missed_since.or(Some(now)) } else { None };
    }
}

#[cfg(test)]
mod tests {
    use sallyport_protocol::Timestamp;

    use super::*;

    const WELL: Sight = Sight { on_trial: true, alive: true, held: true, stopped: false, online: true };

    fn at(seconds: u64) -> Moment {
        Moment { at: Timestamp(0), up: Duration::from_secs(seconds) }
    }

    fn new() -> Watch {
        Watch::new(false, at(0))
    }

    #[test]
    fn one_that_works_is_watched_until_it_is_kept() {
        let mut watch = new();
        assert!((0..500).all(|second| watch.see(WELL, at(second)) == Verdict::Wait));
        assert_eq!(watch.see(Sight { on_trial: false, ..WELL }, at(500)), Verdict::Done);
    }

    #[test]
    fn one_that_never_comes_online_is_broken_where_the_server_can_be_reached() {
        let offline = Sight { online: false, ..WELL };
        let run = |reached: &dyn Fn(u64) -> bool| {
            let mut watch = new();
            (0..1000).find(|second| match watch.see(offline, at(*second)) {
                Verdict::Try => {
                    watch.tried(reached(*second), at(*second));
                    false
                }
                verdict => matches!(verdict, Verdict::Broken(_)),
            })
        };
        assert_eq!(run(&|_| true), Some(100));
        // A network that is away, or comes and goes, is no reason.
        assert_eq!(run(&|_| false), None);
        assert_eq!(run(&|second| second % 80 != 0), None);
    }

    #[test]
    fn one_that_comes_online_in_time_is_not_missed() {
        let mut watch = new();
        let offline = Sight { online: false, ..WELL };
        assert_eq!(watch.see(offline, at(10)), Verdict::Try);
        watch.tried(true, at(10));
        assert_eq!(watch.see(WELL, at(99)), Verdict::Wait);
        assert_eq!(watch.see(offline, at(101)), Verdict::Wait);
    }

    #[test]
    fn one_that_ends_is_told_from_one_that_was_stopped_and_one_that_hangs() {
        let gone = Sight { alive: false, held: false, online: false, ..WELL };
        let mut crashed = new();
        assert_eq!(crashed.see(gone, at(1)), Verdict::Wait);
        assert_eq!(crashed.see(gone, at(3)), Verdict::Ended);
        let mut later = new();
        assert_eq!(later.see(WELL, at(1)), Verdict::Wait);
        assert_eq!(later.see(gone, at(50)), Verdict::Wait);
        assert_eq!(later.see(gone, at(52)), Verdict::Ended);
        let mut stopped = new();
        assert_eq!(stopped.see(WELL, at(1)), Verdict::Wait);
        assert_eq!(stopped.see(Sight { stopped: true, ..gone }, at(2)), Verdict::Done);
        let mut hung = new();
        assert_eq!(hung.see(Sight { alive: true, ..gone }, at(29)), Verdict::Wait);
        assert!(matches!(hung.see(Sight { alive: true, ..gone }, at(30)), Verdict::Broken(_)));
    }

    #[test]
    fn a_service_manager_gets_the_time_to_start_it() {
        let gone = Sight { alive: false, held: false, online: false, ..WELL };
        let mut watch = Watch::new(true, at(0));
        assert_eq!(watch.see(gone, at(20)), Verdict::Wait);
        assert_eq!(watch.see(WELL, at(21)), Verdict::Wait);
        assert_eq!(watch.see(gone, at(30)), Verdict::Wait);
        assert_eq!(watch.see(gone, at(32)), Verdict::Ended);
    }
}
