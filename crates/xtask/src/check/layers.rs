//! The fire walls between crates: what each may link, directly or through others.

use std::path::Path;
use std::process::Command;

use crate::config::Config;
use crate::process;

/// A crate, and the packages that must not be anywhere below it.
struct Wall {
    package: &'static str,
    never: &'static [&'static str],
}

const WALLS: &[Wall] = &[
    Wall { package: "sallyport-protocol", never: &["tokio", "arrow-*", "rusqlite", "ureq", "axum", "tungstenite"] },
    Wall {
        package: "sallyport-domain",
        never: &["tokio", "arrow-*", "rusqlite", "ureq", "axum", "tungstenite", "rustls"],
    },
    Wall { package: "sallyport-site", never: &["tokio", "arrow-*", "rusqlite", "datafusion", "axum"] },
    Wall {
        package: "sallyport-release",
        never: &["tokio", "arrow-*", "rusqlite", "ureq", "axum", "rustls", "sallyport-protocol"],
    },
    Wall { package: "sallyport-wrapper", never: &["tokio", "arrow-*", "rusqlite", "datafusion", "axum", "parquet"] },
    Wall { package: "sallyport-dataplane", never: &["rusqlite", "datafusion", "axum", "ureq", "parquet"] },
    Wall { package: "sallyport-connectors", never: &["datafusion", "axum", "tungstenite", "sallyport-store"] },
    Wall { package: "sallyport-store", never: &["datafusion", "axum", "arrow-*", "sallyport-connectors"] },
    Wall { package: "sallyport-agent", never: &["axum", "sallyport-store", "sallyport-server", "sallyport-domain"] },
];

/// A package that only some crates may name in their dependencies.
struct Owned {
    dependency: &'static str,
    by: &'static [&'static str],
}

const OWNED: &[Owned] = &[
    Owned { dependency: "rusqlite", by: &["store", "connectors", "e2e"] },
    Owned { dependency: "datafusion", by: &["transform"] },
    Owned { dependency: "axum", by: &["server"] },
    Owned { dependency: "utoipa", by: &["server"] },
    Owned { dependency: "postgres-protocol", by: &["connectors"] },
    Owned { dependency: "argon2", by: &["server", "store"] },
    Owned { dependency: "clap", by: &["agent", "cli", "e2e", "server"] },
    Owned { dependency: "ring", by: &["release", "site"] },
    Owned { dependency: "indicatif", by: &["cli"] },
];

/// Compares every crate's dependencies with the rules; the error lists each breach.
pub(crate) fn check(config: &Config) -> Result<(), String> {
    let mut wrong = Vec::new();
    for wall in WALLS {
        let below = tree(config, wall.package)?;
        wrong.extend(wall.breaches(&below));
    }
    for (name, manifest) in manifests(&config.root)? {
        let named = dependencies(&manifest);
        wrong.extend(breaches_of_owned(&name, &named));
        if name == "xtask" && !named.is_empty() {
            wrong.push(format!("xtask is std only, but names {}", named.join(", ")));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

impl Wall {
    fn breaches(&self, below: &[String]) -> Vec<String> {
        below
            .iter()
            .filter(|name| self.never.iter().any(|pattern| fits(pattern, name)))
            .map(|name| {
                format!(
                    "{} must not link {name}; `cargo tree -p {} -e normal -i {name}` shows through whom",
                    self.package, self.package
                )
            })
            .collect()
    }
}

fn breaches_of_owned(name: &str, named: &[String]) -> Vec<String> {
    OWNED
        .iter()
        .filter(|owned| named.iter().any(|dependency| dependency == owned.dependency) && !owned.by.contains(&name))
        .map(|owned| {
            format!("crates/{name} names {}, which belongs to {} alone", owned.dependency, owned.by.join(", "))
        })
        .collect()
}

fn fits(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}

/// The names of all packages that are linked into a crate.
fn tree(config: &Config, package: &str) -> Result<Vec<String>, String> {
    let mut command = Command::new(&config.cargo);
    command.current_dir(&config.root).args(["tree", "--package", package, "--edges", "normal", "--prefix", "none"]);
    let text = process::output(&mut command)?;
    let mut names: Vec<String> =
        text.lines().skip(1).filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

fn manifests(root: &Path) -> Result<Vec<(String, String)>, String> {
    let folder = root.join("crates");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(|error| format!("reading {}: {error}", folder.display()))? {
        let path = entry.map_err(|error| format!("reading {}: {error}", folder.display()))?.path();
        let manifest = path.join("Cargo.toml");
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        if let Ok(text) = std::fs::read_to_string(&manifest) {
            found.push((name, text));
        }
    }
    Ok(found)
}

/// What a manifest names under `[dependencies]` and its platform variants; tests may use what they like.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]") && !line.contains("dev-dependencies");
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let name: String = line.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect();
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests;
