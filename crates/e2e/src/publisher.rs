//! A publisher of releases: keys, archives, signatures, all made with the `sallyport` command.
//!
//! The agent or wrapper of a release is a small script: it answers `--version`, does the mischief that a test wants of it,
//! and becomes the real program. So an archive has a few hundred bytes, and what runs is what this workspace has built.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::binaries::{Profile, binary};
use crate::cli::Cli;
use crate::system::System;

/// What a version does before it becomes the real agent, as lines of a shell script.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mischief<'a> {
    /// Instead of the rehearsal.
    pub rehearsal: &'a str,
    /// Before everything else of a start.
    pub start: &'a str,
    /// Bytes of ballast in the archive.
    pub ballast: usize,
}

const LINUX: &str = "linux-x86_64";

/// The keys of a publisher.
pub struct Publisher {
    cli: Cli,
    folder: PathBuf,
    profile: Profile,
    keys: usize,
}

impl Publisher {
    /// Makes `keys` keys and has the server hand them out with new downloads, `threshold` of which must sign.
    pub fn new(system: &System, keys: usize, threshold: usize) -> Result<Self> {
        let folder = system.folder.join("publisher/keys")?.with_file_name("");
        let publisher = Self { cli: system.cli()?, folder, profile: system.profile(), keys };
        for number in 0..keys {
            publisher.cli.good(&["releases", "keygen", &publisher.key(number)])?;
        }
        publisher.set_keys(&(0..keys).collect::<Vec<_>>(), threshold)?;
        Ok(publisher)
    }

    /// The file of a private key.
    pub fn key(&self, number: usize) -> String {
        self.path(&format!("{number}.key"))
    }

    /// Sets the keys that the server checks and hands out.
    pub fn set_keys(&self, keys: &[usize], threshold: usize) -> Result<()> {
        let threshold = threshold.to_string();
        let files: Vec<String> = keys.iter().map(|number| format!("{}.pub", self.key(*number))).collect();
        let mut arguments = vec!["releases", "keys", "--threshold", &threshold, "--set"];
        arguments.extend(files.iter().map(String::as_str));
        self.cli.good(&arguments).map(|_| ())
    }

    /// Makes the archive of a version.
    pub fn archive(&self, version: &str, mischief: &Mischief<'_>) -> Result<PathBuf> {
        let real = binary(self.profile, "sallyport-agent")?;
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in\n--version) echo sallyport-agent {version}; exit 0;;\n*--rehearse*)\n:\n{}\n;;\n\
             *)\n:\n{}\n;;\nesac\nexec {} \"$@\"\n",
            mischief.rehearsal,
            mischief.start,
            real.display()
        );
        self.zip("sallyport-agent", version, script.as_bytes(), mischief.ballast)
    }

    /// As [`Publisher::archive`], of the wrapper; `real` is where the real one lies.
    fn wrapper_archive(&self, version: &str, mischief: &Mischief<'_>, real: &Path) -> Result<PathBuf> {
        // What guards, restores and shows is no start.
        let script = format!(
            "#!/bin/sh\nhome=$(cd \"$(dirname \"$0\")\" && pwd)\ncase \" $* \" in\n\" --version \") echo sallyport-wrapper \
             {version}; exit 0;;\n*\" rehearse \"*)\n:\n{}\n;;\n*\" guard \"*|*\" restore \"*|*\" service \"*|*\" status \"*) ;;\n\
             *)\n:\n{}\n;;\nesac\nexec {} --home \"$home\" \"$@\"\n",
            mischief.rehearsal,
            mischief.start,
            real.display()
        );
        self.zip("sallyport-wrapper", version, script.as_bytes(), mischief.ballast)
    }

    /// Makes, signs and publishes a version of the wrapper that becomes the program at `real`.
    pub fn wrapper_release(&self, version: &str, sequence: u64, mischief: &Mischief<'_>, real: &Path) -> Result<()> {
        let archive = self.wrapper_archive(version, mischief, real)?;
        self.issue(&archive, LINUX, version, sequence, &["--product", "wrapper"])
    }

    /// An archive with this program, and bytes of ballast.
    pub fn zip(&self, program: &str, version: &str, content: &[u8], ballast: usize) -> Result<PathBuf> {
        let path = self.folder.join(format!("{program}-{version}.zip"));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let mut zip = ZipWriter::new(std::fs::File::create(&path)?);
        zip.start_file(program, options)?;
        zip.write_all(content)?;
        zip.start_file("ballast", options)?;
        zip.write_all(&vec![7; ballast])?;
        zip.finish()?;
        Ok(path)
    }

    /// Signs an archive for Linux with some of the keys; `more` are further arguments of `releases sign`.
    pub fn sign(&self, archive: &Path, version: &str, keys: &[usize], more: &[&str]) -> Result<()> {
        self.sign_for(LINUX, archive, version, keys, more)
    }

    fn sign_for(&self, platform: &str, archive: &Path, version: &str, keys: &[usize], more: &[&str]) -> Result<()> {
        let archive = archive.to_str().context("the archive's path")?;
        let files: Vec<String> = keys.iter().map(|number| self.key(*number)).collect();
        let mut arguments = vec!["releases", "sign", archive, "--version", version, "--platform", platform];
        for file in &files {
            arguments.extend(["--key", file]);
        }
        arguments.extend(more);
        self.cli.good(&arguments).map(|_| ())
    }

    /// Uploads a signed archive.
    pub fn publish(&self, archive: &Path) -> Result<()> {
        self.cli.good(&["releases", "publish", archive.to_str().context("the archive's path")?]).map(|_| ())
    }

    /// Signs an archive with every key and publishes it; `more` as for [`Publisher::sign`].
    pub fn issue(&self, archive: &Path, platform: &str, version: &str, sequence: u64, more: &[&str]) -> Result<()> {
        let (all, sequence): (Vec<usize>, _) = ((0..self.keys).collect(), sequence.to_string());
        self.sign_for(platform, archive, version, &all, &[more, &["--sequence", &sequence]].concat())?;
        self.publish(archive)
    }

    /// Makes, signs with every key and publishes a version; gives its archive.
    pub fn release(&self, version: &str, sequence: u64, mischief: &Mischief<'_>) -> Result<PathBuf> {
        let archive = self.archive(version, mischief)?;
        self.issue(&archive, LINUX, version, sequence, &[])?;
        Ok(archive)
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}
