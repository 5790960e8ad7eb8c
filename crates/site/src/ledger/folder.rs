//! The ledger's files: appended to, flushed in batches, the oldest removed when there are too many.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use sallyport_protocol::Timestamp;

use super::chain::unchecked;
use super::{Body, Chain, Entry, Record, Today};
use crate::platform;

/// A file that is longer is followed by another.
pub const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Files that are kept.
pub const FILES_MAX: usize = 16;

/// Longer than any line.
const TAIL_BYTES: u64 = 64 * 1024;

/// The ledger of a running agent.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
    chain: Chain,
    file_bytes_max: u64,
}

/// What the last file ends with.
struct Tail {
    chain: Chain,
    torn: bool,
}

impl Folder {
    /// Goes on with the ledger in this folder, or begins one; says what was moved on the day of `now`.
    pub fn open(path: &Path, now: Timestamp) -> io::Result<(Self, Today)> {
        Self::with_files_of(path, now, FILE_BYTES_MAX)
    }

    pub(super) fn with_files_of(path: &Path, now: Timestamp, file_bytes_max: u64) -> io::Result<(Self, Today)> {
        platform::create_private_folder(path)?;
        let today = moved_on_the_day_of(path, now)?;
        let mut folder = Self { path: path.to_owned(), file: None, bytes: 0, chain: Chain::default(), file_bytes_max };
        folder.recover()?;
        Ok((folder, today))
    }

    /// Writes entries and flushes them to the disk; `lost` others were given up before. After an error the last line
    /// may be torn.
    pub fn append(&mut self, entries: &[Entry], lost: u64) -> io::Result<()> {
        if self.file.is_none() || self.bytes >= self.file_bytes_max {
            self.begin_file(lost)?;
        } else if lost > 0 {
            self.go_on(false, lost)?;
        }
        let mut text = String::new();
        let mut chain = self.chain.clone();
        for entry in entries {
            text.push_str(&chain.line(Body::Used { entry: entry.clone() })?);
            text.push('\n');
        }
        self.write(&text, chain)
    }

    /// After a failed write: whatever of it stands in the file is left behind.
    pub fn recover(&mut self) -> io::Result<()> {
        let Some(last) = files(&self.path)?.pop() else { return Ok(()) };
        let (mut file, tail) = tail(&last)?;
        self.bytes = file.seek(SeekFrom::End(0))?;
        self.file = Some(file);
        self.chain = tail.chain;
        if tail.torn { self.go_on(true, 0) } else { Ok(()) }
    }

    fn begin_file(&mut self, lost: u64) -> io::Result<()> {
        let path = self.path.join(format!("egress-{:020}.log", self.chain.next()));
        let mut options = OpenOptions::new();
        options.append(true).read(true).create(true);
        platform::restrict(&mut options, true);
        self.file = Some(options.open(path)?);
        self.bytes = 0;
        if self.chain != Chain::default() {
            self.go_on(false, lost)?;
        }
        platform::sync_folder(&self.path)?;
        let kept = files(&self.path)?;
        for oldest in kept.iter().take(kept.len().saturating_sub(FILES_MAX)) {
            fs::remove_file(oldest)?;
        }
        Ok(())
    }

    fn go_on(&mut self, torn: bool, lost: u64) -> io::Result<()> {
        let mut chain = self.chain.clone();
        let line = chain.line(Body::Continues { from: self.chain.head().to_owned(), torn, lost })?;
        let start = if torn { "\n" } else { "" };
        self.write(&format!("{start}{line}\n"), chain)
    }

    fn write(&mut self, text: &str, chain: Chain) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        self.bytes += text.len() as u64;
        self.chain = chain;
        Ok(())
    }
}

/// The ledger's files, the oldest first; none where there is no ledger.
pub(super) fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let listed = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut files = Vec::new();
    for found in listed {
        let path = found?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("egress-") && name.ends_with(".log") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Opens a file to append to. Its last whole line says how the chain goes on: whether the lines before it are as they
/// were is for [`super::verify`] to say.
fn tail(path: &Path) -> io::Result<(File, Tail)> {
    let mut file = OpenOptions::new().append(true).read(true).open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let torn = bytes.last().is_some_and(|last| *last != b'\n');
    let text = String::from_utf8_lossy(&bytes);
    let chain = text.lines().rev().find_map(|line| Chain::behind(line).ok());
    let chain = match chain {
        Some(chain) => chain,
        // The first line of a file was torn: its name and the file before say where the chain stands.
        None => before_file(path)?,
    };
    Ok((file, Tail { chain, torn }))
}

fn before_file(path: &Path) -> io::Result<Chain> {
    let folder = path.parent().unwrap_or(path);
    let before = files(folder)?.into_iter().rev().find(|file| file.as_path() < path);
    let Some(before) = before else { return Ok(Chain::default()) };
    let text = String::from_utf8_lossy(&fs::read(before)?).into_owned();
    Ok(text.lines().rev().find_map(|line| Chain::behind(line).ok()).unwrap_or_default())
}

/// Read from the newest file backwards, as far as the day reaches.
fn moved_on_the_day_of(path: &Path, now: Timestamp) -> io::Result<Today> {
    let mut today = Today::default();
    today.add(now, 0);
    for file in files(path)?.iter().rev() {
        let text = String::from_utf8_lossy(&fs::read(file)?).into_owned();
        let mut earlier = false;
        for line in text.lines() {
            if let Ok(Record { body: Body::Used { entry }, .. }) = unchecked(line) {
                earlier |= !today.holds(entry.at);
                today.add(entry.at, entry.bytes());
            }
        }
        if earlier {
            break;
        }
    }
    Ok(today)
}
