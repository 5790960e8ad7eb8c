//! What a developer reads on the terminal.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the one place where this program talks")]

use std::io::{IsTerminal, Write};

/// Prints as it is.
pub(crate) fn text(text: &str) {
    print!("{text}");
    // A closed pipe is the reader's choice.
    let _ = std::io::stdout().flush();
}

/// Prints one line.
pub(crate) fn line(text: &str) {
    println!("{text}");
    let _ = std::io::stdout().flush();
}

/// Announces the part that starts.
pub(crate) fn part(name: &str) {
    line(&format!("{} {name}", bold("==>")));
}

/// Says what went wrong.
pub(crate) fn error(text: &str) {
    eprintln!("{} {text}", red("error:"));
}

/// For what stands out.
pub(crate) fn bold(text: &str) -> String {
    coloured("1", text)
}

/// For what is well.
pub(crate) fn green(text: &str) -> String {
    coloured("32", text)
}

/// For what failed.
pub(crate) fn red(text: &str) -> String {
    coloured("1;31", text)
}

/// For what was left out.
pub(crate) fn yellow(text: &str) -> String {
    coloured("33", text)
}

fn coloured(code: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
