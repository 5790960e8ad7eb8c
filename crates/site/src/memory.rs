//! The process's memory between pieces of work.
//!
//! glibc keeps what a join has freed: tens of megabytes in each of its arenas, up to eight a core. A process that rests
//! most of its life gives them back. Other allocators do so by themselves, or offer no way to ask.

/// Limits the arenas, before the first thread starts: pages are given back whole, and many arenas leave many half used.
/// Two were as fast as the default in exports and joins, and left 3 MB after a join where the default left 16 MB.
pub fn prepare() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const ARENAS_MAX: libc::c_int = 2;
        #[expect(unsafe_code, reason = "a call into C without pointers; it only sets a number of the allocator")]
        // SAFETY: takes two numbers and touches no memory of ours.
        let done = unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS_MAX) };
        if done == 0 {
            tracing::debug!("the allocator took no limit for its arenas");
        }
    }
}

/// Gives free memory back to the system; takes some milliseconds, so not for threads that must answer.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        #[expect(unsafe_code, reason = "a call into C without pointers; the allocator locks itself")]
        // SAFETY: releases free pages only, under the allocator's own locks.
        let released = unsafe { libc::malloc_trim(0) };
        tracing::debug!(released = released != 0, "memory given back to the system");
    }
}
