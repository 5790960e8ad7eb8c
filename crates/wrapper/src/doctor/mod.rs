//! `doctor`: looks at everything an installation needs, and says what to do. Works while nothing runs.
//!
//! Invariant: [`judge`] alone decides, from facts; [`probe`] alone looks, and changes nothing but the presence of one
//! probing file in `logs/`. The server is asked in a way that begins no session and takes no place of the licence.

mod certificate;
mod facts;
mod judge;
mod network;
mod probe;

use std::fmt::Write as _;

use sallyport_protocol::{Clock, Examination, Verdict};
use sallyport_site::Layout;

use crate::{app, console};

/// Looks at everything. Takes some seconds, where nobody answers about a minute.
pub(crate) fn examine(layout: &Layout, clock: &Clock) -> Examination {
    let facts = probe::look(layout, clock);
    Examination { at: facts.now, wrapper_version: env!("CARGO_PKG_VERSION").to_owned(), findings: judge::judge(&facts) }
}

/// The command: prints what was found. Exit code 1 when a check failed.
pub(crate) fn run(layout: &Layout, json: bool) -> u8 {
    let examination = examine(layout, &Clock::system());
    if json {
        match serde_json::to_string_pretty(&examination) {
            Ok(text) => console::say(&text),
            Err(error) => console::complain(&error.to_string()),
        }
    } else {
        console::say(&for_people(&examination));
    }
    if examination.verdict() == Verdict::Failed { app::EXIT_FAILED } else { app::EXIT_OK }
}

/// One line a check, and what to do below it.
pub(crate) fn for_people(examination: &Examination) -> String {
    let mut text = String::new();
    for finding in &examination.findings {
        let word = match finding.verdict {
            Verdict::Failed => "FAILED",
            other => other.word(),
        };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{word:<8} {:<12} {}", finding.check, finding.seen);
        if let Some(advice) = &finding.advice {
            let _ = writeln!(text, "{:21} -> {advice}", "");
        }
    }
    let count = |verdict| examination.findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (failed, warnings) = (count(Verdict::Failed), count(Verdict::Warning));
    let _ = write!(text, "\n{failed} failed, {warnings} with a warning");
    text
}
