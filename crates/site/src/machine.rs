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

#[cfg(test)]
mod tests {
    use super::*;

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
