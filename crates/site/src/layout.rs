//! Where everything lies in the unzipped folder of an agent. Nothing else joins these names to paths.

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of one installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    home: PathBuf,
}

impl Layout {
    /// The settings file's name, beside the wrapper and in the agent's folder.
    pub const SETTINGS_FILE: &'static str = "appsettings.json";
    /// The file with the certificate authority that the server's certificate is signed by.
    pub const SERVER_CA_FILE: &'static str = "server-ca.pem";
    /// The publisher's public keys.
    pub const TRUST_FILE: &'static str = "trust.json";
    /// The site's policy.
    pub const POLICY_FILE: &'static str = "policy.toml";
    /// The agent's folder.
    pub const AGENT_FOLDER: &'static str = "Agent";

    /// The layout below `home`.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self { home: home.into() }
    }

    /// The unzipped folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The wrapper's settings.
    pub fn wrapper_settings(&self) -> PathBuf {
        self.home.join(Self::SETTINGS_FILE)
    }

    /// The agent's settings; by default identical to the wrapper's.
    pub fn agent_settings(&self) -> PathBuf {
        self.agent_folder().join(Self::SETTINGS_FILE)
    }

    /// The certificate authority to trust beside the system's; absent when the server has a public certificate.
    pub fn server_ca(&self) -> PathBuf {
        self.home.join(Self::SERVER_CA_FILE)
    }

    /// The agent's folder.
    pub fn agent_folder(&self) -> PathBuf {
        self.home.join(Self::AGENT_FOLDER)
    }

    /// The agent program.
    pub fn agent_program(&self) -> PathBuf {
        self.agent_folder().join(format!("sallyport-agent{EXE_SUFFIX}"))
    }

    /// Installed releases, one folder each, never changed once they are there.
    pub fn versions(&self) -> PathBuf {
        self.home.join("versions")
    }

    /// Installed releases of the wrapper itself; the active one's program is also [`Layout::wrapper_program`].
    pub fn wrapper_versions(&self) -> PathBuf {
        self.home.join("wrapper-versions")
    }

    /// Whose signatures on releases count here; replaces what the wrapper was built with.
    pub fn trust(&self) -> PathBuf {
        self.home.join(Self::TRUST_FILE)
    }

    /// Which version is active, and what is known of others: two copies.
    pub fn update_records(&self) -> [PathBuf; 2] {
        [self.state().join("update.a.json"), self.state().join("update.b.json")]
    }

    /// As [`Layout::update_records`], of the wrapper itself.
    pub fn wrapper_update_records(&self) -> [PathBuf; 2] {
        [self.state().join("wrapper-update.a.json"), self.state().join("wrapper-update.b.json")]
    }

    /// Archives that are being downloaded.
    pub fn downloads(&self) -> PathBuf {
        self.state().join("downloads")
    }

    /// Archives of the wrapper itself that are being downloaded.
    pub fn wrapper_downloads(&self) -> PathBuf {
        self.state().join("wrapper-downloads")
    }

    /// The wrapper program.
    pub fn wrapper_program(&self) -> PathBuf {
        self.home.join(format!("sallyport-wrapper{EXE_SUFFIX}"))
    }

    /// The wrapper program that ran before the present one; brings itself back where the present one does not work.
    pub fn former_wrapper(&self) -> PathBuf {
        self.home.join(format!("sallyport-wrapper.former{EXE_SUFFIX}"))
    }

    /// Log files of agent and wrapper.
    pub fn logs(&self) -> PathBuf {
        self.home.join("logs")
    }

    /// What the programs remember.
    pub fn state(&self) -> PathBuf {
        self.home.join("state")
    }

    /// Held by the running wrapper.
    pub fn wrapper_lock(&self) -> PathBuf {
        self.state().join("wrapper.lock")
    }

    /// Held by the process that watches a new version of the wrapper.
    pub fn guard_lock(&self) -> PathBuf {
        self.state().join("guard.lock")
    }

    /// The service of the machine's manager that this folder is; absent where it is none.
    pub fn service(&self) -> PathBuf {
        self.state().join("service.json")
    }

    /// Held by the running agent.
    pub fn agent_lock(&self) -> PathBuf {
        self.state().join("agent.lock")
    }

    /// What the wrapper and its agent do now.
    pub fn status(&self) -> PathBuf {
        self.state().join("status.json")
    }

    /// The newest crash file that is on its way to the server.
    pub fn crashes_told(&self) -> PathBuf {
        self.state().join("crashes-told")
    }

    /// A command for the running wrapper.
    pub fn command(&self) -> PathBuf {
        self.state().join("command")
    }

    /// The installation's id.
    pub fn installation(&self) -> PathBuf {
        self.state().join("installation")
    }

    /// What the agent has begun and how it ended, as far as the server has not stored it.
    pub fn journal(&self) -> PathBuf {
        self.state().join("journal")
    }

    /// What the agent has moved, for whom and where to.
    pub fn ledger(&self) -> PathBuf {
        self.state().join("ledger")
    }

    /// The agent's own key.
    pub fn key(&self) -> PathBuf {
        self.state().join("key.p8")
    }

    /// The keys of other agents that this one has met.
    pub fn peers(&self) -> PathBuf {
        self.state().join("peers.json")
    }

    /// Log lines that wait for the server.
    pub fn spool(&self) -> PathBuf {
        self.state().join("spool")
    }

    /// What relative paths of connectors are relative to.
    pub fn files(&self) -> PathBuf {
        self.home.join("files")
    }

    /// Scratch space of running steps.
    pub fn work(&self) -> PathBuf {
        self.home.join("work")
    }

    /// The site's own registry of third-party connectors; absent when it has none.
    pub fn programs(&self) -> PathBuf {
        self.home.join("programs.json")
    }

    /// What the agent may touch, as the site's administrator says; absent where nobody has said.
    pub fn policy(&self) -> PathBuf {
        self.home.join(Self::POLICY_FILE)
    }

    /// Makes the folders that are made at run time; an error names the folder. `state/` is for the owner only.
    pub fn create_folders(&self) -> io::Result<()> {
        let named = |path: &Path, error: io::Error| {
            io::Error::new(error.kind(), format!("creating the folder {}: {error}", path.display()))
        };
        let state = self.state();
        crate::platform::create_private_folder(&state).map_err(|error| named(&state, error))?;
        for path in [self.logs(), self.spool(), self.files(), self.work()] {
            fs::create_dir_all(&path).map_err(|error| named(&path, error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_and_a_folder_that_cannot_be_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        layout.create_folders().unwrap();
        layout.create_folders().unwrap();
        assert!(layout.spool().is_dir() && layout.files().is_dir() && layout.work().is_dir());

        let blocked = Layout::new(folder.path().join("other"));
        fs::create_dir_all(blocked.home()).unwrap();
        fs::write(blocked.logs(), "a file where a folder should be").unwrap();
        assert!(blocked.create_folders().unwrap_err().to_string().contains("logs"));
    }
}
