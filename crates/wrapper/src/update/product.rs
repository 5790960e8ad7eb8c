//! What differs between updates of the agent and of the wrapper: names and places.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;

use sallyport_release::{AGENT, WRAPPER};
use sallyport_site::Layout;

/// What is updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    Agent,
    Wrapper,
}

impl Product {
    /// Its name in manifests.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Agent => AGENT,
            Self::Wrapper => WRAPPER,
        }
    }

    /// The name of its program in archives and folders.
    pub(crate) fn program_name(self) -> String {
        format!("{}{EXE_SUFFIX}", self.name())
    }

    /// Where its versions are unpacked.
    pub(crate) fn versions(self, layout: &Layout) -> PathBuf {
        match self {
            Self::Agent => layout.versions(),
            Self::Wrapper => layout.wrapper_versions(),
        }
    }

    /// The program of an unpacked version.
    pub(crate) fn program(self, layout: &Layout, folder: &str) -> PathBuf {
        self.versions(layout).join(folder).join(self.program_name())
    }

    /// The two copies of its record.
    pub(crate) fn records(self, layout: &Layout) -> [PathBuf; 2] {
        match self {
            Self::Agent => layout.update_records(),
            Self::Wrapper => layout.wrapper_update_records(),
        }
    }

    /// Where its archives are downloaded to.
    pub(crate) fn downloads(self, layout: &Layout) -> PathBuf {
        match self {
            Self::Agent => layout.downloads(),
            Self::Wrapper => layout.wrapper_downloads(),
        }
    }

    /// How a version of it is told to rehearse, after `--home`.
    pub(crate) fn rehearsal(self) -> &'static [&'static str] {
        match self {
            Self::Agent => &["--life-pipe", "--rehearse", "--wrapper-version", env!("CARGO_PKG_VERSION")],
            Self::Wrapper => &["rehearse"],
        }
    }
}
