//! Which faults come when in a round: a pure function of seed and round. How long what they hit takes to notice is up
//! to the machine, so the same seed makes the same decisions, not the same interleaving.

use std::fmt;
use std::time::Duration;

use crate::random::Random;

/// How long faults are injected in a round.
const SPAN: Duration = Duration::from_secs(11);
/// The pause between the begins of two faults.
const GAP: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(1900));
/// How long a fault lasts that has an end: a process that is down or stopped, a line that is cut.
const LASTS: (Duration, Duration) = (Duration::from_millis(150), Duration::from_millis(4500));
/// Every so many rounds one of them holds a fault that lasts longer than the platform waits for a sign of life.
const LONG_EVERY: u64 = 12;
/// How long that one lasts: the platform gives an agent up after 65 s of silence.
const LONG_LASTS: (Duration, Duration) = (Duration::from_secs(68), Duration::from_secs(85));

/// One of the two machines with an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// Beside the source.
    Near,
    /// Beside the targets.
    Far,
}

impl Site {
    /// Its agent's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
        }
    }
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server is killed and started again later.
    KillServer,
    /// It is asked to end and started again later.
    RestartServer,
    /// It is stopped and goes on later.
    PauseServer,
    /// An agent is killed; its wrapper starts it again.
    KillAgent(Site),
    /// An agent is stopped and goes on later.
    PauseAgent(Site),
    /// A wrapper is killed and started again later.
    KillWrapper(Site),
    /// A wrapper is stopped and goes on later.
    PauseWrapper(Site),
    /// Every session at the database is ended.
    EndSessions,
    /// One process of the database is killed, which makes it recover from its log.
    KillBackend,
    /// The whole database is killed and started again later.
    KillDatabase,
    /// All its processes are stopped and go on later.
    PauseDatabase,
    /// Nothing passes between an agent and the server.
    StallLine(Site),
    /// Connections between an agent and the server are reset and refused.
    RefuseLine(Site),
    /// Connections between an agent and the server are reset once.
    ResetLine(Site),
    /// The disk that some files go to is full.
    FillDisk,
    /// A person cancels a run.
    CancelRun,
}

/// What a fault happens to: one thing has one fault at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Server,
    Machine(Site),
    Database,
    Line(Site),
    Disk,
    Runs,
}

/// How often each comes, relative to the others.
const WEIGHTS: &[(Fault, u64)] = &[
    (Fault::KillServer, 4),
    (Fault::RestartServer, 2),
    (Fault::PauseServer, 3),
    (Fault::KillAgent(Site::Near), 4),
    (Fault::KillAgent(Site::Far), 4),
    (Fault::PauseAgent(Site::Near), 3),
    (Fault::PauseAgent(Site::Far), 3),
    (Fault::KillWrapper(Site::Near), 2),
    (Fault::KillWrapper(Site::Far), 2),
    (Fault::PauseWrapper(Site::Near), 1),
    (Fault::PauseWrapper(Site::Far), 1),
    (Fault::EndSessions, 4),
    (Fault::KillBackend, 3),
    (Fault::KillDatabase, 2),
    (Fault::PauseDatabase, 2),
    (Fault::StallLine(Site::Near), 2),
    (Fault::StallLine(Site::Far), 2),
    (Fault::RefuseLine(Site::Near), 2),
    (Fault::RefuseLine(Site::Far), 2),
    (Fault::ResetLine(Site::Near), 2),
    (Fault::ResetLine(Site::Far), 2),
    (Fault::FillDisk, 3),
    (Fault::CancelRun, 3),
];

impl Fault {
    /// Its kind, for counting.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::KillServer => "kill_server",
            Self::RestartServer => "restart_server",
            Self::PauseServer => "pause_server",
            Self::KillAgent(_) => "kill_agent",
            Self::PauseAgent(_) => "pause_agent",
            Self::KillWrapper(_) => "kill_wrapper",
            Self::PauseWrapper(_) => "pause_wrapper",
            Self::EndSessions => "end_sessions",
            Self::KillBackend => "kill_backend",
            Self::KillDatabase => "kill_database",
            Self::PauseDatabase => "pause_database",
            Self::StallLine(_) => "stall_line",
            Self::RefuseLine(_) => "refuse_line",
            Self::ResetLine(_) => "reset_line",
            Self::FillDisk => "fill_disk",
            Self::CancelRun => "cancel_run",
        }
    }

    const fn subject(self) -> Subject {
        match self {
            Self::KillServer | Self::RestartServer | Self::PauseServer => Subject::Server,
            Self::KillAgent(site) | Self::PauseAgent(site) | Self::KillWrapper(site) | Self::PauseWrapper(site) => {
                Subject::Machine(site)
            }
            Self::EndSessions | Self::KillBackend | Self::KillDatabase | Self::PauseDatabase => Subject::Database,
            Self::StallLine(site) | Self::RefuseLine(site) | Self::ResetLine(site) => Subject::Line(site),
            Self::FillDisk => Subject::Disk,
            Self::CancelRun => Subject::Runs,
        }
    }

    const fn has_end(self) -> bool {
        !matches!(
            self,
            Self::KillAgent(_) | Self::EndSessions | Self::KillBackend | Self::ResetLine(_) | Self::CancelRun
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Self::KillAgent(site)
            | Self::PauseAgent(site)
            | Self::KillWrapper(site)
            | Self::PauseWrapper(site)
            | Self::StallLine(site)
            | Self::RefuseLine(site)
            | Self::ResetLine(site) => write!(f, " {}", site.name()),
            _ => Ok(()),
        }
    }
}

/// A fault and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// When it begins, from the round's begin.
    pub(crate) at: Duration,
    /// How long it lasts; `None` if it is over at once.
    pub(crate) lasts: Option<Duration>,
    /// What it is.
    pub(crate) fault: Fault,
    /// Which of several it hits (a backend, a run), by its place among those there are.
    pub(crate) which: u64,
}

impl Planned {
    /// When it is over.
    pub(crate) fn over(&self) -> Duration {
        self.at + self.lasts.unwrap_or_default()
    }
}

/// The faults of a round in the order of their begins; rounds count from 1.
pub(crate) fn plan(seed: u64, round: u64) -> Vec<Planned> {
    let mut random = Random::new(seed, round);
    let mut planned = Vec::new();
    if round.is_multiple_of(LONG_EVERY) {
        planned.push(long(&mut random));
    }
    let mut at = Duration::ZERO;
    loop {
        at += random.between(GAP.0, GAP.1);
        if at > SPAN {
            return planned;
        }
        let fault = weighted(&mut random);
        let lasts = fault.has_end().then(|| random.between(LASTS.0, LASTS.1));
        let which = random.below(u64::MAX);
        let busy = |other: &Planned| other.fault.subject() == fault.subject() && other.over() >= at;
        if !planned.iter().any(busy) {
            planned.push(Planned { at, lasts, fault, which });
        }
    }
}

fn long(random: &mut Random) -> Planned {
    let site = if random.below(2) == 0 { Site::Near } else { Site::Far };
    let fault = if random.below(2) == 0 { Fault::PauseAgent(site) } else { Fault::StallLine(site) };
    Planned { at: GAP.1, lasts: Some(random.between(LONG_LASTS.0, LONG_LASTS.1)), fault, which: 0 }
}

fn weighted(random: &mut Random) -> Fault {
    let all: u64 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
    let mut at = random.below(all);
    for (fault, weight) in WEIGHTS {
        match at.checked_sub(*weight) {
            Some(rest) => at = rest,
            None => return *fault,
        }
    }
    Fault::CancelRun
}

#[cfg(test)]
mod tests;
