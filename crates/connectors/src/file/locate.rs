//! From a path or pattern to the files it names.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use sallyport_protocol::FailureKind;

use crate::Error;
use crate::paths::{Root, pattern_components};
use crate::settings::invalid;

/// Files that one pattern may match; more is a pattern that was not meant.
const MATCHES_MAX: usize = 100_000;

/// A file to read.
#[derive(Clone, Debug)]
pub(super) struct Located {
    /// Relative to the root, for people.
    pub(super) shown: String,
    /// Where it is, without links.
    pub(super) path: PathBuf,
}

/// The files that `text` names, in the order of their names; at least one.
pub(super) fn locate(root: &Root, text: &str) -> Result<Vec<Located>, Error> {
    if !text.contains(['*', '?', '[', '{']) {
        let (_, path) = root.open(text)?;
        return Ok(vec![Located { shown: text.to_owned(), path }]);
    }
    let components = pattern_components(text, root)?;
    let pattern = components.join("/");
    let glob = GlobBuilder::new(&pattern).literal_separator(true).backslash_escape(false).build();
    let matcher = glob.map_err(|error| invalid("path", format!("pattern `{text}`: {error}")))?.compile_matcher();
    let fixed = components.iter().take_while(|component| !component.contains(['*', '?', '[', '{', '}', ']'])).count();
    let start = components[..fixed].iter().fold(root.path().to_owned(), |path, component| path.join(component));
    let mut found = Vec::new();
    if root.holds(&start).is_some() {
        walk(root, &start, &matcher, &mut found)?;
    }
    if found.is_empty() {
        let why = format!("no file below the root `{}` matches `{text}`", root.path().display());
        return Err(Error::permanent(FailureKind::Connector, "file_not_found", why)
            .advise("correct the pattern, or add the files"));
    }
    found.sort_by(|a, b| a.shown.cmp(&b.shown));
    Ok(found)
}

fn walk(root: &Root, folder: &Path, matcher: &GlobMatcher, found: &mut Vec<Located>) -> Result<(), Error> {
    let shown = folder.display().to_string();
    for entry in std::fs::read_dir(folder).map_err(|error| root.unreadable(&shown, &error))? {
        let entry = entry.map_err(|error| root.unreadable(&shown, &error))?;
        let kind = entry.file_type().map_err(|error| root.unreadable(&shown, &error))?;
        let path = entry.path();
        if kind.is_dir() {
            walk(root, &path, matcher, found)?;
            continue;
        }
        let relative = path.strip_prefix(root.path()).unwrap_or(&path);
        // Hidden names are other writers' unfinished files.
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if hidden || !matcher.is_match(relative) {
            continue;
        }
        if let Some(canonical) = root.holds(&path).filter(|canonical| canonical.is_file()) {
            let shown = relative.to_string_lossy().replace('\\', "/");
            found.push(Located { shown, path: canonical });
        }
        if found.len() > MATCHES_MAX {
            return Err(invalid("path", format!("the pattern matches more than {MATCHES_MAX} files")));
        }
    }
    Ok(())
}
