//! Telling blocking work to stop.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// The work was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

type Hook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Hooks {
    fired: bool,
    next: u64,
    hooks: Vec<(u64, Hook)>,
}

/// A stop signal for threads: checked between batches, and able to break a blocked read by what [`Cancel::on_cancel`]
/// registers (shutting a socket down, killing a program).
#[derive(Clone, Default)]
pub struct Cancel {
    token: CancellationToken,
    hooks: Arc<Mutex<Hooks>>,
}

impl Cancel {
    /// A signal that has not fired.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fires the signal; the hooks run on the caller's thread, once.
    pub fn cancel(&self) {
        self.token.cancel();
        let hooks = {
            let mut guard = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
            guard.fired = true;
            std::mem::take(&mut guard.hooks)
        };
        for (_, hook) in hooks {
            hook();
        }
    }

    /// Whether it has fired.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// `Err` once it has fired, for `?` between batches.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }

    /// Waits until it fires.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Runs `hook` when it fires, at once if it has, never once the guard is dropped.
    pub fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) -> CancelGuard {
        let mut guard = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        let id = guard.next;
        guard.next += 1;
        if guard.fired {
            drop(guard);
            hook();
        } else {
            guard.hooks.push((id, Box::new(hook)));
        }
        CancelGuard { id, hooks: Arc::clone(&self.hooks) }
    }
}

/// Takes its hook back when dropped.
#[must_use = "the hook is taken back when the guard is dropped"]
pub struct CancelGuard {
    id: u64,
    hooks: Arc<Mutex<Hooks>>,
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        let mut guard = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        guard.hooks.retain(|(id, _)| *id != self.id);
    }
}
