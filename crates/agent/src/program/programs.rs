//! `programs.json`: third-party connectors that the site's administrator registered, by name. The server cannot change it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sallyport_connectors::Program;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    programs: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    command: PathBuf,
    #[serde(default)]
    arguments: Vec<String>,
}

/// Reads the file; without one there are no programs. Relative commands start at the file's folder.
pub(super) fn load(path: &Path) -> anyhow::Result<BTreeMap<String, Program>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    let document: Document =
        serde_json::from_str(&text).with_context(|| format!("{} is not a valid list of programs", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut programs = BTreeMap::new();
    for (name, Entry { command, arguments }) in document.programs {
        let command = folder.join(command);
        if !command.is_file() {
            bail!("{}: the command of program `{name}`, {}, is not a file", path.display(), command.display());
        }
        programs.insert(name, Program { command, arguments });
    }
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("programs.json");
        std::fs::write(folder.path().join("tool"), "").unwrap();
        std::fs::write(&path, text).unwrap();
        load(&path).map(|programs| programs.into_keys().collect()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn programs_are_read_and_mistakes_named() {
        assert_eq!(check(r#"{"programs": {"shout": {"command": "tool"}}}"#), Ok(vec!["shout".to_owned()]));
        assert!(check(r#"{"programs": {"shout": {"command": "no-tool"}}}"#).unwrap_err().contains("`shout`"));
        assert!(check(r#"{"programs": {"shout": {"commmand": "tool"}}}"#).unwrap_err().contains("commmand"));
        assert!(load(Path::new("/no/such/programs.json")).unwrap().is_empty());
    }
}
