//! Whether a connection's target is reached, as the streams and requests to it have shown: pure.

use sallyport_protocol::Timestamp;

/// What was seen of a target so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// When it last answered.
    pub opened_at: Option<Timestamp>,
    /// Given while the last tries have failed.
    pub trouble: Option<Trouble>,
}

/// A target that is not reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Of the first failure since it last answered.
    pub since: Timestamp,
    /// Of the last.
    pub at: Timestamp,
    /// How many there were.
    pub count: u64,
    /// What the last one said.
    pub reason: String,
}

impl Reach {
    /// It answered.
    #[must_use]
    pub fn opened(self, now: Timestamp) -> Self {
        Self { opened_at: self.opened_at.max(Some(now)), trouble: None }
    }

    /// It was not reached.
    #[must_use]
    pub fn failed(self, reason: String, now: Timestamp) -> Self {
        let (since, count) = self.trouble.map_or((now, 1), |before| (before.since, before.count + 1));
        Self { opened_at: self.opened_at, trouble: Some(Trouble { since, at: now, count, reason }) }
    }
}
