//! Paths that a task names, kept below a root folder that they cannot leave.
//!
//! Invariant: every file of a task is reached by [`Root`]: names are checked as text by the rules of all platforms at
//! once (a task means the same on each), links are resolved and must stay below the root, and the folder is then opened
//! component by component without following links, so that a link swapped in meanwhile leads nowhere.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sallyport_protocol::FailureKind;

use crate::Error;

#[cfg_attr(unix, path = "paths/unix.rs")]
#[cfg_attr(windows, path = "paths/windows.rs")]
mod folder;

pub(crate) use folder::Folder;

/// A folder that paths cannot leave.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    path: PathBuf,
}

impl Root {
    /// The root at `path`, which must exist.
    pub(crate) fn new(path: &Path) -> Result<Self, Error> {
        let shown = path.display();
        let canonical = std::fs::canonicalize(path).map_err(|error| {
            Error::permanent(
                FailureKind::Connector,
                "root_missing",
                format!("opening the root folder `{shown}`: {error}"),
            )
            .advise("create the folder on the agent's machine, or correct the connection's `root`")
        })?;
        if !canonical.is_dir() {
            let why = format!("the root `{shown}` is not a folder");
            return Err(Error::permanent(FailureKind::Connector, "root_missing", why));
        }
        Ok(Self { path: canonical })
    }

    /// The folder itself, without links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file for reading; links are followed as long as they stay below the root.
    pub(crate) fn open(&self, text: &str) -> Result<(File, PathBuf), Error> {
        let components = components(text, self)?;
        let found = self.find(&components, text)?;
        let file = self.open_found(&found).map_err(|error| self.unreadable(text, &error))?;
        Ok((file, found))
    }

    /// Opens for reading what [`Root::find`] found.
    pub(crate) fn open_found(&self, found: &Path) -> io::Result<File> {
        let relative = found.strip_prefix(&self.path).map_err(|_| io::Error::other("not below the root"))?;
        let (Some(parent), Some(name)) = (relative.parent(), relative.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        };
        let mut folder = Folder::open(&self.path)?;
        for component in parent {
            folder = folder.enter(component)?;
        }
        let file = folder.open_file(name)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        Ok(file)
    }

    /// The folder that `text`'s file stands in, made if missing, and the file's name and full path. For writing.
    pub(crate) fn place(&self, text: &str) -> Result<Place, Error> {
        let components = components(text, self)?;
        let Some((name, parents)) = components.split_last() else {
            return Err(self.refused(text, "names no file"));
        };
        let failed = |error: &io::Error, at: &Path| {
            let why = format!("making folder `{}` below the root `{}`: {error}", at.display(), self.path.display());
            Error::permanent(FailureKind::Output, "folder_not_writable", why)
                .advise("give the agent's user the right to write there, or choose another path")
        };
        let parent = self.existing(parents, text)?;
        let relative = parent.strip_prefix(&self.path).map_err(|_| self.refused(text, "leads out of the root"))?;
        let mut folder = Folder::open(&self.path).map_err(|error| failed(&error, &self.path))?;
        for component in relative {
            folder = folder.enter_or_make(component).map_err(|error| failed(&error, &parent))?;
        }
        let path = parent.join(name);
        if path.is_dir() {
            return Err(self.refused(text, "is a folder, not a file"));
        }
        Ok(Place { folder, name: name.clone(), path })
    }

    /// Resolves an existing path, following links that stay below the root.
    fn find(&self, components: &[String], text: &str) -> Result<PathBuf, Error> {
        let path = components.iter().fold(self.path.clone(), |path, component| path.join(component));
        let canonical = std::fs::canonicalize(&path).map_err(|error| self.unreadable(text, &error))?;
        if canonical.starts_with(&self.path) {
            Ok(canonical)
        } else {
            Err(self.refused(text, "leads out of the root by a link"))
        }
    }

    /// Resolves the part of a path that exists, following links that stay below the root, and appends the rest.
    fn existing(&self, components: &[String], text: &str) -> Result<PathBuf, Error> {
        let mut path = self.path.clone();
        for (index, component) in components.iter().enumerate() {
            let next = path.join(component);
            match std::fs::symlink_metadata(&next) {
                Ok(_) => path = self.find(&components[..=index], text)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(components[index..].iter().fold(path, |path, component| path.join(component)));
                }
                Err(error) => return Err(self.unreadable(text, &error)),
            }
        }
        Ok(path)
    }

    /// Whether a path found by walking below the root still lies there once links are followed.
    pub(crate) fn holds(&self, path: &Path) -> Option<PathBuf> {
        std::fs::canonicalize(path).ok().filter(|canonical| canonical.starts_with(&self.path))
    }

    pub(crate) fn unreadable(&self, text: &str, error: &io::Error) -> Error {
        let root = self.path.display();
        if error.kind() == io::ErrorKind::NotFound {
            let why = format!("there is no file `{text}` below the root `{root}`");
            return Error::permanent(FailureKind::Connector, "file_not_found", why)
                .advise("correct the path; it is relative to the root of the agent that runs the step");
        }
        let why = format!("opening `{text}` below the root `{root}`: {error}");
        Error::permanent(FailureKind::Connector, "file_not_readable", why)
            .advise("give the agent's user the right to read the file")
    }

    fn refused(&self, text: &str, what: &str) -> Error {
        let why = format!("path `{text}` {what}; the root is `{}`", self.path.display());
        Error::permanent(FailureKind::Connector, "path_refused", why)
            .advise("use a relative path of plain names below the root, such as `out/orders.csv`")
    }
}

/// Where a file is to be written.
#[derive(Debug)]
pub(crate) struct Place {
    /// The folder it stands in.
    pub(crate) folder: Folder,
    /// Its name there.
    pub(crate) name: String,
    /// Its full path, for messages.
    pub(crate) path: PathBuf,
}

/// Splits a path into plain names, or says why it is none; `/` and `\` both part names on every platform.
pub(crate) fn components(text: &str, root: &Root) -> Result<Vec<String>, Error> {
    split(text, false).map_err(|what| root.refused(text, what))
}

/// As [`components`], for a pattern: `*`, `?`, `[..]` and `{..}` may stand in names.
pub(crate) fn pattern_components(text: &str, root: &Root) -> Result<Vec<String>, Error> {
    split(text, true).map_err(|what| root.refused(text, what))
}

fn split(text: &str, pattern: bool) -> Result<Vec<String>, &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.contains(':') {
        return Err("contains `:` (drive letters and alternate streams are not allowed)");
    }
    if text.starts_with("\\\\") || text.starts_with("//") {
        return Err("is a network path");
    }
    if text.starts_with(['/', '\\']) {
        return Err("is absolute");
    }
    if text.ends_with(['/', '\\']) {
        return Err("names a folder, not a file");
    }
    let names: Vec<&str> = text.split(['/', '\\']).filter(|name| !name.is_empty() && *name != ".").collect();
    if names.is_empty() {
        return Err("names no file");
    }
    names.into_iter().map(|name| plain_name(name, pattern).map(|()| name.to_owned())).collect()
}

fn plain_name(name: &str, pattern: bool) -> Result<(), &'static str> {
    if name == ".." {
        return Err("contains `..`");
    }
    if name.ends_with(['.', ' ']) {
        return Err("has a name that ends with a dot or a blank");
    }
    if name.chars().any(|c| c.is_control() || matches!(c, '<' | '>' | '"' | '|') || !pattern && matches!(c, '*' | '?'))
    {
        return Err("has a character that is not allowed in names");
    }
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_uppercase();
    let numbered = |prefix| {
        stem.strip_prefix(prefix).is_some_and(|rest: &str| {
            let mut chars = rest.chars();
            matches!((chars.next(), chars.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
        })
    };
    let device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$");
    if device || numbered("COM") || numbered("LPT") { Err("has the name of a Windows device") } else { Ok(()) }
}

#[cfg(test)]
mod tests;
