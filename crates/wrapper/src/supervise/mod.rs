//! When to start, end and restart the agent: a pure state machine. Events and the time go in, effects come out.

mod pulse;

use std::time::Duration;

use sallyport_protocol::{AgentExit, ExitCause};
use sallyport_site::backoff::{Backoff, Jitter};

use crate::moment::Moment;
use pulse::{Pulse, Sign};

/// The agent asks to be started again at once.
pub(crate) const EXIT_RESTART: i32 = 75;
/// The agent cannot work with its settings.
pub(crate) const EXIT_BAD_CONFIGURATION: u8 = 78;

/// The wrapper ends so that another version of it takes over; no process ever ends with it.
pub(crate) const EXIT_HAND_OVER: u8 = 79;

/// The first delay before a restart; doubles up to [`BACKOFF_CAP`].
const BACKOFF_BASE: Duration = Duration::from_secs(1);
/// The longest delay, and the one after bad settings, which no restart mends.
const BACKOFF_CAP: Duration = Duration::from_secs(5 * 60);
/// An agent that ran this long was well: its next failure starts the delays anew.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// How long an agent may take to end by itself: more than its own deadlines add up to.
const END_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a stop waits for a start that goes on: a download may take as long as the network likes.
const START_MAX: Duration = Duration::from_secs(3);
/// An agent that asks for a restart sooner than this is restarted with the usual delay, or it would spin.
const RESTART_AT_ONCE_AFTER: Duration = Duration::from_secs(1);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Time passed.
    Tick,
    /// The agent runs.
    Started { process_id: u32 },
    /// It could not be started.
    StartFailed { reason: String },
    /// It has given a sign of progress.
    Beat,
    /// It ended.
    Ended(Exit),
    /// A person, a signal or the platform wants it restarted.
    RestartAsked,
    /// A person or a signal wants everything to end.
    StopAsked,
    /// Another version of the wrapper is to take over.
    HandOverAsked,
    /// The trial of this installation is over (`IsTesting`).
    TrialFailed,
}

/// How the process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stderr: Vec<String>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Start the agent; answer with [`Event::Started`], later [`Event::Ended`], or with [`Event::StartFailed`].
    Start,
    /// Ask it through the life pipe to end.
    AskToEnd,
    /// Ask it through the life pipe for a sign of progress; answered with [`Event::Beat`].
    AskForBeat,
    /// Say that it hangs.
    ReportHang { process_id: u32 },
    /// Kill it and what it started.
    Kill,
    /// Tell the server that it runs.
    ReportStart { process_id: u32 },
    /// Tell the server that it ended.
    ReportExit(AgentExit),
    /// End the wrapper with this exit code.
    Finish(u8),
}

/// What the agent is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Between the decision to start and the process: it may be downloaded first. After a stop it is waited for until
    /// `leave_at`; what then still starts finds its life pipe closed.
    Starting { leave_at: Option<Moment> },
    /// The process lives.
    Running { process_id: u32, since: Moment },
    /// It was asked to end, and is killed at `kill_at` (once: then `None`).
    Ending { process_id: u32, since: Moment, kill_at: Option<Moment> },
    /// It is started again at `until`.
    Waiting { until: Moment },
    /// Nothing more happens.
    Finished,
}

/// What to do once the agent has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    KeepAlive,
    Restart,
    Finish(u8),
}

/// The state machine.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    state: State,
    then: Then,
    backoff: Backoff,
    restarts: u32,
    testing: bool,
    /// Of the process that runs.
    pulse: Pulse,
    /// It was killed because it hung.
    hung: bool,
}

impl Supervisor {
    /// A supervisor that starts the agent at its first tick. With `testing`, bad settings end it.
    pub(crate) fn new(now: Moment, testing: bool) -> Self {
        Self {
            state: State::Waiting { until: now },
            then: Then::KeepAlive,
            backoff: Backoff::new(BACKOFF_BASE, BACKOFF_CAP, Jitter::Half),
            restarts: 0,
            testing,
            pulse: Pulse::new(now),
            hung: false,
        }
    }

    /// What the agent is doing.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// How often the agent was started again.
    pub(crate) fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Takes an event; `random` is from 0 up to 1.
    pub(crate) fn on(&mut self, event: Event, now: Moment, random: f64) -> Vec<Effect> {
        match event {
            Event::Tick => self.tick(now),
            Event::Started { .. } | Event::StartFailed { .. } if self.state == State::Finished => Vec::new(),
            Event::Started { process_id } => self.started(process_id, now),
            Event::StartFailed { reason } => {
                let exit = Exit { stderr: vec![reason], ..Exit::default() };
                self.ended(exit, Duration::ZERO, now, random)
            }
            Event::Ended(exit) => match self.state {
                State::Running { since, .. } | State::Ending { since, .. } => {
                    self.ended(exit, now.since(since), now, random)
                }
                _ => Vec::new(),
            },
            Event::Beat => {
                self.pulse.beat();
                Vec::new()
            }
            Event::RestartAsked => self.asked(Then::Restart, now),
            Event::StopAsked => self.asked(Then::Finish(0), now),
            Event::HandOverAsked => self.asked(Then::Finish(EXIT_HAND_OVER), now),
            Event::TrialFailed => self.asked(Then::Finish(EXIT_BAD_CONFIGURATION), now),
        }
    }

    fn tick(&mut self, now: Moment) -> Vec<Effect> {
        match &mut self.state {
            State::Running { process_id, since } => {
                let (process_id, since) = (*process_id, *since);
                match self.pulse.tick(now) {
                    None => Vec::new(),
                    Some(Sign::Ask) => vec![Effect::AskForBeat],
                    Some(Sign::Hangs) => {
                        self.hung = true;
                        self.state = State::Ending { process_id, since, kill_at: None };
                        vec![Effect::ReportHang { process_id }, Effect::Kill]
                    }
                }
            }
            State::Starting { leave_at } if leave_at.is_some_and(|at| at.has_come(now)) => self.go_on(),
            State::Waiting { until } if until.has_come(now) => {
                self.state = State::Starting { leave_at: None };
                vec![Effect::Start]
            }
            State::Ending { kill_at, .. } if kill_at.is_some_and(|at| at.has_come(now)) => {
                *kill_at = None;
                vec![Effect::Kill]
            }
            _ => Vec::new(),
        }
    }

    fn started(&mut self, process_id: u32, now: Moment) -> Vec<Effect> {
        self.pulse = Pulse::new(now);
        let mut effects = vec![Effect::ReportStart { process_id }];
        if self.then == Then::KeepAlive {
            self.state = State::Running { process_id, since: now };
        } else {
            effects.push(self.end(process_id, now, now));
        }
        effects
    }

    fn asked(&mut self, then: Then, now: Moment) -> Vec<Effect> {
        // To stop weighs more than to restart, and the first reason to stop counts.
        if !matches!(self.then, Then::Finish(_)) {
            self.then = then;
        }
        match self.state {
            State::Running { process_id, since } => vec![self.end(process_id, since, now)],
            State::Waiting { .. } => self.go_on(),
            State::Starting { leave_at: None } if matches!(self.then, Then::Finish(_)) => {
                self.state = State::Starting { leave_at: Some(now.plus(START_MAX)) };
                Vec::new()
            }
            State::Starting { .. } | State::Ending { .. } | State::Finished => Vec::new(),
        }
    }

    fn end(&mut self, process_id: u32, since: Moment, now: Moment) -> Effect {
        self.state = State::Ending { process_id, since, kill_at: Some(now.plus(END_TIMEOUT)) };
        Effect::AskToEnd
    }

    fn ended(&mut self, exit: Exit, ran: Duration, now: Moment, random: f64) -> Vec<Effect> {
        let expected = self.then != Then::KeepAlive;
        let hung = std::mem::take(&mut self.hung);
        if self.testing && !expected && exit.code == Some(i32::from(EXIT_BAD_CONFIGURATION)) {
            self.then = Then::Finish(EXIT_BAD_CONFIGURATION);
        }
        if ran >= STABLE_AFTER {
            self.backoff.reset();
        }
        let delay = match (self.then, exit.code) {
            (Then::Finish(_) | Then::Restart, _) => Duration::ZERO,
            (Then::KeepAlive, Some(EXIT_RESTART)) if ran >= RESTART_AT_ONCE_AFTER => Duration::ZERO,
            (Then::KeepAlive, Some(code)) if code == i32::from(EXIT_BAD_CONFIGURATION) => BACKOFF_CAP,
            (Then::KeepAlive, _) => self.backoff.next(random),
        };
        let report = AgentExit {
            at: now.at,
            code: exit.code,
            signal: exit.signal,
            stderr: exit.stderr,
            restarts: self.restarts,
            next_start_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            expected: (expected && !hung) || exit.code == Some(EXIT_RESTART),
            cause: hung.then_some(ExitCause::Hang),
        };
        self.state = State::Waiting { until: now.plus(delay) };
        let mut effects = vec![Effect::ReportExit(report)];
        if delay.is_zero() {
            effects.extend(self.go_on());
        } else {
            self.restarts = self.restarts.saturating_add(1);
        }
        effects
    }

    /// Nothing runs: does at once what was asked for.
    fn go_on(&mut self) -> Vec<Effect> {
        match self.then {
            Then::Finish(code) => {
                self.state = State::Finished;
                vec![Effect::Finish(code)]
            }
            Then::Restart | Then::KeepAlive => {
                self.then = Then::KeepAlive;
                self.restarts = self.restarts.saturating_add(1);
                self.state = State::Starting { leave_at: None };
                vec![Effect::Start]
            }
        }
    }
}

#[cfg(test)]
mod tests;
