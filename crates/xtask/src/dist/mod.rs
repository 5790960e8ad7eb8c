//! `./x dist`: what is shipped, into `out/dist`.
//!
//! The same source gives the same archives: their files carry the time of the commit, in one order, owned by root.

mod debian;
mod linux;
mod pack;

use std::path::{Path, PathBuf};

use crate::clock::Stopwatch;
use crate::config::Config;
use crate::{process, say, tools, windows};
use pack::Stage;

const HELP: &str = "\
What is shipped, into out/dist: for each platform the agent and its wrapper as the archives that
`sallyport releases sign` takes; for Linux x86-64 also server and command line as tar.gz and Debian package, with the
agents of every platform that was built beside them, ready to be downloaded from the server; and SHA256SUMS.

Usage: ./x dist [OPTIONS]

Options:
  --target linux|windows   only this one (the default is both)
  --profile PROFILE        one of cargo's; what is shipped is built with `release` (the default), which takes long;
                           `dev` is for trying this out
  --programs FOLDER        pack the programs of this folder as they are and build none
  --out FOLDER             an empty one, instead of out/dist, whose former content goes
  --help                   this text

Linux programs run with glibc 2.17 or newer: they are linked by zig, and looked at afterwards. Those for Windows need
`rustup target add x86_64-pc-windows-gnu`, or Debian's rustc-web, and mingw-w64. What is missing is installed where that
is allowed.
";

/// The version of everything in this workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

const LINUX: &str = "linux-x86_64";
const WINDOWS: &str = "windows-x86_64";

#[derive(Debug, PartialEq, Eq)]
struct Options {
    linux: bool,
    windows: bool,
    profile: String,
    programs: Option<PathBuf>,
    out: Option<PathBuf>,
}

/// The programs of one platform, and where they are.
struct Built {
    platform: &'static str,
    suffix: &'static str,
    folder: PathBuf,
}

/// Builds and packs.
pub(crate) fn run(config: &Config, arguments: &[&str]) -> Result<(), String> {
    if arguments.iter().any(|word| matches!(*word, "--help" | "-h")) {
        say::text(HELP);
        return Ok(());
    }
    let options = Options::parse(arguments)?;
    let watch = Stopwatch::start();
    let stage = Stage::new(config, &options.outlet(config)?)?;
    let built = match &options.programs {
        Some(folder) => options.platforms(|_| Ok(folder.clone()))?,
        None => options.platforms(|platform| build(config, platform, &options.profile))?,
    };
    say::part("packing");
    let mut archives = Vec::new();
    for platform in &built {
        for program in windows::PROGRAMS {
            archives.push(platform.archive(&stage, program)?);
        }
    }
    if options.linux {
        archives.push(tarball(config, &stage, &built)?);
        archives.push(debian::package(config, &stage, &built)?);
    }
    stage.sums(&archives)?;
    for archive in &archives {
        let path = stage.out().join(archive);
        say::line(&format!("  {:>9}  {}", megabytes(&path)?, path.display()));
    }
    say::line(&format!("done in {:.0} s; the checksums are in SHA256SUMS", watch.elapsed().as_secs_f64()));
    Ok(())
}

fn build(config: &Config, platform: &str, profile: &str) -> Result<PathBuf, String> {
    if platform == WINDOWS {
        say::part(&format!("building agent and wrapper for Windows ({profile})"));
        tools::for_windows(config)?;
        return windows::build(config, profile, &[]);
    }
    say::part(&format!("building everything for Linux with glibc {} or newer ({profile})", linux::GLIBC));
    linux::build(config, profile)
}

impl Options {
    /// An empty folder for the archives.
    fn outlet(&self, config: &Config) -> Result<PathBuf, String> {
        let Some(given) = &self.out else {
            let own = config.root.join("out/dist");
            pack::remove(&own)?;
            return Ok(own);
        };
        match std::fs::read_dir(given).map(|mut entries| entries.next().is_none()) {
            Ok(false) => Err(format!("{} is not empty; give another folder", given.display())),
            _ => Ok(given.clone()),
        }
    }

    /// The platforms that are wanted, with the folders of their programs.
    fn platforms(&self, folder: impl Fn(&'static str) -> Result<PathBuf, String>) -> Result<Vec<Built>, String> {
        let wanted = [(self.windows, WINDOWS, ".exe"), (self.linux, LINUX, "")];
        let wanted = wanted.into_iter().filter(|(wanted, ..)| *wanted);
        wanted.map(|(_, platform, suffix)| Ok(Built { platform, suffix, folder: folder(platform)? })).collect()
    }

    fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut options = Self { linux: true, windows: true, profile: "release".to_owned(), programs: None, out: None };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match (*word, words.next().copied()) {
                ("--target", Some("linux")) => options.windows = false,
                ("--target", Some("windows")) => options.linux = false,
                ("--target", _) => return Err("--target takes linux or windows".to_owned()),
                ("--profile", Some(profile)) => options.profile = profile.to_owned(),
                ("--programs", Some(folder)) => options.programs = Some(folder.into()),
                ("--out", Some(folder)) => options.out = Some(folder.into()),
                ("--programs" | "--out", None) => return Err(format!("{word} takes a folder")),
                ("--profile", None) => return Err("--profile takes one of cargo's profiles".to_owned()),
                (other, _) => return Err(format!("`{other}` is no option of dist; `./x dist --help` lists them")),
            }
        }
        if options.linux || options.windows { Ok(options) } else { Err("without --target both are built".to_owned()) }
    }
}

impl Built {
    fn program(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{}", self.suffix))
    }

    /// An archive with a program at its top.
    fn archive(&self, stage: &Stage, program: &str) -> Result<String, String> {
        let name = format!("{program}-{VERSION}-{}", self.platform);
        let folder = stage.folder(&name)?;
        pack::copy(&self.program(program), &folder.join(format!("{program}{}", self.suffix)))?;
        stage.zip(&name)
    }
}

/// Puts the server's programs into a folder, beside them what it hands out for other platforms.
fn server_programs(built: &[Built], folder: &Path) -> Result<(), String> {
    for platform in built {
        let own = platform.platform == LINUX;
        let into = if own { folder.to_owned() } else { folder.join(platform.platform) };
        for program in own.then_some("sallyport").into_iter().chain(windows::PROGRAMS) {
            pack::copy(&platform.program(program), &into.join(format!("{program}{}", platform.suffix)))?;
        }
    }
    Ok(())
}

fn tarball(config: &Config, stage: &Stage, built: &[Built]) -> Result<String, String> {
    let name = format!("sallyport-{VERSION}-{LINUX}");
    let folder = stage.folder(&name)?;
    server_programs(built, &folder)?;
    for file in ["LICENSE", "CHANGELOG.md", "README.md"] {
        pack::copy(&config.root.join(file), &folder.join(file))?;
    }
    stage.tar_gz(&name)
}

fn megabytes(file: &Path) -> Result<String, String> {
    let size = std::fs::metadata(file).map_err(|error| format!("reading {}: {error}", file.display()))?.len();
    Ok(format!("{}.{} MB", size / 1_000_000, size / 100_000 % 10))
}

/// When the newest commit was made, in seconds since 1970.
fn time_of_source(config: &Config) -> Result<u64, String> {
    let mut command = std::process::Command::new("git");
    command.current_dir(&config.root).args(["log", "-1", "--format=%ct"]);
    let said = process::output(&mut command)?;
    said.trim().parse().map_err(|_| format!("git says `{}` for the time of the newest commit", said.trim()))
}

#[cfg(test)]
mod tests;
