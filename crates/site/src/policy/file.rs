//! The policy of a running agent: its file, read again when it has changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sallyport_protocol::{Clock, Timestamp};

use super::Policy;

/// How often the file's time is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// `policy.toml` of an installation; without the file everything is allowed, as in installations that are older than it.
#[derive(Debug)]
pub struct PolicyFile {
    path: Option<PathBuf>,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    looked_at: Option<Timestamp>,
    seen: Seen,
    policy: Arc<Policy>,
}

/// Tells one content of the file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Absent,
    Unreadable,
    Written { at: Option<SystemTime>, bytes: u64 },
}

impl PolicyFile {
    /// The policy in this file; what is wrong with it is logged here and at each change.
    pub fn open(path: &Path, clock: Clock) -> Self {
        let state = State { looked_at: None, seen: Seen::Absent, policy: Arc::new(Policy::permissive()) };
        Self { path: Some(path.to_owned()), clock, state: Mutex::new(state) }
    }

    /// Where no site has a say: the server's own agent, and a task that a person runs by hand.
    pub fn permissive() -> Self {
        let state = State { looked_at: None, seen: Seen::Absent, policy: Arc::new(Policy::permissive()) };
        Self { path: None, clock: Clock::system(), state: Mutex::new(state) }
    }

    /// What is allowed now.
    pub fn now(&self) -> Arc<Policy> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = &self.path else { return Arc::clone(&state.policy) };
        let now = self.clock.now();
        if state.looked_at.is_some_and(|at| now.0 >= at.0 && now.since(at) < LOOK_EVERY) {
            return Arc::clone(&state.policy);
        }
        let first = state.looked_at.replace(now).is_none();
        let seen = look(path);
        if seen != state.seen || first {
            state.seen = seen;
            state.policy = Arc::new(read(path));
        }
        Arc::clone(&state.policy)
    }

    /// In a word, for people: `none` (no file), `permissive` or `restricted`.
    pub fn word(&self) -> &'static str {
        let policy = self.now();
        let seen = self.state.lock().unwrap_or_else(PoisonError::into_inner).seen;
        match seen {
            Seen::Absent => "none",
            _ if policy.is_permissive() => "permissive",
            _ => "restricted",
        }
    }
}

impl Default for PolicyFile {
    fn default() -> Self {
        Self::permissive()
    }
}

fn look(path: &Path) -> Seen {
    match fs::metadata(path) {
        Ok(metadata) => Seen::Written { at: metadata.modified().ok(), bytes: metadata.len() },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Seen::Absent,
        Err(_) => Seen::Unreadable,
    }
}

/// The folders as they are compared: with the paths that were found to be touched.
fn without_links(mut policy: Policy) -> Policy {
    for folder in policy.folders.iter_mut().flatten() {
        if let Ok(found) = fs::canonicalize(&*folder) {
            *folder = found;
        }
    }
    policy
}

fn read(path: &Path) -> Policy {
    let closed = |error: &dyn std::fmt::Display| {
        let path = path.display();
        tracing::error!(%path, %error, "the policy cannot be read: nothing is allowed until it is corrected");
        Policy::closed()
    };
    match fs::read_to_string(path) {
        Ok(text) => match Policy::parse(&text).map(without_links) {
            Ok(policy) if policy.is_permissive() => {
                tracing::info!("the site's policy allows everything");
                policy
            }
            Ok(policy) => {
                let (allow, deny) = (policy.allow.len(), policy.deny.len());
                tracing::info!(allow, deny, default = ?policy.default, "the site's policy is followed");
                policy
            }
            Err(error) => closed(&error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::warn!(
                path = %path.display(),
                "there is no policy: everything is allowed; `sallyport-wrapper policy deny` makes one"
            );
            Policy::permissive()
        }
        Err(error) => closed(&error),
    }
}
