//! Documents that people write: YAML or JSON files, several in one file if they like, and the look of a difference.

use std::path::Path;

use serde_json::Value;

use crate::error::{Doing, Error, Result};
use crate::output;
use crate::say::{self, Tone};

/// A document and where it stands.
pub(crate) struct Document {
    /// The file, with the document's number where there are several.
    pub(crate) place: String,
    /// What it says.
    pub(crate) value: Value,
    /// As it was written, with its comments; made anew where a file holds several.
    pub(crate) text: String,
}

/// Reads every document of a file; `-` is standard input. The file may hold secrets: an error names the place and shows
/// nothing of what stands there.
pub(crate) fn read(path: &Path) -> Result<Vec<Document>> {
    let text = text(path)?;
    let values: Vec<Value> = serde_saphyr::from_multiple(&text)
        .map_err(|error| Error::failed(format!("{} is not valid YAML: {}", path.display(), error.without_snippet())))?;
    let several = values.len() > 1;
    let mut documents = Vec::new();
    for (index, value) in values.into_iter().enumerate().filter(|(_, value)| !value.is_null()) {
        documents.push(if several {
            let place = format!("{}, document {}", path.display(), index + 1);
            Document { place, text: output::yaml(&value)?, value }
        } else {
            Document { place: path.display().to_string(), text: text.clone(), value }
        });
    }
    if documents.is_empty() {
        Err(Error::failed(format!("{} holds no document", path.display())))
    } else {
        Ok(documents)
    }
}

/// Reads a file as text; `-` is standard input.
pub(crate) fn text(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        return std::io::read_to_string(std::io::stdin()).doing(|| "reading standard input".into());
    }
    std::fs::read_to_string(path).doing(|| format!("reading {}", path.display()))
}

/// A unified diff in colours, without its header.
pub(crate) fn paint_diff(diff: &str) -> String {
    let mut painted = String::new();
    for line in diff.lines().filter(|line| !line.starts_with("---") && !line.starts_with("+++")) {
        let shown = match line.chars().next() {
            Some('-') => say::paint(Tone::Bad, line),
            Some('+') => say::paint(Tone::Good, line),
            Some('@') => say::paint(Tone::Dim, line),
            _ => line.to_owned(),
        };
        painted.push_str(&shown);
        painted.push('\n');
    }
    painted
}

#[cfg(test)]
mod tests;
