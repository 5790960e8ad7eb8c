//! Progress of a run on the terminal: one line a step with rows, bytes and rate. Elsewhere a line a change of state.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use sallyport_protocol::{StepCounts, Timestamp};

use crate::output::{bytes, count};
use crate::say;

/// How often the spinners turn.
const TICK: Duration = Duration::from_millis(120);

/// What a step's line shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StepLine {
    /// The step's name.
    pub(crate) name: String,
    /// The state's word.
    pub(crate) state: String,
    /// What passed through.
    pub(crate) counts: StepCounts,
}

/// All lines of one run.
pub(crate) struct Bars {
    multi: MultiProgress,
    steps: Vec<Bar>,
    visible: bool,
}

struct Bar {
    name: String,
    bar: ProgressBar,
    state: String,
    began: Option<Timestamp>,
}

impl Bars {
    /// No lines yet; they appear with the first update.
    pub(crate) fn new(visible: bool) -> Self {
        Self { multi: MultiProgress::new(), steps: Vec::new(), visible }
    }

    /// Shows where the steps stand at `now`.
    pub(crate) fn update(&mut self, lines: &[StepLine], now: Timestamp) {
        for line in lines {
            let index = match self.steps.iter().position(|step| step.name == line.name) {
                Some(index) => index,
                None => self.add(&line.name),
            };
            let visible = self.visible;
            self.steps[index].show(line, now, visible);
        }
    }

    /// Takes the lines away, so that a summary can stand in their place.
    pub(crate) fn clear(self) {
        for step in &self.steps {
            step.bar.finish_and_clear();
        }
        // The terminal may be gone.
        let _ = self.multi.clear();
    }

    fn add(&mut self, name: &str) -> usize {
        let bar = self.multi.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:24} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(TICK);
        self.steps.push(Bar { name: name.to_owned(), bar, state: String::new(), began: None });
        self.steps.len() - 1
    }
}

impl Bar {
    fn show(&mut self, line: &StepLine, now: Timestamp, visible: bool) {
        if line.state == "running" && self.began.is_none() {
            self.began = Some(now);
        }
        if !visible && line.state != self.state && !line.state.is_empty() {
            say::note(&format!("{}: {}", line.name, line.state.replace('_', " ")));
        }
        self.state.clone_from(&line.state);
        let elapsed = self.began.map_or(Duration::ZERO, |began| now.since(began));
        self.bar.set_message(message(line, elapsed));
    }
}

/// The text after a step's name.
fn message(line: &StepLine, elapsed: Duration) -> String {
    let state = line.state.replace('_', " ");
    let rows = line.counts.rows_out.max(line.counts.rows_in);
    if rows == 0 && line.counts.bytes == 0 {
        return state;
    }
    let mut text = format!("{state:<10} {:>14} rows  {:>9}", count(rows), bytes(line.counts.bytes));
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.2 {
        let rate = (rows as f64 / seconds) as u64;
        let volume = (line.counts.bytes as f64 / seconds) as u64;
        text.push_str(&format!("  {} rows/s  {}/s", count(rate), bytes(volume)));
    }
    if line.counts.rows_rejected > 0 {
        text.push_str(&format!("  {} rejected", count(line.counts.rows_rejected)));
    }
    text
}

#[cfg(test)]
mod tests;
