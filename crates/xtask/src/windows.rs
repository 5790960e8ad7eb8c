//! The agent and its wrapper for Windows, built on Linux.
//!
//! With the compiler of this workspace where it has Windows' library (`rustup target add x86_64-pc-windows-gnu`). Else
//! with the distribution's, which comes with the source of the library, so that it is built along.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::config::Config;
use crate::{process, tools};

const TRIPLE: &str = "x86_64-pc-windows-gnu";

/// The programs that a site has.
pub(crate) const PROGRAMS: [&str; 2] = ["sallyport-agent", "sallyport-wrapper"];

/// What the distribution has for it.
pub(crate) const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "gcc-mingw-w64-x86-64"];

/// The profile of the programs that tests start.
const TEST_PROFILE: &str = "windows-test";

const LINKER: &str = "x86_64-w64-mingw32-gcc";

/// Whether this machine can build them.
pub(crate) fn can_build(config: &Config) -> bool {
    process::exists(LINKER, "--version") && (has_library(config) || has_source())
}

/// Builds both in one go, because they share most of what is compiled; gives the folder that they are in then. `words` are
/// further ones for cargo.
pub(crate) fn build(config: &Config, profile: &str, words: &[&str]) -> Result<PathBuf, String> {
    process::run(&mut building(config, profile, words))?;
    Ok(config.built(TRIPLE, profile))
}

/// Builds those that tests start, of what other programs leave of the processor's time.
pub(crate) fn build_for_tests(config: &Config) -> Result<(), String> {
    process::run_modestly(&mut building(config, TEST_PROFILE, &["--quiet"]))
}

fn building(config: &Config, profile: &str, words: &[&str]) -> Command {
    let mut command = if has_library(config) { tools::cargo(config) } else { with_source(config) };
    command.args(["build", "--target", TRIPLE, "--profile", profile]).args(words);
    command.args(PROGRAMS.iter().flat_map(|program| ["--package", program]));
    command
}

/// Whether the compiler of this workspace has the library.
fn has_library(config: &Config) -> bool {
    let mut command = Command::new(config.cargo.with_file_name("rustc"));
    command.args(["--print", "target-libdir", "--target", TRIPLE]);
    process::output(&mut command).is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

fn has_source() -> bool {
    Path::new("/usr/bin/cargo").is_file() && Path::new("/usr/lib/rustlib/src/rust/library/std").is_dir()
}

/// The distribution's cargo. That a stable compiler may build its own library has to be said.
fn with_source(config: &Config) -> Command {
    let mut command = Command::new("/usr/bin/cargo");
    command.current_dir(&config.root).arg("-Zbuild-std=std,panic_abort");
    command.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
    // Those of the compiler that runs this program.
    for name in ["LD_LIBRARY_PATH", "RUSTUP_TOOLCHAIN", "RUSTDOC", "CARGO"] {
        command.env_remove(name);
    }
    command
}
