//! The only place that prints for people; everything else logs.

use std::io::{self, Write};

use sallyport_site::log::Console;

/// To standard output, with a line end. A closed pipe is no reason to stop.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// To standard error, with a line end.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Hands bytes of the agent's standard error on as they are; never waits for the console.
pub(crate) fn pass_on(bytes: &[u8]) {
    Console::standard_error().offer(bytes.to_vec());
}

/// [`chain`] of an error whose type is known.
pub(crate) fn chain_of<E: std::error::Error + 'static>(error: &E) -> String {
    chain(error)
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
