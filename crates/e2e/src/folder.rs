//! A temporary folder that takes every process in it along when it goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::process::{processes_below, signal_to};
use crate::wait::within;

/// How many lines of each log are shown when something failed.
const TAIL_LINES: usize = 40;

/// A temporary folder.
pub struct Folder {
    inner: Option<tempfile::TempDir>,
    path: PathBuf,
}

impl Folder {
    /// A new, empty one; others may look into it (a database server runs as another user).
    pub fn new() -> Result<Self> {
        Self::below(&std::env::temp_dir())
    }

    /// As [`Folder::new`], below a folder of choice, such as one on another disk.
    pub fn below(above: &Path) -> Result<Self> {
        let inner = tempfile::Builder::new()
            .prefix("sallyport-")
            .tempdir_in(above)
            .with_context(|| format!("making a temporary folder below {}", above.display()))?;
        // The real path: process tables show it without links.
        let path = inner.path().canonicalize().context("finding the temporary folder")?;
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(Self { inner: Some(inner), path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it; folders above are made.
    pub fn join(&self, relative: impl AsRef<Path>) -> Result<PathBuf> {
        let path = self.path.join(relative);
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above).with_context(|| format!("making {}", above.display()))?;
        }
        Ok(path)
    }

    /// Leaves it where it is when this value goes; its processes are ended all the same.
    pub fn keep(&mut self) {
        // From here on nothing removes it.
        self.inner.take().map(tempfile::TempDir::keep);
    }

    /// The last lines of every log in it, for the report of a failure.
    pub fn tails(&self) -> String {
        self.tails_of(&[""])
    }

    /// As [`Folder::tails`], of the logs whose path in it starts with one of these.
    pub fn tails_of(&self, starts: &[&str]) -> String {
        let mut logs = Vec::new();
        collect_logs(&self.path, &mut logs);
        logs.sort();
        logs.retain(|log| {
            let name = log.strip_prefix(&self.path).unwrap_or(log).to_string_lossy();
            starts.iter().any(|start| name.starts_with(start))
        });
        let mut text = String::new();
        for log in logs {
            let Ok(bytes) = std::fs::read(&log) else { continue };
            let all = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = all.lines().collect();
            if lines.is_empty() {
                continue;
            }
            let name = log.strip_prefix(&self.path).unwrap_or(&log).display();
            text.push_str(&format!("\n--- {name} (last {TAIL_LINES} of {} lines)\n", lines.len()));
            for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let strays = || processes_below(&self.path);
        for pid in strays() {
            // It may have ended in between.
            let _ = signal_to(pid, Signal::KILL);
        }
        let _ = within(Duration::from_secs(5), "strays to end", || Ok(strays().is_empty().then_some(())));
        if let Some(inner) = self.inner.take() {
            // What cannot be removed is left to the system's own cleaning.
            let _ = inner.close();
        }
    }
}

fn collect_logs(folder: &Path, logs: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_logs(&path, logs);
        } else if path.extension().is_some_and(|extension| extension == "log") {
            logs.push(path);
        }
    }
}
