//! What differs between operating systems.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{create_private_folder, host_name, os_name, restrict, trivial_program, user_name};
#[cfg(windows)]
pub(crate) use windows::{create_private_folder, host_name, os_name, restrict, trivial_program, user_name};
