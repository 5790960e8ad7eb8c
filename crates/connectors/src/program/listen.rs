//! What a program says on its standard error.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sallyport_protocol::{LINE_BYTES_MAX, LogLevel, shorten};

use super::message::Message;
use crate::LogSink;

/// A longer line is cut.
const SAID_BYTES_MAX: u64 = 64 * 1024;

/// Lines of one program that reach the log.
const LOG_LINES_MAX: u64 = 10_000;

/// Lines that a failure quotes.
const TAIL_LINES: usize = 10;

/// What was heard so far; shared by the thread that listens and the one that works.
#[derive(Default)]
pub(super) struct Heard {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    /// The version it speaks.
    pub(super) ready: Option<u32>,
    /// `Result`, `Committed` or `Error`, the first of them.
    pub(super) last_word: Option<Message>,
    /// The last lines that were no messages.
    pub(super) tail: VecDeque<String>,
    /// Its standard error is closed.
    pub(super) closed: bool,
    lines: u64,
    rows: u64,
    bytes: u64,
}

impl Heard {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `until` holds or the time is over; says whether it holds.
    pub(super) fn wait(&self, limit: Duration, until: impl Fn(&State) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), limit, |state| !until(state));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        until(&state)
    }

    /// Listens until the program closes its standard error. `advance` gets the growth of rows and bytes.
    pub(super) fn listen(self: &Arc<Self>, stderr: impl Read, log: &LogSink, advance: &dyn Fn(u64, u64)) {
        let mut reader = BufReader::new(stderr);
        let mut line = Vec::new();
        loop {
            line.clear();
            match reader.by_ref().take(SAID_BYTES_MAX).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) => self.hear(&String::from_utf8_lossy(&line), log, advance),
            }
        }
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn hear(&self, line: &str, log: &LogSink, advance: &dyn Fn(u64, u64)) {
        let line = line.trim_end();
        let mut state = self.state();
        match serde_json::from_str(line) {
            Ok(Message::Ready { protocol }) => state.ready = Some(protocol),
            Ok(Message::Log { level, message }) => {
                let level = level.and_then(|level| level.parse().ok()).unwrap_or(LogLevel::Info);
                state.log(log, level, &message);
            }
            Ok(Message::Progress { rows, bytes }) => {
                advance(rows.saturating_sub(state.rows), bytes.saturating_sub(state.bytes));
                state.rows = state.rows.max(rows);
                state.bytes = state.bytes.max(bytes);
            }
            Ok(last) => {
                if let Message::Committed { rows, .. } = &last {
                    advance(rows.saturating_sub(state.rows), 0);
                    state.rows = state.rows.max(*rows);
                }
                state.last_word.get_or_insert(last);
            }
            Err(_) if line.is_empty() => {}
            Err(_) => {
                if state.tail.len() == TAIL_LINES {
                    state.tail.pop_front();
                }
                state.tail.push_back(cut(line));
                state.log(log, LogLevel::Warning, line);
            }
        }
        drop(state);
        self.changed.notify_all();
    }
}

impl State {
    fn log(&mut self, log: &LogSink, level: LogLevel, message: &str) {
        self.lines += 1;
        if self.lines <= LOG_LINES_MAX {
            log(level, cut(message));
        } else if self.lines == LOG_LINES_MAX + 1 {
            log(LogLevel::Warning, format!("the program wrote more than {LOG_LINES_MAX} lines; the rest is left out"));
        }
    }
}

fn cut(text: &str) -> String {
    let mut text = text.to_owned();
    shorten(&mut text, LINE_BYTES_MAX);
    text
}
