//! What goes to the terminal. Results go to standard output, everything else to standard error.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use owo_colors::OwoColorize;

use crate::error::Error;

static COLOUR: AtomicBool = AtomicBool::new(false);
static COLOUR_ERRORS: AtomicBool = AtomicBool::new(false);
static UNHEARD: AtomicBool = AtomicBool::new(false);

/// Decides once whether standard output and standard error are coloured.
pub(crate) fn set_colour(output: bool, errors: bool) {
    COLOUR.store(output, Ordering::Relaxed);
    COLOUR_ERRORS.store(errors, Ordering::Relaxed);
}

/// Whether whoever read the results has gone (`| head`): a command that goes on saying more may end.
pub(crate) fn unheard() -> bool {
    UNHEARD.load(Ordering::Relaxed)
}

/// A result, as it is.
pub(crate) fn text(text: &str) {
    // Not `print!`: a reader who leaves early is no reason to panic.
    let mut output = std::io::stdout();
    if output.write_all(text.as_bytes()).and_then(|()| output.flush()).is_err() {
        UNHEARD.store(true, Ordering::Relaxed);
    }
}

/// A result, one line.
pub(crate) fn line(line: &str) {
    text(&format!("{line}\n"));
}

/// A remark that is no result.
pub(crate) fn note(text: &str) {
    // Nobody may be listening.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A failure.
pub(crate) fn failure(error: &Error, verbose: bool) {
    let colour = COLOUR_ERRORS.load(Ordering::Relaxed);
    let label = if colour { "error:".red().bold().to_string() } else { "error:".to_owned() };
    note(&format!("{label} {}", error.message));
    for problem in &error.problems {
        note(&format!("  - {problem}"));
    }
    if verbose {
        for line in &error.detail {
            note(&format!("  {line}"));
        }
    } else if !error.detail.is_empty() && error.problems.is_empty() {
        note("  (-v shows more)");
    }
}

/// How a word stands out.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    /// All is well.
    Good,
    /// Something failed.
    Bad,
    /// Worth a look.
    Warn,
    /// In the background.
    Dim,
    /// A heading.
    Strong,
}

/// The word of a result in the tone's colour, or as it is.
pub(crate) fn paint(tone: Tone, word: &str) -> String {
    if !COLOUR.load(Ordering::Relaxed) {
        return word.to_owned();
    }
    match tone {
        Tone::Good => word.green().to_string(),
        Tone::Bad => word.red().to_string(),
        Tone::Warn => word.yellow().to_string(),
        Tone::Dim => word.dimmed().to_string(),
        Tone::Strong => word.bold().to_string(),
    }
}

/// The tone of a run's, step's or agent's state.
pub(crate) fn tone_of(state: &str) -> Tone {
    match state {
        "succeeded" | "online" | "ok" => Tone::Good,
        "failed" | "timed_out" | "lost" | "finished_with_errors" => Tone::Bad,
        "cancelled" | "waiting_for_agent" | "no_data" | "warning" => Tone::Warn,
        "offline" | "inactive" | "deactivated" | "skipped" => Tone::Dim,
        other if other.starts_with("failed") => Tone::Bad,
        _ => Tone::Strong,
    }
}
