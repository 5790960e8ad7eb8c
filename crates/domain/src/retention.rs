//! How long runs and logs are kept.

use std::time::Duration;

use sallyport_protocol::Timestamp;

use crate::task::{Problem, problem};

/// The longest time that can be asked for, in days; what is to stay longer stays for ever.
pub const DAYS_MAX: u32 = 36_500;

/// How many days an environment keeps things; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Runs with everything about them, from their end. The last run of each task stays as long as the task.
    pub runs: Option<u32>,
    /// Lines of agents' logs from their time, lines of runs' logs from the run's end.
    pub logs: Option<u32>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { runs: Some(90), logs: Some(30) }
    }
}

impl Retention {
    /// Everything that is wrong with it.
    pub fn check(&self) -> Vec<Problem> {
        let fields = [("/runs_days", self.runs), ("/logs_days", self.logs)];
        let wrong = fields.into_iter().filter(|(_, days)| days.is_some_and(|days| days == 0 || days > DAYS_MAX));
        wrong
            .map(|(path, _)| problem(path, "range", format!("expected 1 to {DAYS_MAX} days, or null for ever")))
            .collect()
    }

    /// Runs that ended before it are kept no longer.
    pub fn runs_before(&self, now: Timestamp) -> Option<Timestamp> {
        before(self.runs, now)
    }

    /// Lines before it are kept no longer.
    pub fn logs_before(&self, now: Timestamp) -> Option<Timestamp> {
        before(self.logs, now)
    }
}

fn before(days: Option<u32>, now: Timestamp) -> Option<Timestamp> {
    Some(now.minus(Duration::from_secs(u64::from(days?) * 24 * 3600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_back_and_none_is_for_ever() {
        let retention = Retention { runs: None, logs: Some(1) };
        assert_eq!(retention.logs_before(Timestamp(86_400_000_001)), Some(Timestamp(1)));
        assert_eq!(retention.runs_before(Timestamp(86_400_000_001)), None);
    }

    #[test]
    fn no_days_and_too_many_are_refused() {
        assert_eq!(Retention::default().check(), []);
        let bad = Retention { runs: Some(0), logs: Some(DAYS_MAX + 1) };
        let paths: Vec<String> = bad.check().into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["/runs_days", "/logs_days"]);
    }
}
