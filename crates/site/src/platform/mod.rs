//! What differs between operating systems.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{
    create_private_folder, free_bytes, glibc_version, host_name, memory, os_name, os_version, out_of_memory_kills,
    process, restrict, sync_folder, trivial_program, user_name,
};
#[cfg(windows)]
pub(crate) use windows::{
    create_private_folder, free_bytes, glibc_version, host_name, memory, os_name, os_version, out_of_memory_kills,
    process, restrict, sync_folder, trivial_program, user_name,
};
