//! Archives that are the same whenever and wherever they are made.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::config::Config;
use crate::{process, tools};

/// Where folders are put together that become archives.
pub(super) struct Stage {
    folder: PathBuf,
    out: PathBuf,
    /// The time that every file gets, in seconds since 1970.
    time: u64,
}

impl Stage {
    /// An empty one, whose archives go to `out`.
    pub(super) fn new(config: &Config, out: &Path) -> Result<Self, String> {
        tools::packers()?;
        let folder = config.target.join("tmp").join(format!("dist-{}", std::process::id()));
        remove(&folder)?;
        make(&folder)?;
        make(out)?;
        let out = fs::canonicalize(out).map_err(|error| failed("finding", out, &error))?;
        Ok(Self { folder, out, time: super::time_of_source(config)? })
    }

    /// Where the archives go.
    pub(super) fn out(&self) -> &Path {
        &self.out
    }

    /// A new folder in it.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, String> {
        let folder = self.folder.join(name);
        make(&folder).map(|()| folder)
    }

    /// What is in a folder, as a zip; gives its name.
    pub(super) fn zip(&self, name: &str) -> Result<String, String> {
        let (folder, archive) = (self.folder.join(name), format!("{name}.zip"));
        self.settle(&folder)?;
        let mut command = Command::new("zip");
        // Times in zips are those of a place.
        command
            .current_dir(&folder)
            .env("TZ", "UTC")
            .args(["-q", "-X", "-D", "-r"])
            .arg(self.out.join(&archive))
            .arg(".");
        process::run(&mut command)?;
        Ok(archive)
    }

    /// A folder, as a compressed tar; gives its name.
    pub(super) fn tar_gz(&self, name: &str) -> Result<String, String> {
        let archive = format!("{name}.tar.gz");
        self.settle(&self.folder.join(name))?;
        let mut command = Command::new("tar");
        command.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--use-compress-program=gzip -n"]);
        command
            .arg("--create")
            .arg("--file")
            .arg(self.out.join(&archive))
            .arg("--directory")
            .arg(&self.folder)
            .arg(name);
        process::run(&mut command)?;
        Ok(archive)
    }

    /// A folder with `DEBIAN/control`, as a package.
    pub(super) fn deb(&self, folder: &str, archive: &str) -> Result<(), String> {
        let folder = self.folder.join(folder);
        self.settle(&folder)?;
        let mut command = Command::new("dpkg-deb");
        command.env("SOURCE_DATE_EPOCH", self.time.to_string()).args(["--root-owner-group", "-Zxz", "-z3", "--build"]);
        process::run_quietly(command.arg(&folder).arg(self.out.join(archive)))
    }

    /// The file `SHA256SUMS` of these archives.
    pub(super) fn sums(&self, archives: &[String]) -> Result<(), String> {
        let text = process::output(Command::new("sha256sum").current_dir(&self.out).args(archives))?;
        write(&self.out.join("SHA256SUMS"), &text)
    }

    /// Gives everything in a folder its time, and the rights that it would have under any umask.
    fn settle(&self, folder: &Path) -> Result<(), String> {
        process::run(Command::new("chmod").args(["--recursive", "u=rwX,go=rX"]).arg(folder))?;
        self.date(folder)
    }

    fn date(&self, path: &Path) -> Result<(), String> {
        // What a link has for a time is nobody's business.
        if path.is_symlink() {
            return Ok(());
        }
        if path.is_dir() {
            let named = |error| failed("reading", path, &error);
            for entry in fs::read_dir(path).map_err(named)? {
                self.date(&entry.map_err(named)?.path())?;
            }
        }
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.time);
        let set = File::open(path).and_then(|file| file.set_modified(time));
        set.map_err(|error| failed("setting the time of", path, &error))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // It is of no further use; what stays takes only space.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Copies a file with its rights; folders above are made.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), String> {
    to.parent().map_or(Ok(()), make)?;
    fs::copy(from, to).map(drop).map_err(|error| failed("copying", from, &error))
}

/// Writes a file; folders above are made.
pub(super) fn write(path: &Path, text: &str) -> Result<(), String> {
    path.parent().map_or(Ok(()), make)?;
    fs::write(path, text).map_err(|error| failed("writing", path, &error))
}

/// Removes a folder, if it is there.
pub(super) fn remove(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("removing", folder, &error)),
        _ => Ok(()),
    }
}

pub(super) fn make(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| failed("making", folder, &error))
}

fn failed(doing: &str, path: &Path, error: &io::Error) -> String {
    format!("{doing} {}: {error}", path.display())
}
