//! Lines on their way out of the logging call: a bounded queue that never blocks and counts what it loses.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sallyport_protocol::LogLine;

/// The most lines that wait for whoever ships them: some seconds of a talkative agent, at most a few megabytes.
pub const TAP_LINES_MAX: usize = 4096;

type Waker = Box<dyn Fn() + Send + Sync>;

/// Where lines wait to be shipped to the server.
#[derive(Clone, Default)]
pub struct Tap {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    lines: VecDeque<LogLine>,
    dropped: u64,
    waker: Option<Arc<Waker>>,
}

/// What was taken from the tap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drained {
    /// In the order of their writing.
    pub lines: Vec<LogLine>,
    /// How many were lost since the last time because nobody took them.
    pub dropped: u64,
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").finish_non_exhaustive()
    }
}

impl Tap {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Takes up to `max` lines.
    pub fn drain(&self, max: usize) -> Drained {
        let mut state = self.lock();
        let count = state.lines.len().min(max);
        let lines = state.lines.drain(..count).collect();
        Drained { lines, dropped: std::mem::take(&mut state.dropped) }
    }

    /// Calls `wake` whenever a line comes into the empty queue. It runs inside the logging call: it must be quick, must
    /// not log and must not block.
    pub fn on_line(&self, wake: impl Fn() + Send + Sync + 'static) {
        let wake: Waker = Box::new(wake);
        let waiting = {
            let mut state = self.lock();
            let wake = Arc::new(wake);
            state.waker = Some(Arc::clone(&wake));
            (!state.lines.is_empty()).then_some(wake)
        };
        if let Some(wake) = waiting {
            wake();
        }
    }

    pub(super) fn offer(&self, line: LogLine) {
        let wake = {
            let mut state = self.lock();
            if state.lines.len() >= TAP_LINES_MAX {
                state.dropped += 1;
                return;
            }
            state.lines.push_back(line);
            if state.lines.len() == 1 { state.waker.clone() } else { None }
        };
        if let Some(wake) = wake {
            wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
