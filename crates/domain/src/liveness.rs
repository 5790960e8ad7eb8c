//! Whether an agent, its wrapper and its target live, each told apart, and why the agent is likely not online.
//!
//! All times are the server's: a machine whose clock is wrong tells no other story.

use std::time::Duration;

use sallyport_protocol::{ExitCause, Refusal, RefusalCode, Timestamp};

/// Two connections that are lost within this time were lost together.
const TOGETHER: Duration = Duration::from_secs(90);

/// What a sign is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The agent's connection.
    Agent,
    /// The wrapper's connection.
    Wrapper,
    /// The agent's process, as its wrapper says.
    Process,
    /// A system that the agent connects to, when it was tried last.
    Target,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Agent, Self::Wrapper, Self::Process, Self::Target];

    /// The word in the API and the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Wrapper => "wrapper",
            Self::Process => "process",
            Self::Target => "target",
        }
    }
}

/// What was seen of a part last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// Whether that was as it should be: it left on purpose, ended as asked, or answered.
    pub good: bool,
    /// What was seen, in words.
    pub text: String,
    /// Why a process ended.
    pub cause: Option<ExitCause>,
    /// When the server heard of it.
    pub at: Timestamp,
}

/// The state of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has a connection, or answered.
    Online,
    /// It was ended on purpose: this is no loss.
    Stopped,
    /// It is gone, and nobody wanted that.
    Lost,
    /// It was never there.
    Unknown,
}

impl State {
    /// The word in the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
        }
    }
}

/// A part's state, and since when it has been that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The state.
    pub state: State,
    /// Since when; absent where it is unknown.
    pub since: Option<Timestamp>,
    /// What was seen of it last, in words.
    pub text: String,
}

/// Why an agent is likely not online.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is deactivated.
    Deactivated,
    /// It has never been online.
    NeverStarted,
    /// Somebody has stopped it.
    Stopped,
    /// Another version is being started.
    Update,
    /// The server does not accept its password.
    Credentials,
    /// The licence lets no more in.
    Licence,
    /// Another process has its identity, or its version is too old.
    Refused,
    /// Its process gave no sign of progress.
    Hang,
    /// Its process met a bug, or the end of a resource.
    Crash,
    /// Its process does not run.
    NotRunning,
    /// Its process runs, and cannot reach the server.
    Network,
    /// Everything on its machine is silent.
    MachineOff,
}

impl Cause {
    /// The word in the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deactivated => "deactivated",
            Self::NeverStarted => "never_started",
            Self::Stopped => "stopped",
            Self::Update => "update",
            Self::Credentials => "credentials",
            Self::Licence => "licence",
            Self::Refused => "refused",
            Self::Hang => "hang",
            Self::Crash => "crash",
            Self::NotRunning => "not_running",
            Self::Network => "network",
            Self::MachineOff => "machine_off",
        }
    }
}

/// What is known of an agent.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Whether it may log in.
    pub active: bool,
    /// Its connection stands since.
    pub agent_since: Option<Timestamp>,
    /// Its wrapper's connection stands since.
    pub wrapper_since: Option<Timestamp>,
    /// How its connection ended last.
    pub agent: Option<Sign>,
    /// How its wrapper's connection ended last.
    pub wrapper: Option<Sign>,
    /// How its process ended last.
    pub process: Option<Sign>,
    /// How a system that it connects to answered last.
    pub target: Option<Sign>,
    /// Its last sign of life, kept even where the end of its connection was not seen.
    pub seen_at: Option<Timestamp>,
    /// Whether its wrapper is about to start another version, or watches it start.
    pub updating: bool,
    /// The last login that was refused since it was online.
    pub refusal: Option<Refusal>,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// The agent's.
    pub agent: Life,
    /// The wrapper's.
    pub wrapper: Life,
    /// Of the last system that was tried.
    pub target: Life,
    /// Why the agent is likely not online, with the reason in words; absent while it is.
    pub cause: Option<(Cause, String)>,
}

/// Judges what is known.
pub fn judge(facts: &Facts) -> Liveness {
    Liveness {
        agent: life(facts.agent_since, facts.agent.as_ref(), facts.seen_at),
        wrapper: life(facts.wrapper_since, facts.wrapper.as_ref(), None),
        target: target(facts.target.as_ref()),
        cause: facts.agent_since.is_none().then(|| cause(facts)),
    }
}

fn life(since: Option<Timestamp>, ended: Option<&Sign>, seen_at: Option<Timestamp>) -> Life {
    match (since, ended, seen_at) {
        (Some(since), _, _) => Life { state: State::Online, since: Some(since), text: "connected".to_owned() },
        // A connection that a stopped server held ended unseen, after the last end that was.
        (None, Some(sign), seen) if seen.is_none_or(|seen| seen <= sign.at) => {
            let state = if sign.good { State::Stopped } else { State::Lost };
            Life { state, since: Some(sign.at), text: sign.text.clone() }
        }
        (None, _, Some(seen)) => {
            Life { state: State::Lost, since: Some(seen), text: "it did not come back".to_owned() }
        }
        (None, _, None) => Life { state: State::Unknown, since: None, text: "never connected".to_owned() },
    }
}

fn target(sign: Option<&Sign>) -> Life {
    match sign {
        Some(sign) => {
            let state = if sign.good { State::Online } else { State::Lost };
            Life { state, since: Some(sign.at), text: sign.text.clone() }
        }
        None => Life { state: State::Unknown, since: None, text: "no connection was tested".to_owned() },
    }
}

fn cause(facts: &Facts) -> (Cause, String) {
    let because = |cause, text: &str| (cause, text.to_owned());
    if !facts.active {
        return because(Cause::Deactivated, "it is deactivated; reactivate it to let it in");
    }
    if let Some(refusal) = &facts.refusal {
        return (refused(refusal.code), format!("the server refuses its login: {}", refusal.message));
    }
    let Some(lost_at) = facts.agent.as_ref().map(|sign| sign.at).max(facts.seen_at) else {
        return because(Cause::NeverStarted, "it has never been online; download it and start it on its machine");
    };
    if facts.wrapper_since.is_some() {
        return beside_its_wrapper(facts, lost_at);
    }
    let left = |sign: &Option<Sign>| sign.as_ref().filter(|sign| sign.good).map(|sign| sign.text.clone());
    if let Some(text) = left(&facts.wrapper) {
        return (Cause::Stopped, format!("its wrapper was stopped on purpose: {text}"));
    }
    match &facts.wrapper {
        Some(wrapper) if wrapper.at.since(lost_at).max(lost_at.since(wrapper.at)) <= TOGETHER => because(
            Cause::MachineOff,
            "agent and wrapper fell silent together: the machine is off, or its network, proxy or firewall cuts it off",
        ),
        Some(_) => because(
            Cause::MachineOff,
            "neither agent nor wrapper is connected: the machine is off, or its network cuts it off",
        ),
        None => match left(&facts.agent) {
            Some(text) => (Cause::Stopped, format!("it was stopped on purpose: {text}")),
            None => {
                because(Cause::NotRunning, "it ran without a wrapper, which could say why; start it on its machine")
            }
        },
    }
}

/// The wrapper is connected, so that the machine and its network are well.
fn beside_its_wrapper(facts: &Facts, lost_at: Timestamp) -> (Cause, String) {
    if facts.updating {
        return (Cause::Update, "another version is being started".to_owned());
    }
    match &facts.process {
        Some(process) if process.at >= lost_at.minus(TOGETHER) => match process.cause {
            Some(ExitCause::Hang) => (Cause::Hang, format!("it hung, and is started again: {}", process.text)),
            Some(cause) if cause.is_crash() => (Cause::Crash, format!("it {}: {}", cause.words(), process.text)),
            _ => (Cause::NotRunning, process.text.clone()),
        },
        _ => (
            Cause::Network,
            "its wrapper is connected and its process has not ended: it hangs, or its own connections are cut off"
                .to_owned(),
        ),
    }
}

fn refused(code: RefusalCode) -> Cause {
    match code {
        RefusalCode::LicenceFull => Cause::Licence,
        RefusalCode::Deactivated => Cause::Deactivated,
        RefusalCode::UnknownAgent
        | RefusalCode::WrongCredentials
        | RefusalCode::RevokedCredentials
        | RefusalCode::ExpiredCredentials
        | RefusalCode::OtherEnvironment => Cause::Credentials,
        _ => Cause::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn sign(good: bool, at: i64, cause: Option<ExitCause>) -> Option<Sign> {
        Some(Sign { good, text: "some words".to_owned(), cause, at: Timestamp(at * SECOND) })
    }

    /// An agent that was lost at second 1000 while its wrapper stayed.
    fn lost() -> Facts {
        Facts {
            active: true,
            wrapper_since: Some(Timestamp(SECOND)),
            agent: sign(false, 1000, None),
            seen_at: Some(Timestamp(990 * SECOND)),
            ..Facts::default()
        }
    }

    fn check(expected: Cause, change: impl FnOnce(&mut Facts)) {
        let mut facts = lost();
        change(&mut facts);
        let (cause, text) = judge(&facts).cause.unwrap();
        assert!(cause == expected && !text.is_empty(), "wanted {expected:?}: {cause:?} `{text}` of {facts:?}");
    }

    #[test]
    fn the_likely_cause() {
        let refusal = |code| Some(Refusal { code, message: "No.".to_owned(), retry_after_seconds: None });
        check(Cause::Deactivated, |facts| facts.active = false);
        check(Cause::NeverStarted, |facts| *facts = Facts { active: true, ..Facts::default() });
        check(Cause::Credentials, |facts| facts.refusal = refusal(RefusalCode::RevokedCredentials));
        check(Cause::Licence, |facts| facts.refusal = refusal(RefusalCode::LicenceFull));
        check(Cause::Refused, |facts| facts.refusal = refusal(RefusalCode::DuplicateIdentity));
        check(Cause::Update, |facts| facts.updating = true);
        check(Cause::Hang, |facts| facts.process = sign(false, 1001, Some(ExitCause::Hang)));
        check(Cause::Crash, |facts| facts.process = sign(false, 1000, Some(ExitCause::OutOfMemory)));
        check(Cause::NotRunning, |facts| facts.process = sign(false, 999, Some(ExitCause::Killed)));
        check(Cause::NotRunning, |facts| facts.process = sign(true, 999, None));
        check(Cause::Network, |facts| facts.process = sign(false, 500, Some(ExitCause::Panic)));
        check(Cause::Network, |_| {});
        check(Cause::Stopped, |facts| (facts.wrapper_since, facts.wrapper) = (None, sign(true, 1001, None)));
        check(Cause::MachineOff, |facts| (facts.wrapper_since, facts.wrapper) = (None, sign(false, 1001, None)));
        check(Cause::MachineOff, |facts| (facts.wrapper_since, facts.wrapper) = (None, sign(false, 9000, None)));
        check(Cause::NotRunning, |facts| facts.wrapper_since = None);
        check(Cause::Stopped, |facts| (facts.wrapper_since, facts.agent) = (None, sign(true, 1000, None)));
    }

    #[test]
    fn each_part_has_its_own_state_and_time() {
        let liveness = judge(&lost());
        assert_eq!((liveness.agent.state, liveness.agent.since), (State::Lost, Some(Timestamp(1000 * SECOND))));
        assert_eq!((liveness.wrapper.state, liveness.wrapper.since), (State::Online, Some(Timestamp(SECOND))));
        assert_eq!(liveness.target.state, State::Unknown);
        let left = judge(&Facts { agent: sign(true, 1000, None), target: sign(true, 5, None), ..lost() });
        assert_eq!((left.agent.state, left.target.state), (State::Stopped, State::Online));
        // The server was stopped meanwhile, and never saw it again.
        let unseen = judge(&Facts { seen_at: Some(Timestamp(2000 * SECOND)), ..lost() });
        assert_eq!((unseen.agent.state, unseen.agent.since), (State::Lost, Some(Timestamp(2000 * SECOND))));
        let online = judge(&Facts { agent_since: Some(Timestamp(7)), ..lost() });
        assert_eq!((online.agent.state, online.cause), (State::Online, None));
    }
}
