//! What differs between operating systems.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{
    PLATFORM_SYSTEM, await_end, become_program, ending_signals, exit_signal, hold_still, is_alive, isolate, kill,
    kill_tree, make_executable, open_browser, replace_program, service, start_apart,
};
#[cfg(windows)]
pub(crate) use windows::{
    PLATFORM_SYSTEM, await_end, become_program, ending_signals, exit_signal, hold_still, is_alive, isolate, kill,
    kill_tree, make_executable, open_browser, replace_program, service, start_apart,
};

/// The platform's name in the server's releases, such as `linux-x86_64`.
pub(crate) fn name() -> String {
    format!("{PLATFORM_SYSTEM}-{}", std::env::consts::ARCH)
}
