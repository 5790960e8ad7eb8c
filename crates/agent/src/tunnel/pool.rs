//! Lines to the server: some wait ahead, and each carries one stream after the other, so that a connection costs no
//! handshake.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sallyport_dataplane::tunnel::{Line, Rest, Resting};
use sallyport_site::backoff::{Backoff, Jitter};
use sallyport_site::random;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::BoxFuture;

/// Lines that may wait after many streams at a time.
const RESTING_MAX: usize = 256;

/// Handshakes at one time.
const DIALS_MAX: usize = 16;

/// How often lines that nobody needs are given up.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// How long a connection waits for a server that is away: a restart, a path that changes.
const AWAY_MAX: Duration = Duration::from_secs(30);

/// Pauses between two tries.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Dials a line.
type Dial<E> = Box<dyn Fn() -> BoxFuture<'static, Result<Line, E>> + Send + Sync>;

/// Lines of one tunnel, whose dialling may fail with `E`.
pub struct Pool<E> {
    dial: Dial<E>,
    spare: usize,
    ready: Mutex<Ready>,
    dials: Semaphore,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Default)]
struct Ready {
    resting: Resting<()>,
    /// Being dialled ahead.
    dialling: usize,
}

impl<E: Send + 'static> Pool<E> {
    /// Keeps up to `spare` lines ready while it is used, until `stop` fires. To be called within a runtime.
    pub fn new(
        spare: usize,
        dial: impl Fn() -> BoxFuture<'static, Result<Line, E>> + Send + Sync + 'static,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let (dial, dials) = (Box::new(dial), Semaphore::new(DIALS_MAX));
        let pool = Self { dial, spare, ready: Mutex::default(), dials, tasks: TaskTracker::new(), stop };
        let pool = Arc::new(pool);
        let sweeping = Arc::clone(&pool);
        pool.spawn(async move { sweeping.sweep().await });
        pool
    }

    /// Opens the first line.
    pub async fn prepare(self: &Arc<Self>) -> Result<(), E> {
        let line = self.dial().await?;
        self.give(line);
        self.fill();
        Ok(())
    }

    /// A line for a stream; waits for a server that is away.
    pub async fn take(self: &Arc<Self>) -> Result<Line, E> {
        loop {
            let rest = self.ready().resting.pop();
            self.fill();
            let Some((rest, ())) = rest else { break };
            if let Some(line) = rest.take().await {
                return Ok(line);
            }
        }
        let due = Instant::now() + AWAY_MAX;
        let mut backoff = Backoff::new(PAUSE, PAUSE_MAX, Jitter::Half);
        loop {
            match self.dial().await {
                Ok(line) => return Ok(line),
                Err(error) if Instant::now() > due => return Err(error),
                Err(_) => tokio::time::sleep(backoff.next(random::unit())).await,
            }
        }
    }

    /// Takes a line back that has carried its stream.
    pub fn give(&self, line: Line) {
        let mut ready = self.ready();
        if ready.resting.len() < RESTING_MAX {
            let (rest, keeping) = Rest::new(line);
            self.spawn(keeping);
            ready.resting.put(rest, ());
        }
    }

    /// Ends every line.
    pub async fn close(&self) {
        self.tasks.close();
        // Sockets that do not close in time are closed with the process.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await;
    }

    /// Runs something until the tunnel ends.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(work).await;
        });
    }

    async fn dial(&self) -> Result<Line, E> {
        let _turn = self.dials.acquire().await;
        (self.dial)().await
    }

    /// Dials what is missing ahead. What fails is tried again when the next line is needed.
    fn fill(self: &Arc<Self>) {
        let missing = {
            let mut ready = self.ready();
            ready.resting.weed();
            let missing = self.spare.saturating_sub(ready.resting.len() + ready.dialling);
            ready.dialling += missing;
            missing
        };
        for _ in 0..missing {
            let pool = Arc::clone(self);
            self.spawn(async move {
                let dialled = pool.dial().await;
                pool.ready().dialling -= 1;
                if let Ok(line) = dialled {
                    pool.give(line);
                }
            });
        }
    }

    async fn sweep(&self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            self.ready().resting.sweep(self.spare);
        }
    }

    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
