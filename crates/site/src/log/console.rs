//! The console, written by a thread of its own: one that takes nothing (a stopped terminal, a full pipe) must not stop
//! the program. What finds no place is counted, and the count is written once the console takes text again.

use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Texts that may wait: some seconds of a talkative program.
pub const CONSOLE_TEXTS_MAX: usize = 1024;

/// How long an ending program waits for its last lines to be written.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// The way to the console. Clones are the same console.
#[derive(Clone, Debug)]
pub struct Console {
    texts: SyncSender<Vec<u8>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    waiting: AtomicUsize,
    dropped: AtomicU64,
}

impl Console {
    /// Standard error of this process.
    pub fn standard_error() -> Self {
        static CONSOLE: OnceLock<Console> = OnceLock::new();
        CONSOLE.get_or_init(|| Self::over(std::io::stderr())).clone()
    }

    /// Writes to this.
    pub fn over(to: impl Write + Send + 'static) -> Self {
        let (texts, waiting) = sync_channel(CONSOLE_TEXTS_MAX);
        let counts = Arc::<Counts>::default();
        let shared = Arc::clone(&counts);
        // It ends with the last clone. Without a thread the texts are counted as dropped.
        let _ = std::thread::Builder::new().name("console".to_owned()).spawn(move || write(to, &waiting, &shared));
        Self { texts, counts }
    }

    /// Hands a text over; never waits.
    pub fn offer(&self, text: Vec<u8>) {
        self.counts.waiting.fetch_add(1, Ordering::SeqCst);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.texts.try_send(text) {
            self.counts.waiting.fetch_sub(1, Ordering::SeqCst);
            self.counts.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until all is written, for a moment at most.
    pub fn flush(&self) {
        const STEP: Duration = Duration::from_millis(5);
        let mut waited = Duration::ZERO;
        while self.counts.waiting.load(Ordering::SeqCst) > 0 && waited < FLUSH_MAX {
            std::thread::sleep(STEP);
            waited += STEP;
        }
    }
}

fn write(mut to: impl Write, texts: &Receiver<Vec<u8>>, counts: &Counts) {
    while let Ok(text) = texts.recv() {
        // A console that is gone (a closed terminal) is no reason to stop.
        let _ = to.write_all(&text);
        let dropped = counts.dropped.swap(0, Ordering::SeqCst);
        if dropped > 0 {
            let _ = writeln!(to, "({dropped} lines are missing here: the console took no text; the log file has them)");
        }
        counts.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
