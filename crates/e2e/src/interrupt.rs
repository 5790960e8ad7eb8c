//! Ctrl-C, as a flag and as something to wait for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use anyhow::{Context, Result};

/// Whether Ctrl-C came.
pub struct Interrupt {
    came: Arc<AtomicBool>,
    signal: Arc<(Mutex<bool>, Condvar)>,
}

impl Interrupt {
    /// From now on a Ctrl-C (or a polite request to end) is noted instead of ending this process.
    pub fn listen() -> Result<Self> {
        let this = Self { came: Arc::default(), signal: Arc::default() };
        let (came, signal) = (Arc::clone(&this.came), Arc::clone(&this.signal));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (ready, listening) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new().name("interrupt".into()).spawn(move || {
            runtime.block_on(async {
                let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
                // Nobody waits for this any more if the program is already ending.
                let _ = ready.send(terminate.is_ok());
                match &mut terminate {
                    Ok(terminate) => tokio::select! {
                        _ = tokio::signal::ctrl_c() => {}
                        _ = terminate.recv() => {}
                    },
                    Err(_) => drop(tokio::signal::ctrl_c().await),
                }
            });
            came.store(true, Ordering::SeqCst);
            *signal.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            signal.1.notify_all();
        })?;
        listening.recv().context("listening for Ctrl-C")?;
        Ok(this)
    }

    /// Whether it came.
    pub fn came(&self) -> bool {
        self.came.load(Ordering::SeqCst)
    }

    /// Waits until it comes.
    pub fn wait(&self) {
        let mut came = self.signal.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*came {
            came = self.signal.1.wait(came).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
