//! From a path or pattern to the files it names.

use std::io;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use sallyport_protocol::{FailureKind, LogLevel};

use super::seen::Stamp;
use crate::paths::{Root, pattern_components};
use crate::settings::invalid;
use crate::{Context, Error};

/// Files that one pattern may match; more is a pattern that was not meant.
const MATCHES_MAX: usize = 100_000;

/// How deep `**` looks.
const DEPTH_MAX: usize = 64;

/// A file to read.
#[derive(Clone, Debug)]
pub(super) struct Located {
    /// Relative to the root, for people.
    pub(super) shown: String,
    /// Where it is, without links.
    pub(super) path: PathBuf,
    /// What it was when it was chosen, where only new files are read.
    pub(super) stamp: Option<Stamp>,
}

/// The files that `text` names, in the order of their names; a pattern may name none.
pub(super) fn locate(root: &Root, text: &str, cx: &Context) -> Result<Vec<Located>, Error> {
    if !text.contains(['*', '?', '[', '{']) {
        let (_, path) = root.open(text)?;
        return Ok(vec![Located { shown: text.to_owned(), path, stamp: None }]);
    }
    let parts: Vec<Part> =
        pattern_components(text, root)?.into_iter().map(|name| Part::of(name, text)).collect::<Result<_, _>>()?;
    let mut search = Search { root, cx, found: Vec::new() };
    search.look(root.path(), &parts, 0)?;
    let mut found = search.found;
    found.sort_by(|a, b| a.shown.cmp(&b.shown));
    // `**/**` meets a file on several ways.
    found.dedup_by(|a, b| a.shown == b.shown);
    Ok(found)
}

/// A pattern names no file.
pub(super) fn no_match(root: &Root, text: &str) -> Error {
    let why = format!("no file below the root `{}` matches `{text}`", root.path().display());
    Error::permanent(FailureKind::Connector, "file_not_found", why).advise("correct the pattern, or add the files")
}

/// What one name of a path may be.
enum Part {
    Exactly(String),
    Like(GlobMatcher),
    /// `**`: any folders, also none.
    Folders,
}

impl Part {
    fn of(name: String, pattern: &str) -> Result<Self, Error> {
        if name == "**" {
            return Ok(Self::Folders);
        }
        if !name.contains(['*', '?', '[', ']', '{', '}']) {
            return Ok(Self::Exactly(name));
        }
        let glob = GlobBuilder::new(&name).literal_separator(true).backslash_escape(false).build();
        let glob = glob.map_err(|error| invalid("path", format!("pattern `{pattern}`: {error}")))?;
        Ok(Self::Like(glob.compile_matcher()))
    }
}

struct Search<'a> {
    root: &'a Root,
    cx: &'a Context,
    found: Vec<Located>,
}

impl Search<'_> {
    /// Looks only into folders that the pattern's names can lead to.
    fn look(&mut self, folder: &Path, parts: &[Part], depth: usize) -> Result<(), Error> {
        let Some((part, rest)) = parts.split_first() else { return Ok(()) };
        match part {
            Part::Exactly(name) => self.take(&folder.join(name), rest, depth),
            Part::Like(matcher) => {
                for path in self.entries(folder, depth > 0)? {
                    if path.file_name().is_some_and(|name| matcher.is_match(name)) {
                        self.take(&path, rest, depth)?;
                    }
                }
                Ok(())
            }
            Part::Folders => {
                self.look(folder, rest, depth)?;
                if depth >= DEPTH_MAX {
                    return Ok(());
                }
                for path in self.entries(folder, true)? {
                    // Links to folders are not followed here: they may lead in a circle.
                    if std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
                        self.look(&path, parts, depth + 1)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// A name that fits: a file if it was the last one, else a folder to look into.
    fn take(&mut self, path: &Path, rest: &[Part], depth: usize) -> Result<(), Error> {
        // Links are followed while they stay below the root.
        let Some(canonical) = self.root.holds(path) else { return Ok(()) };
        if !rest.is_empty() {
            return if canonical.is_dir() { self.look(path, rest, depth) } else { Ok(()) };
        }
        // Hidden names are other writers' unfinished files.
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden || !canonical.is_file() {
            return Ok(());
        }
        let relative = path.strip_prefix(self.root.path()).unwrap_or(path);
        let shown = relative.to_string_lossy().replace('\\', "/");
        self.found.push(Located { shown, path: canonical, stamp: None });
        if self.found.len() > MATCHES_MAX {
            return Err(invalid("path", format!("the pattern matches more than {MATCHES_MAX} files")));
        }
        Ok(())
    }

    /// What is in a folder; below `**` one that may not be read is passed over.
    fn entries(&self, folder: &Path, lenient: bool) -> Result<Vec<PathBuf>, Error> {
        self.cx.cancel.check()?;
        let listed: io::Result<Vec<PathBuf>> = std::fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect());
        match listed {
            Err(error) if lenient && error.kind() == io::ErrorKind::PermissionDenied => {
                (self.cx.log)(LogLevel::Warning, format!("folder `{}` is passed over: {error}", folder.display()));
                Ok(Vec::new())
            }
            listed => listed.map_err(|error| self.root.unreadable(&folder.display().to_string(), &error)),
        }
    }
}
