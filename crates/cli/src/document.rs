//! Documents that people write: YAML or JSON files, several in one file if they like, and how two versions differ.

use std::path::Path;

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::error::{Doing, Error, Result};
use crate::output;
use crate::say::{self, Tone};

/// A document and where it stands.
pub(crate) struct Document {
    /// The file, with the document's number where there are several.
    pub(crate) place: String,
    /// What it says.
    pub(crate) value: Value,
}

/// Reads every document of a file; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<Document>> {
    let text = text(path)?;
    let values: Vec<Value> = serde_saphyr::from_multiple(&text)
        .map_err(|error| Error::failed(format!("{} is not valid YAML: {error}", path.display())))?;
    let several = values.len() > 1;
    let documents: Vec<Document> = values
        .into_iter()
        .enumerate()
        .filter(|(_, value)| !value.is_null())
        .map(|(index, value)| {
            let place = if several {
                format!("{}, document {}", path.display(), index + 1)
            } else {
                path.display().to_string()
            };
            Document { place, value }
        })
        .collect();
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

/// The lines that differ between two values, as YAML, with three lines around each change; empty where they are the same.
pub(crate) fn diff(old: Option<&Value>, new: &Value) -> Result<String> {
    let before = old.map(output::yaml).transpose()?.unwrap_or_default();
    let after = output::yaml(new)?;
    let diff = TextDiff::from_lines(&before, &after);
    let mut text = String::new();
    for (index, group) in diff.grouped_ops(3).iter().enumerate() {
        if index > 0 {
            text.push_str(&say::paint(Tone::Dim, "  ..."));
            text.push('\n');
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = change.value().trim_end_matches('\n');
            let shown = match change.tag() {
                ChangeTag::Delete => say::paint(Tone::Bad, &format!("- {line}")),
                ChangeTag::Insert => say::paint(Tone::Good, &format!("+ {line}")),
                ChangeTag::Equal => format!("  {line}"),
            };
            text.push_str(&shown);
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
