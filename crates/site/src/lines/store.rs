//! The file of the spool: one JSON object a line, read from the front, appended at the end, removed when read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sallyport_protocol::LogLine;

use crate::durable;

#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    most: u64,
    file: Option<File>,
    /// Where the first line that was not taken begins.
    start: u64,
    end: u64,
}

impl Store {
    pub(super) fn open(path: &Path, most: u64) -> io::Result<Self> {
        let mut store = Self { path: path.to_owned(), most, file: None, start: 0, end: 0 };
        match fs::metadata(path) {
            Ok(found) if found.len() > 0 => {
                store.end = found.len();
                store.end_torn_line()?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(store)
    }

    /// A process that ended suddenly may have left half a line: the next one must not be lost with it.
    fn end_torn_line(&mut self) -> io::Result<()> {
        let mut last = [0];
        let file = self.file()?;
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            self.end += 1;
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether the line found a place.
    pub(super) fn append(&mut self, line: &LogLine) -> bool {
        let Ok(mut text) = serde_json::to_vec(line) else { return false };
        text.push(b'\n');
        if self.end + text.len() as u64 > self.most {
            return false;
        }
        let end = self.end;
        let written = self.file().and_then(|file| {
            file.seek(SeekFrom::Start(end))?;
            file.write_all(&text)
        });
        if written.is_ok() {
            self.end += text.len() as u64;
        }
        written.is_ok()
    }

    /// Takes up to `count` lines from the front, and how many more could not be understood.
    pub(super) fn take(&mut self, count: usize) -> (Vec<LogLine>, u64) {
        let mut lines = Vec::new();
        let mut unreadable = 0;
        if self.is_empty() {
            return (lines, unreadable);
        }
        let (start, end) = (self.start, self.end);
        let read = self.file().and_then(|file| {
            file.seek(SeekFrom::Start(start))?;
            let mut reader = BufReader::new(file);
            let mut at = start;
            let mut text = Vec::new();
            while lines.len() < count && at < end {
                text.clear();
                let length = reader.read_until(b'\n', &mut text)?;
                if length == 0 {
                    return Ok(end);
                }
                at += length as u64;
                match serde_json::from_slice(&text) {
                    Ok(line) => lines.push(line),
                    Err(_) => unreadable += 1,
                }
            }
            Ok(at)
        });
        self.start = read.unwrap_or(end);
        if self.is_empty() {
            self.clear();
        }
        (lines, unreadable)
    }

    /// Puts lines before those that the file still holds.
    pub(super) fn rewrite<'a>(&mut self, front: impl Iterator<Item = &'a LogLine>) -> io::Result<()> {
        let temporary = durable::beside(&self.path);
        let mut writer = BufWriter::new(OpenOptions::new().write(true).create(true).truncate(true).open(&temporary)?);
        for line in front {
            serde_json::to_writer(&mut writer, line)?;
            writer.write_all(b"\n")?;
        }
        if !self.is_empty() {
            let start = self.start;
            let file = self.file()?;
            file.seek(SeekFrom::Start(start))?;
            io::copy(file, &mut writer)?;
        }
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        let end = file.metadata()?.len();
        drop(file);
        self.file = None;
        fs::rename(&temporary, &self.path)?;
        (self.start, self.end) = (0, end);
        if end == 0 {
            self.clear();
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.file = None;
        (self.start, self.end) = (0, 0);
        // If it stays, the next append overwrites it from its beginning after cutting it.
        let _ = fs::remove_file(&self.path);
    }

    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)?;
            file.set_len(self.end)?;
            self.file = Some(file);
        }
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
