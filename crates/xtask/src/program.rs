//! `./x demo`, `./x chaos`: builds, then hands over to a program of `crates/e2e`, which drives the product as a person
//! does.

use std::process::Command;

use crate::clock::Stopwatch;
use crate::config::Config;
use crate::{process, say, tools};

/// Builds everything and becomes the program of this name.
pub(crate) fn run(config: &Config, name: &str, arguments: &[&str]) -> Result<(), String> {
    say::part("building (the first time takes several minutes)");
    let watch = Stopwatch::start();
    // The same selection as the tests': with another one cargo would build parts of it anew.
    process::run(tools::cargo(config).args(["build", "--workspace", "--bins"]))?;
    say::line(&format!("built in {:.0} s\n", watch.elapsed().as_secs_f64()));
    let mut program = Command::new(config.target.join("debug").join(name));
    program.current_dir(&config.root).args(arguments);
    hand_over(&mut program)
}

/// Becomes the other program, so that Ctrl-C reaches it alone.
#[cfg(unix)]
fn hand_over(command: &mut Command) -> Result<(), String> {
    let error = std::os::unix::process::CommandExt::exec(command);
    Err(format!("starting {}: {error}", command.get_program().display()))
}

#[cfg(not(unix))]
fn hand_over(command: &mut Command) -> Result<(), String> {
    process::run(command)
}
