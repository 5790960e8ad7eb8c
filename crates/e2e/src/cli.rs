//! The `sallyport` command with a configuration folder of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};

use crate::binaries::{Profile, binary};
use crate::process::said;

/// Runs `sallyport` as one person would.
#[derive(Clone)]
pub struct Cli {
    program: PathBuf,
    config: PathBuf,
    folder: PathBuf,
}

impl Cli {
    /// Keeps its logins in `config` and works in `folder`.
    pub fn new(profile: Profile, config: &Path, folder: &Path) -> Result<Self> {
        let program = binary(profile, "sallyport")?;
        Ok(Self { program, config: config.to_path_buf(), folder: folder.to_path_buf() })
    }

    /// The command, ready for arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).env("SALLYPORT_CONFIG_DIR", &self.config);
        for name in ["SALLYPORT_SERVER", "SALLYPORT_TOKEN_FILE", "SALLYPORT_CA"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs to the end, whatever it is; `input` goes to its standard input.
    pub fn run(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting sallyport")?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that reads no input may have ended before this is written.
            let _ = stdin.write_all(input.as_bytes());
        }
        Ok(child.wait_with_output()?)
    }

    /// Runs to a good end and gives its standard output; anything else is an error that shows both outputs.
    pub fn good(&self, arguments: &[&str]) -> Result<String> {
        self.good_with(arguments, "")
    }

    /// As [`Cli::good`], with something on its standard input.
    pub fn good_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        said(&format!("`sallyport {}`", arguments.join(" ")), &self.run(arguments, input)?)
    }
}
