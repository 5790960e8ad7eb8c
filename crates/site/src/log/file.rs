//! One file a day (UTC), kept for two weeks, bounded in size.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sallyport_protocol::Timestamp;

use super::line::time;

/// How many days of files are kept, today included.
pub const RETENTION_DAYS: u32 = 14;

/// The most bytes of one file. A day that writes more keeps the newest: the full file is set aside as
/// `<name>.earlier.log`, in place of one set aside before. Two weeks hold at most about 900 MiB.
pub const DAY_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// How much a file grows that could not be set aside, before that is tried again.
const RETRY_BYTES: u64 = 1024 * 1024;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The file of the day.
#[derive(Debug)]
pub(super) struct DailyFile {
    folder: PathBuf,
    prefix: &'static str,
    day: String,
    path: PathBuf,
    file: Option<File>,
    written: u64,
    /// Set aside beyond this.
    most: u64,
    /// Lines that could not be written, as with a full disk.
    lost: u64,
}

impl DailyFile {
    /// Opens today's file; on failure gives its path.
    pub(super) fn open(folder: &Path, prefix: &'static str, now: Timestamp) -> Result<Self, (PathBuf, io::Error)> {
        let mut daily = Self {
            folder: folder.to_owned(),
            prefix,
            day: String::new(),
            path: PathBuf::new(),
            file: None,
            written: 0,
            most: DAY_BYTES_MAX,
            lost: 0,
        };
        daily.turn_to(now).map_err(|error| (daily.path.clone(), error))?;
        Ok(daily)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line; what cannot be written is counted, and the count is written once writing works again.
    pub(super) fn write(&mut self, at: Timestamp, line: &str) {
        if self.try_write(at, line).is_err() {
            self.lost += 1;
            self.file = None;
        }
    }

    fn try_write(&mut self, at: Timestamp, line: &str) -> io::Result<()> {
        if self.file.is_none() || day(at) != self.day {
            self.turn_to(at)?;
        }
        if self.written > self.most {
            self.set_aside(at)?;
        }
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        if self.lost > 0 {
            let note = format!(
                "{}: level=warning, logName=log, lines lost because the file could not be written, count={}\n",
                time(at),
                self.lost
            );
            file.write_all(note.as_bytes())?;
            self.lost = 0;
        }
        file.write_all(line.as_bytes())?;
        self.written += line.len() as u64;
        Ok(())
    }

    fn turn_to(&mut self, now: Timestamp) -> io::Result<()> {
        let today = day(now);
        self.path = self.folder.join(format!("{}-{today}.log", self.prefix));
        let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        self.written = file.metadata()?.len();
        self.file = Some(file);
        if self.day != today {
            self.day = today;
            self.remove_old(now);
        }
        Ok(())
    }

    fn set_aside(&mut self, now: Timestamp) -> io::Result<()> {
        // Windows renames no open file.
        self.file = None;
        let earlier = self.folder.join(format!("{}-{}.earlier.log", self.prefix, self.day));
        let renamed = fs::rename(&self.path, earlier);
        self.turn_to(now)?;
        // Neither one that a viewer holds: then the file grows, and is set aside a little later.
        self.most = if renamed.is_ok() { DAY_BYTES_MAX } else { self.written + RETRY_BYTES };
        Ok(())
    }

    /// Removes files from before the days that are kept. Names sort as their days do.
    fn remove_old(&self, now: Timestamp) {
        let kept = DAY * (RETENTION_DAYS - 1);
        let oldest = day(now.minus(kept));
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let day = name
                .to_str()
                .and_then(|name| name.strip_prefix(self.prefix)?.strip_prefix('-'))
                .filter(|rest| rest.ends_with(".log"))
                .and_then(|rest| rest.get(..10));
            if day.is_some_and(|day| is_day(day) && day < oldest.as_str()) {
                // It is tried again tomorrow.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn is_day(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
}

/// `YYYY-MM-DD` in UTC.
fn day(at: Timestamp) -> String {
    let mut text = time(at);
    text.truncate(10);
    text
}
