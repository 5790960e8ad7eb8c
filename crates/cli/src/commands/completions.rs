//! `sallyport completions`.

use crate::error::Result;
use crate::say;

/// The shell.
#[derive(clap::Args)]
#[command(after_help = "\
Example, for bash:
  sallyport completions bash > ~/.local/share/bash-completion/completions/sallyport")]
pub(crate) struct Arguments {
    /// Which shell
    shell: clap_complete::Shell,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::command(), "sallyport", &mut script);
    say::text(&String::from_utf8_lossy(&script));
    Ok(())
}
