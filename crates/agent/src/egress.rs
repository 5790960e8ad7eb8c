//! What leaves and enters this site through connections: counted while it moves, held to the site's measure for a day,
//! and written into the ledger at the end of each use.
//!
//! Invariant: a use that has ended is in the ledger within moments; a ledger that cannot be written never stops work, and
//! says itself what it has lost.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use sallyport_protocol::Clock;
use sallyport_site::ledger::{Entry, Folder, Today, merge};
use sallyport_site::policy::{PolicyFile, Refused};
use tokio::sync::mpsc;
use tracing::{error, info};

/// Entries that wait for the disk; then whoever ends a use waits.
const ENTRIES_MAX: usize = 1024;

/// Between two flushes: streams that end meanwhile share one.
const PAUSE: Duration = Duration::from_millis(200);

/// How often what moves is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The site's count and its ledger.
pub struct Egress {
    /// None where no site keeps a ledger.
    queue: Mutex<Option<mpsc::Sender<Entry>>>,
    writer: Mutex<Option<thread::JoinHandle<()>>>,
    today: Mutex<Today>,
    policy: Arc<PolicyFile>,
    clock: Clock,
}

impl Egress {
    /// Goes on with the ledger in `folder`, on a thread of its own.
    pub fn open(folder: &Path, policy: Arc<PolicyFile>, clock: Clock) -> io::Result<Arc<Self>> {
        let (ledger, today) = Folder::open(folder, clock.now())?;
        let (queue, entries) = mpsc::channel(ENTRIES_MAX);
        let writer = thread::Builder::new().name("ledger".to_owned()).spawn(move || write(ledger, entries))?;
        Ok(Arc::new(Self {
            queue: Mutex::new(Some(queue)),
            writer: Mutex::new(Some(writer)),
            today: Mutex::new(today),
            policy,
            clock,
        }))
    }

    /// Without a ledger: the server's own agent, and a task that a person runs by hand.
    pub fn unkept() -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::new(None),
            writer: Mutex::new(None),
            today: Mutex::default(),
            policy: Arc::default(),
            clock: Clock::system(),
        })
    }

    /// Whether anything more may be moved today.
    pub fn may_move(&self) -> Result<(), Refused> {
        self.policy.now().may_move(locked(&self.today).bytes(self.clock.now()))
    }

    /// Counts one use.
    pub fn meter(self: &Arc<Self>) -> Meter {
        Meter { egress: Arc::clone(self), counted: AtomicU64::new(0) }
    }

    /// Writes the end of a use. On a step's own thread.
    pub(crate) fn note_blocking(&self, entry: Entry) {
        let queue = locked(&self.queue).clone();
        if let Some(queue) = queue {
            // The writer is gone only with the process.
            let _ = queue.blocking_send(entry);
        }
    }

    /// The same, for a task.
    pub(crate) async fn note(&self, entry: Entry) {
        let queue = locked(&self.queue).clone();
        if let Some(queue) = queue {
            let _ = queue.send(entry).await;
        }
    }

    /// Writes what waits. Blocks.
    pub(crate) fn close(&self) {
        drop(locked(&self.queue).take());
        if let Some(writer) = locked(&self.writer).take()
            && writer.join().is_err()
        {
            error!("the ledger met a bug in itself; its last entries may be missing");
        }
    }
}

/// What one use has moved so far.
pub struct Meter {
    egress: Arc<Egress>,
    counted: AtomicU64,
}

impl Meter {
    /// The use has moved `total` bytes by now; an error says that the day's measure is full.
    pub fn at(&self, total: u64) -> Result<(), Refused> {
        let before = self.counted.fetch_max(total, Ordering::Relaxed);
        let now = self.egress.clock.now();
        locked(&self.egress.today).add(now, total.saturating_sub(before));
        self.egress.may_move()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes entries until nobody can give any more.
fn write(mut ledger: Folder, mut entries: mpsc::Receiver<Entry>) {
    let mut lost = 0;
    while let Some(first) = entries.blocking_recv() {
        let mut batch = vec![first];
        while let Ok(next) = entries.try_recv() {
            batch.push(next);
        }
        let batch = merge(batch);
        match ledger.append(&batch, lost) {
            Ok(()) if lost > 0 => {
                info!(lost, "the ledger can be written again");
                lost = 0;
            }
            Ok(()) => {}
            Err(failed) => {
                if lost == 0 {
                    error!(error = %failed, "the ledger of what is moved cannot be written");
                }
                lost += batch.len() as u64;
                // Where that fails too, the next write says so.
                let _ = ledger.recover();
            }
        }
        thread::sleep(PAUSE);
    }
}
