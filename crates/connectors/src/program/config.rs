//! The little of the agent's environment that a program gets.

use std::ffi::OsString;
use std::path::Path;

/// What any program needs to start; nothing here can be a secret of the agent.
#[cfg(unix)]
const KEPT: [&str; 3] = ["PATH", "HOME", "LANG"];
#[cfg(windows)]
const KEPT: [&str; 6] = ["PATH", "HOME", "LANG", "SystemRoot", "USERPROFILE", "PATHEXT"];

#[cfg(unix)]
const TEMPORARY: [&str; 1] = ["TMPDIR"];
#[cfg(windows)]
const TEMPORARY: [&str; 2] = ["TEMP", "TMP"];

/// The variables of a program that works in `scratch`.
pub(super) fn environment(scratch: &Path) -> Vec<(&'static str, OsString)> {
    let kept = KEPT.iter().filter_map(|name| std::env::var_os(name).map(|value| (*name, value)));
    let temporary = TEMPORARY.iter().map(|name| (*name, scratch.as_os_str().to_owned()));
    kept.chain(temporary).collect()
}
