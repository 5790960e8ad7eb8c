//! What this program takes from its environment, read once.

use std::io::IsTerminal;
use std::path::PathBuf;

/// The environment of a command.
pub(crate) struct Config {
    /// Where credentials are kept.
    pub(crate) folder: Option<PathBuf>,
    /// `SALLYPORT_SERVER`: the server to use instead of the one of the last login.
    pub(crate) server: Option<String>,
    /// `SALLYPORT_TOKEN_FILE`: a file that holds an API token, instead of a login. The token itself is not taken from
    /// the environment, which other processes can read.
    pub(crate) token_file: Option<PathBuf>,
    /// `SALLYPORT_CA`: a PEM file to trust besides the system's roots.
    pub(crate) ca: Option<PathBuf>,
    /// Whether standard output may be coloured.
    pub(crate) colour: bool,
    /// Whether standard error may be.
    pub(crate) colour_errors: bool,
    /// Whether a person sits in front: standard input and error are a terminal.
    pub(crate) interactive: bool,
}

impl Config {
    /// Reads the environment.
    pub(crate) fn read() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            folder: folder(),
            server: text("SALLYPORT_SERVER"),
            token_file: text("SALLYPORT_TOKEN_FILE").map(PathBuf::from),
            ca: text("SALLYPORT_CA").map(PathBuf::from),
            colour: wanted && std::io::stdout().is_terminal(),
            colour_errors: wanted && std::io::stderr().is_terminal(),
            interactive: std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
        }
    }
}

fn folder() -> Option<PathBuf> {
    if let Some(folder) = text("SALLYPORT_CONFIG_DIR") {
        return Some(PathBuf::from(folder));
    }
    let base = if cfg!(windows) {
        text("APPDATA").map(PathBuf::from)
    } else {
        text("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| text("HOME").map(|home| PathBuf::from(home).join(".config")))
    };
    base.map(|base| base.join("sallyport"))
}

#[expect(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
