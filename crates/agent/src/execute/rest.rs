//! What orders have used goes back to the system once none runs: an agent rests most of its life.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sallyport_site::memory;
use tokio::runtime::Handle;

/// Orders that follow each other closely would only ask for the memory again.
const REST: Duration = Duration::from_secs(2);

/// Orders that run in this process, whoever runs them: the memory is the process's.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// An order at work.
pub(super) struct Work {
    runtime: Handle,
}

impl Work {
    pub(super) fn begin(runtime: Handle) -> Self {
        RUNNING.fetch_add(1, Ordering::Relaxed);
        Self { runtime }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if RUNNING.fetch_sub(1, Ordering::Relaxed) > 1 {
            return;
        }
        // Owned by nobody: it ends by itself, with the runtime at the latest, and nothing waits for it.
        self.runtime.spawn(async {
            tokio::time::sleep(REST).await;
            if RUNNING.load(Ordering::Relaxed) == 0 {
                // A runtime that is about to end takes no more work.
                let _ = tokio::task::spawn_blocking(memory::give_back).await;
            }
        });
    }
}
