//! What must not stand in a public repository: names of package hosts, paths of one machine, keys.

use std::process::Command;

use crate::config::Config;
use crate::process;

/// Text, and why it must not be there. Written in two halves so that this file does not accuse itself.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("index.crates", ".io"), "names a package host"),
    (concat!("static.crates", ".io"), "names a package host"),
    (concat!("pypi", ".org"), "names a package host"),
    (concat!("pythonhosted", ".org"), "names a package host"),
    (concat!("registry.npm", "js"), "names a package host"),
    (concat!("deb.debian", ".org"), "names a package host"),
    (concat!("/ro", "ot/"), "is a path of one machine"),
    (concat!("/ho", "me/"), "is a path of one machine"),
    (concat!("/Us", "ers/"), "is a path of one machine"),
    (concat!("/wo", "rk/main"), "is a path of one machine"),
    (concat!("/wo", "rk/shared"), "is a path of one machine"),
    (concat!("/tmp/sally", "port/"), "is a path of one machine"),
    (concat!("BEGIN RSA PRI", "VATE KEY"), "is a private key"),
    (concat!("BEGIN PRI", "VATE KEY"), "is a private key"),
    (concat!("BEGIN EC PRI", "VATE KEY"), "is a private key"),
];

/// Files that are made by tools and quote such text by their nature.
const EXEMPT: &[&str] = &["Cargo.lock"];

/// Reads every file of the repository; the error lists each breach.
pub(crate) fn check(config: &Config) -> Result<(), String> {
    let mut command = Command::new("git");
    command.current_dir(&config.root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let mut wrong = Vec::new();
    for name in process::output(&mut command)?.lines() {
        if EXEMPT.contains(&name) {
            continue;
        }
        // Binary files and files that were just removed hold no text to judge.
        let Ok(text) = std::fs::read_to_string(config.root.join(name)) else { continue };
        wrong.extend(breaches(name, &text));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn breaches(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (word, why) in FORBIDDEN {
            if line.contains(word) {
                found.push(format!("{name}:{}: `{word}` {why}", number + 1));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
