//! The web console: built afresh, compared with what is committed, used in a real browser, and pictured.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::config::Config;
use crate::{process, tools};

/// The oldest Node that the console's tools take, as major and minor.
const NODE_MIN: (u32, u32) = (20, 19);

/// Whether the Node that is there will do, and its npm is there.
pub(crate) fn node(config: &Config) -> Result<(), String> {
    process::output(tools::of_node(config, "npm").arg("--version"))?;
    let said = process::output(tools::of_node(config, "node").arg("--version"))?;
    let said = said.trim();
    let mut numbers = said.trim_start_matches('v').split('.').map_while(|part| part.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if found >= NODE_MIN {
        return Ok(());
    }
    let (major, minor) = NODE_MIN;
    Err(format!("node is {said}, the console's tools need {major}.{minor} or newer"))
}

/// Types, build and comparison.
pub(crate) fn build(config: &Config) -> Result<(), String> {
    process::run_quietly(npm(config).args(["ci", "--silent"]))?;
    process::run_quietly(npm(config).args(["run", "check"]))?;
    let fresh = config.target.join("console");
    process::run_quietly(npm(config).args(["run", "build"]).env("CONSOLE_OUT", &fresh))?;
    let differing = differing(&files(&fresh)?, &files(&folder(config).join("dist"))?);
    if differing.is_empty() {
        return Ok(());
    }
    let named = differing.join(", ");
    Err(format!("console/dist is not what console/src builds: {named}\nrun `npm run build` in console/ and commit it"))
}

/// The browser's tests, against the programs in the target folder; what they said is shown when one fails.
pub(crate) fn browser(config: &Config) -> Result<(), String> {
    let programs = config.target.join("debug");
    process::run_quietly(npm(config).args(["run", "--silent", "e2e"]).env("SALLYPORT_BIN", programs))
}

/// Pictures of every page, with the programs and the console as they are in the source now.
pub(crate) fn screenshots(config: &Config) -> Result<(), String> {
    node(config)?;
    process::run_quietly(npm(config).args(["ci", "--silent"]))?;
    process::run_quietly(npm(config).args(["run", "build"]))?;
    process::run(tools::cargo(config).args(["build", "--workspace", "--bins", "--quiet"]))?;
    let out = config.root.join("out").join("screenshots");
    let programs = config.target.join("debug");
    process::run(
        npm(config).args(["run", "--silent", "screenshots"]).env("SALLYPORT_BIN", programs).env("SHOTS_OUT", &out),
    )
}

fn folder(config: &Config) -> PathBuf {
    config.root.join("console")
}

fn npm(config: &Config) -> Command {
    let mut command = tools::of_node(config, "npm");
    command.current_dir(folder(config));
    command
}

/// Every file below a folder, by its name from there.
fn files(root: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let failed = |error| format!("reading {}: {error}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            found.insert(name, std::fs::read(&path).map_err(failed)?);
        }
    }
    Ok(found)
}

/// Names of files that only one side has, or that are not the same.
fn differing(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
    names.sort();
    names.dedup();
    names.into_iter().filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn a_file_that_is_missing_more_or_other_is_named() {
        let built = files(&[("index.html", "new"), ("a.js", "1"), ("same.css", "x")]);
        let committed = files(&[("index.html", "old"), ("b.js", "1"), ("same.css", "x")]);
        assert_eq!(differing(&built, &committed), ["a.js", "b.js", "index.html"]);
        assert!(differing(&built, &built).is_empty());
    }
}
