//! An agent as its user has it: unzipped, and started by its launcher.

use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Process, signal_to};
use crate::wait::until;

/// An unzipped folder, and its wrapper's process while that runs.
pub struct Installed {
    /// The agent's name on the platform.
    pub name: String,
    /// The wrapper, while it runs.
    pub wrapper: Option<Process>,
    folder: PathBuf,
    console: PathBuf,
    environment: Vec<(String, String)>,
}

impl Installed {
    /// Unzips a download into `folder`.
    pub fn unzip(name: &str, zip: &[u8], folder: &Path) -> Result<Self> {
        let mut archive = zip::ZipArchive::new(Cursor::new(zip)).context("opening the download")?;
        std::fs::create_dir_all(folder)?;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index)?;
            let relative = entry.enclosed_name().context("the zip has an entry that leaves its folder")?;
            let path = folder.join(relative);
            if entry.is_dir() {
                std::fs::create_dir_all(&path)?;
                continue;
            }
            if let Some(above) = path.parent() {
                std::fs::create_dir_all(above)?;
            }
            std::io::copy(&mut entry, &mut std::fs::File::create(&path)?)?;
            if let Some(mode) = entry.unix_mode() {
                std::fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
            }
        }
        let console = folder.with_extension("console.log");
        Ok(Self {
            name: name.to_owned(),
            wrapper: None,
            folder: folder.to_path_buf(),
            console,
            environment: Vec::new(),
        })
    }

    /// The unzipped folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file below the agent's files root.
    pub fn file(&self, relative: &str) -> PathBuf {
        self.folder.join("files").join(relative)
    }

    /// Sets a variable for the next start.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Runs the launcher, as its user does.
    pub fn start(&mut self) -> Result<()> {
        let mut command = Command::new(self.folder.join("start.sh"));
        command.current_dir(&self.folder);
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"] {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.wrapper = Some(Process::start(&format!("{}'s wrapper", self.name), &mut command, &self.console)?);
        Ok(())
    }

    /// What wrapper and agent have written to the console, over all their starts.
    pub fn console(&self) -> String {
        read(&self.console)
    }

    /// The agent's log files, one after the other.
    pub fn agent_log(&self) -> String {
        self.logs("server-")
    }

    /// The wrapper's log files, one after the other.
    pub fn wrapper_log(&self) -> String {
        self.logs("wrapper-")
    }

    /// The agent's process, if it runs.
    pub fn agent_process(&self) -> Option<u32> {
        let program = self.folder.join("Agent/sallyport-agent");
        std::fs::read_dir("/proc")
            .ok()?
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .find(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program))
    }

    /// Signals the agent's process.
    pub fn signal_agent(&self, signal: Signal) -> Result<u32> {
        let pid = self.agent_process().with_context(|| format!("{}'s agent does not run", self.name))?;
        signal_to(pid, signal)?;
        Ok(pid)
    }

    /// Stops the wrapper and with it the agent.
    pub fn stop(&mut self) -> Result<()> {
        let mut wrapper = self.wrapper.take().with_context(|| format!("{} does not run", self.name))?;
        let status = wrapper.stop()?;
        until("the agent to end with its wrapper", || Ok(self.agent_process().is_none()))?;
        if status.success() { Ok(()) } else { bail!("{}'s wrapper ended with {status}", self.name) }
    }

    /// Has the agent started again at once, as its user does with the wrapper's command.
    pub fn restart_by_hand(&self) -> Result<()> {
        let output =
            Command::new(self.folder.join("sallyport-wrapper")).arg("restart").current_dir(&self.folder).output()?;
        if output.status.success() {
            return Ok(());
        }
        bail!("restarting {}: {}", self.name, String::from_utf8_lossy(&output.stderr))
    }

    /// Changes the settings, in both copies, as their user does with an editor.
    pub fn edit_settings(&self, edit: impl Fn(&mut Value)) -> Result<()> {
        for path in [self.folder.join("appsettings.json"), self.folder.join("Agent/appsettings.json")] {
            let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            let mut settings: Value = serde_json::from_str(&text)?;
            edit(&mut settings);
            std::fs::write(&path, format!("{settings:#}\n"))?;
        }
        Ok(())
    }

    fn logs(&self, prefix: &str) -> String {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.folder.join("logs"))
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .map(|entry| entry.path())
            .collect();
        files.sort();
        files.iter().map(|file| read(file)).collect()
    }
}

fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
