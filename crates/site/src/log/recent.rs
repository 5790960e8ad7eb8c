//! The end of a log as it stands in its files.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::Program;

/// The most that is read of a file's end.
pub const RECENT_BYTES_MAX: u64 = 512 * 1024;

/// The newest file of a program; names sort as their days do.
pub fn newest(folder: &Path, program: Program) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let wanted = |name: &String| {
        let rest = name.strip_prefix(program.prefix()).and_then(|rest| rest.strip_prefix('-'));
        rest.is_some_and(|rest| rest.ends_with(".log") && !rest.ends_with(".earlier.log"))
    };
    names.filter(wanted).max().map(|name| folder.join(name))
}

/// The last lines of a program's newest file, at most `most`, the oldest first.
pub fn recent(folder: &Path, program: Program, most: usize) -> Vec<String> {
    let text = newest(folder, program).and_then(|path| end_of(&path).ok()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(most)).map(ToString::to_string).collect()
}

fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(RECENT_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(RECENT_BYTES_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // The first line of a part is a piece of one.
    let whole = if from == 0 { text.as_ref() } else { text.split_once('\n').map_or("", |(_, rest)| rest) };
    Ok(whole.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_the_newest_day_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("server-2026-01-01.log", "old\n");
        write("server-2026-01-02.log", "one\ntwo\nthree\n");
        write("server-2026-01-02.earlier.log", "set aside\n");
        write("wrapper-2026-02-02.log", "other\n");
        assert_eq!(recent(folder.path(), Program::Agent, 2), ["two", "three"]);
        assert_eq!(recent(folder.path(), Program::Wrapper, 9), ["other"]);
        assert_eq!(recent(&folder.path().join("none"), Program::Wrapper, 9), Vec::<String>::new());
        write("server-2026-01-03.log", &format!("{}\nlast\n", "x".repeat(RECENT_BYTES_MAX as usize)));
        assert_eq!(recent(folder.path(), Program::Agent, 9), ["last"]);
    }
}
