//! What is told of an installation's health: examinations, crashes, and what a login would meet.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, Versions};

/// The most bytes of a crash's description on its way to the server, whatever a stack's depth.
pub const CRASH_BYTES_MAX: usize = 24 * 1024;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and may not for long.
    Warning,
    /// Somebody must do something.
    Failed,
    /// It could not be looked at, because of what failed before it.
    Skipped,
    /// A word this build does not know.
    #[serde(other)]
    Other,
}

impl Verdict {
    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Other => "other",
        }
    }
}

/// One check of an examination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which: a stable word such as `proxy`.
    pub check: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was seen, in one sentence.
    pub seen: String,
    /// What to do; absent where nothing is to be done.
    #[serde(default)]
    pub advice: Option<String>,
}

/// What the wrapper's doctor found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examination {
    /// When, by the machine's clock.
    pub at: Timestamp,
    /// The wrapper's version.
    pub wrapper_version: String,
    /// The findings, in the order of the checks.
    pub findings: Vec<Finding>,
}

impl Examination {
    /// The worst verdict.
    pub fn verdict(&self) -> Verdict {
        let has = |wanted| self.findings.iter().any(|finding| finding.verdict == wanted);
        [Verdict::Failed, Verdict::Warning].into_iter().find(|verdict| has(*verdict)).unwrap_or(Verdict::Ok)
    }
}

/// What the server says to a login that only asks: it takes no session and no place of the licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkup {
    /// The server's clock.
    pub server_time: Timestamp,
    /// The agent's name on the platform.
    pub name: String,
    /// What the server speaks.
    pub versions: Versions,
    /// Agents that the licence lets in at once; absent without a limit.
    #[serde(default)]
    pub agents_max: Option<u32>,
    /// How many others are online.
    pub agents_online: u32,
    /// Whether the server sees this agent online.
    pub online: bool,
}

/// Why an agent process ended, as far as the wrapper can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitCause {
    /// It gave no sign of progress and was killed by its wrapper.
    Hang,
    /// It met a bug in itself.
    Panic,
    /// The system had, or gave it, no more memory.
    OutOfMemory,
    /// It had as many files and connections open as the system lets it.
    DescriptorsExhausted,
    /// It ended itself in an emergency.
    Abort,
    /// A thread's stack was used up.
    StackOverflow,
    /// It touched memory that is not its own.
    BadMemory,
    /// Somebody killed it.
    Killed,
    /// A cause this build does not know.
    #[serde(other)]
    Other,
}

impl ExitCause {
    /// The stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hang => "hang",
            Self::Panic => "panic",
            Self::OutOfMemory => "out_of_memory",
            Self::DescriptorsExhausted => "descriptors_exhausted",
            Self::Abort => "abort",
            Self::StackOverflow => "stack_overflow",
            Self::BadMemory => "bad_memory",
            Self::Killed => "killed",
            Self::Other => "other",
        }
    }

    /// In words, as the end of "the agent ...".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Hang => "gave no sign of progress and was killed by its wrapper",
            Self::Panic => "met a bug in itself",
            Self::OutOfMemory => "ran out of memory",
            Self::DescriptorsExhausted => "had as many files and connections open as the system allows",
            Self::Abort => "aborted",
            Self::StackOverflow => "overflowed its stack",
            Self::BadMemory => "touched memory that is not its own",
            Self::Killed => "was killed by somebody",
            Self::Other => "ended for a reason that this version does not know",
        }
    }

    /// Whether the program itself was at fault: what `uncaughtException` means.
    pub const fn is_crash(self) -> bool {
        !matches!(self, Self::Hang | Self::Killed)
    }
}

/// A crash file: what an agent or wrapper left when it met a bug, or what its wrapper saw of its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// When, by the machine's clock.
    pub at: Timestamp,
    /// `agent` or `wrapper`.
    pub program: String,
    /// Its version.
    pub version: String,
    /// The operating system.
    pub os: String,
    /// Why.
    pub cause: ExitCause,
    /// What it said, or how it ended.
    pub message: String,
    /// The thread, where it is known.
    #[serde(default)]
    pub thread: Option<String>,
    /// Where in the source.
    #[serde(default)]
    pub place: Option<String>,
    /// The stack, one frame a line; empty where there is none.
    #[serde(default)]
    pub stack: String,
    /// The last lines of its log and of its standard error.
    #[serde(default)]
    pub last_lines: Vec<String>,
    /// The file's name in `logs/`.
    pub file: String,
}

impl Crash {
    /// The same with a shorter stack and fewer lines, so that it is a message of bounded size.
    pub fn bounded(mut self) -> Self {
        crate::shorten(&mut self.message, 2 * 1024);
        crate::shorten(&mut self.stack, CRASH_BYTES_MAX / 2);
        let mut room = CRASH_BYTES_MAX / 3;
        let fits = |line: &String, room: &mut usize| {
            let before = *room;
            // With the marks around it.
            let size = line.len() + 3;
            *room = room.saturating_sub(size);
            before > size
        };
        // The newest are the ones that tell.
        let kept = self.last_lines.iter().rev().take_while(|line| fits(line, &mut room)).count();
        self.last_lines.drain(..self.last_lines.len() - kept);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_is_the_verdict() {
        let of = |verdicts: &[Verdict]| {
            let findings = verdicts.iter().map(|verdict| Finding {
                check: "x".to_owned(),
                verdict: *verdict,
                seen: String::new(),
                advice: None,
            });
            Examination { at: Timestamp(0), wrapper_version: String::new(), findings: findings.collect() }.verdict()
        };
        assert_eq!(of(&[]), Verdict::Ok);
        assert_eq!(of(&[Verdict::Ok, Verdict::Skipped]), Verdict::Ok);
        assert_eq!(of(&[Verdict::Warning, Verdict::Ok]), Verdict::Warning);
        assert_eq!(of(&[Verdict::Warning, Verdict::Failed]), Verdict::Failed);
    }

    #[test]
    fn a_crash_of_any_size_fits_its_message_and_keeps_the_newest_lines() {
        let crash = Crash {
            at: Timestamp(1),
            program: "agent".to_owned(),
            version: "1".to_owned(),
            os: "x".to_owned(),
            cause: ExitCause::Panic,
            message: "m".repeat(1 << 20),
            thread: None,
            place: None,
            stack: "s".repeat(1 << 20),
            last_lines: (0..5000).map(|number| format!("line {number}")).collect(),
            file: "f".to_owned(),
        };
        let bounded = crash.bounded();
        assert!(serde_json::to_string(&bounded).unwrap().len() < CRASH_BYTES_MAX);
        assert_eq!(bounded.last_lines.last().map(String::as_str), Some("line 4999"));
    }
}
