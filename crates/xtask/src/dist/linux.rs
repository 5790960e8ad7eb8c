//! Programs for Linux systems that are older than the one that builds them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::config::Config;
use crate::{process, tools, windows};

const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// The oldest glibc that they run with: the one of RHEL 7, of 2012.
pub(super) const GLIBC: Version = Version(2, 17);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32);

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

/// Builds server, command line, agent and wrapper; gives the folder that they are in then.
pub(super) fn build(config: &Config, profile: &str) -> Result<PathBuf, String> {
    let bin = tools::for_old_linux(config)?;
    let mut command = Command::new(bin.join("cargo-zigbuild"));
    command.current_dir(&config.root).env("PATH", tools::path_behind(bin)?).env("CARGO", &config.cargo);
    command.args(["zigbuild", "--profile", profile, "--target", &format!("{TRIPLE}.{GLIBC}")]);
    command.args(["sallyport-cli"].iter().chain(&windows::PROGRAMS).flat_map(|package| ["--package", package]));
    process::run(&mut command)?;
    let folder = config.built(TRIPLE, profile);
    for program in ["sallyport"].iter().chain(&windows::PROGRAMS) {
        is_old_enough(&folder.join(program))?;
    }
    Ok(folder)
}

/// An error if a program needs a newer glibc.
fn is_old_enough(program: &Path) -> Result<(), String> {
    let needs = process::output(Command::new("readelf").args(["--wide", "--version-info"]).arg(program))?;
    match newest_glibc(&needs) {
        Some(needed) if needed <= GLIBC => Ok(()),
        Some(needed) => Err(format!("{} needs glibc {needed}, more than {GLIBC}", program.display())),
        None => Err(format!("{} names no version of glibc: it is not linked as it should be", program.display())),
    }
}

/// The newest glibc of the versions that `readelf` lists.
fn newest_glibc(listed: &str) -> Option<Version> {
    let versions = listed.split("GLIBC_").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let mut numbers = rest.get(..end)?.split('.').map(str::parse);
        Some(Version(numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    versions.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_counts_and_2_9_is_older_than_2_17() {
        let listed =
            "  0x0010:   Name: GLIBC_2.9  Flags: none  Version: 9\n  Name: GLIBC_2.2.5  Flags\n Name: GLIBC_PRIVATE";
        assert_eq!(newest_glibc(listed), Some(Version(2, 9)));
        assert!(Version(2, 9) < GLIBC);
        assert!(newest_glibc("GLIBC_2.18 GLIBC_2.4") > Some(GLIBC));
        assert_eq!(newest_glibc("no version information"), None);
    }

    #[test]
    fn a_program_of_this_machine_is_read() {
        // Programs of a newer system than the oldest one are refused, with their name.
        let here = std::env::current_exe().unwrap();
        let listed = process::output(Command::new("readelf").args(["-W", "--version-info"]).arg(&here)).unwrap();
        let needed = newest_glibc(&listed).unwrap();
        assert_eq!(is_old_enough(&here).is_ok(), needed <= GLIBC, "{needed}");
    }
}
