//! What a new program may find lacking on this machine.

use std::path::Path;

use crate::platform;

/// The bytes that are free for us where `folder` lies; `None` where that cannot be told.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    platform::free_bytes(folder)
}

/// The operating system's version: of Linux's kernel, of Windows.
pub fn os_version() -> Option<String> {
    platform::os_version()
}

/// glibc's version, where there is one.
pub fn glibc_version() -> Option<String> {
    platform::glibc_version()
}

/// A process of this machine, as far as the system tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Somebody has stopped it (SIGSTOP): it does nothing until it is continued.
    pub stopped: bool,
    /// Files and connections that it has open.
    pub open_files: Option<u64>,
    /// How many it may have open.
    pub open_files_max: Option<u64>,
    /// Memory that it holds, in bytes.
    pub memory_bytes: Option<u64>,
}

/// What the system tells of a process; `None` if there is none with this id, or where that cannot be told.
pub fn process(id: u32) -> Option<Process> {
    platform::process(id)
}

/// The machine's memory: what is available, and all, in bytes.
pub fn memory() -> Option<(u64, u64)> {
    platform::memory()
}

/// How many processes the system has killed for lack of memory; it only grows. `None` where that cannot be told.
pub fn out_of_memory_kills() -> Option<u64> {
    platform::out_of_memory_kills()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_described() {
        let this = process(std::process::id()).unwrap();
        assert!(!this.stopped && this.open_files.unwrap() > 0 && this.open_files_max >= this.open_files);
        assert!(this.memory_bytes.unwrap() > 100_000);
        assert_eq!(process(u32::MAX), None);
        let (available, all) = memory().unwrap();
        assert!(available > 0 && available <= all);
    }

    #[test]
    fn this_machine_has_a_version_and_space() {
        let folder = tempfile::tempdir().unwrap();
        if cfg!(unix) {
            assert!(free_bytes(folder.path()).is_some_and(|bytes| bytes > 0));
        }
        assert!(os_version().is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit())));
        if cfg!(all(target_os = "linux", target_env = "gnu")) {
            assert!(glibc_version().is_some_and(|version| version.starts_with("2.")));
        }
    }
}
