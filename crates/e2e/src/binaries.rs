//! Where the programs are that cargo has built.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Which of cargo's builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The build of daily work, the demo and the tests.
    Dev,
    /// The build that is measured and shipped.
    Release,
}

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("/")).to_path_buf()
}

/// A program of the workspace; an error says how to build it.
pub fn binary(profile: Profile, name: &str) -> Result<PathBuf> {
    let folder = match profile {
        Profile::Dev => "debug",
        Profile::Release => "release",
    };
    let path = target()?.join(folder).join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if path.is_file() {
        return Ok(path);
    }
    let flag = if profile == Profile::Release { " --release" } else { "" };
    bail!("{} is missing: `cargo build --workspace --bins{flag}` builds it", path.display())
}

/// A program for Windows; an error says how to build it.
pub fn windows_binary(name: &str) -> Result<PathBuf> {
    let path = target()?.join("x86_64-pc-windows-gnu/windows-test").join(format!("{name}.exe"));
    if path.is_file() { Ok(path) } else { bail!("{} is missing: `./x test` builds it", path.display()) }
}

/// The Python of the workspace's tools, with pyarrow; an error says how to get it.
pub fn python() -> Result<PathBuf> {
    let path = target()?.join("tools/python/bin/python");
    if path.is_file() { Ok(path) } else { bail!("{} is missing: `./x test` installs it", path.display()) }
}

/// Cargo's output folder: the one that this very program stands in.
fn target() -> Result<PathBuf> {
    let here = std::env::current_exe().context("finding this program")?;
    here.ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
        .map(Path::to_path_buf)
        .with_context(|| format!("{} is not in cargo's target folder", here.display()))
}
