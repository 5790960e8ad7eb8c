//! What differs between operating systems.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{
    create_private_folder, free_bytes, glibc_version, host_name, os_name, os_version, restrict, sync_folder,
    trivial_program, user_name,
};
#[cfg(windows)]
pub(crate) use windows::{
    create_private_folder, free_bytes, glibc_version, host_name, os_name, os_version, restrict, sync_folder,
    trivial_program, user_name,
};
