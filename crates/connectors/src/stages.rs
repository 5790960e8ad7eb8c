//! The stages of a connection's test, as they are tried.

use sallyport_protocol::{Clock, ConnectionTest, Stage, Timestamp};

use crate::Error;

/// The stages tried so far.
pub(crate) struct Stages {
    clock: Clock,
    since: Timestamp,
    stages: Vec<Stage>,
}

impl Stages {
    /// Has `run` try them. Each stage notes its own failure; there is nothing to do with the end.
    pub(crate) fn tried(run: impl FnOnce(&mut Self) -> Option<()>) -> ConnectionTest {
        let clock = Clock::system();
        let mut stages = Self { since: clock.now(), clock, stages: Vec::new() };
        let _ = run(&mut stages);
        ConnectionTest { stages: stages.stages }
    }

    /// Notes a stage: what it gave and what was seen, or what went wrong; `None` ends the test.
    pub(crate) fn note<T>(&mut self, stage: &str, outcome: Result<(T, String), impl Into<Why>>) -> Option<T> {
        let now = self.clock.now();
        let millis = u64::try_from(now.since(self.since).as_millis()).unwrap_or(u64::MAX);
        self.since = now;
        let (value, ok, detail) = match outcome {
            Ok((value, detail)) => (Some(value), true, detail),
            Err(why) => (None, false, why.into().0),
        };
        self.stages.push(Stage { stage: stage.to_owned(), ok, detail, millis });
        value
    }
}

/// What went wrong and what to do, in one text.
pub(crate) struct Why(String);

impl From<String> for Why {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Error> for Why {
    fn from(error: Error) -> Self {
        Self(match error {
            Error::Failed(failure) => match &failure.advice {
                Some(advice) => format!("{}; {advice}", failure.message),
                None => failure.message,
            },
            other => other.to_string(),
        })
    }
}
