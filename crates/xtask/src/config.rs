//! What this program learns from its surroundings, read once.

use std::path::{Path, PathBuf};

/// Folders and programs of the workspace.
pub(crate) struct Config {
    /// The repository's root.
    pub(crate) root: PathBuf,
    /// Cargo's output.
    pub(crate) target: PathBuf,
    /// The cargo that started this program.
    pub(crate) cargo: PathBuf,
    /// Whether a CI service runs this.
    pub(crate) ci: bool,
}

impl Config {
    /// Reads the environment.
    pub(crate) fn read() -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .map(Path::to_path_buf)
            .ok_or("the workspace's root is not above crates/xtask")?;
        if !root.join("Cargo.toml").is_file() {
            return Err(format!("the workspace has moved from {}; run ./x from its new place", root.display()));
        }
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        Ok(Self { root, target, cargo, ci })
    }

    /// Where cargo puts what it builds with a profile, for a target other than the machine's own.
    pub(crate) fn built(&self, target: &str, profile: &str) -> PathBuf {
        self.target.join(target).join(if profile == "dev" { "debug" } else { profile })
    }

    /// Where tools are installed that belong to this workspace alone.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }
}
