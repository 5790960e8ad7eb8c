//! What goes to the terminal. Results go to standard output, everything else to standard error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the one place where this program talks")]

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use owo_colors::OwoColorize;

use crate::error::Error;

static COLOUR: AtomicBool = AtomicBool::new(false);

/// Decides once whether output is coloured.
pub(crate) fn set_colour(on: bool) {
    COLOUR.store(on, Ordering::Relaxed);
}

/// Whether output is coloured.
pub(crate) fn colour() -> bool {
    COLOUR.load(Ordering::Relaxed)
}

/// A result, as it is.
pub(crate) fn text(text: &str) {
    print!("{text}");
    // A closed pipe is the reader's choice.
    let _ = std::io::stdout().flush();
}

/// A result, one line.
pub(crate) fn line(line: &str) {
    // Not `println!`: a reader who leaves early (`| head`) is no reason to panic.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A remark that is no result.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// A failure.
pub(crate) fn failure(error: &Error, verbose: bool) {
    let label = if colour() { "error:".red().bold().to_string() } else { "error:".to_owned() };
    eprintln!("{label} {}", error.message);
    for problem in &error.problems {
        eprintln!("  - {problem}");
    }
    if verbose {
        for line in &error.detail {
            eprintln!("  {line}");
        }
    } else if !error.detail.is_empty() && error.problems.is_empty() {
        eprintln!("  (-v shows more)");
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

/// The word in the tone's colour, or as it is.
pub(crate) fn paint(tone: Tone, word: &str) -> String {
    if !colour() {
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
        "cancelled" | "waiting_for_agent" | "no_data" => Tone::Warn,
        "offline" | "inactive" | "deactivated" | "skipped" => Tone::Dim,
        other if other.starts_with("failed") => Tone::Bad,
        _ => Tone::Strong,
    }
}
