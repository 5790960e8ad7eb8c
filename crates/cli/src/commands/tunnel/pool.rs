//! Lines to the server: some wait ahead, and each carries one stream after the other, so that a connection costs no
//! handshake.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sallyport_agent::link::{DialError, Server};
use sallyport_dataplane::tunnel::{Line, Rest};
use sallyport_site::backoff::{Backoff, Jitter};
use sallyport_site::random;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Lines that wait.
const SPARE: usize = 4;

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

/// Lines of one tunnel.
pub(super) struct Pool {
    server: Server,
    path: String,
    resting: Mutex<Resting>,
    dials: Semaphore,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Default)]
struct Resting {
    lines: Vec<Rest>,
    /// Being dialled ahead.
    dialling: usize,
    /// The fewest that rested since the last sweep.
    least: usize,
}

impl Pool {
    /// Dials `path` at the server.
    pub(super) fn new(server: Server, path: String, stop: CancellationToken) -> Arc<Self> {
        let dials = Semaphore::new(DIALS_MAX);
        let pool = Self { server, path, resting: Mutex::default(), dials, tasks: TaskTracker::new(), stop };
        let pool = Arc::new(pool);
        let sweeping = Arc::clone(&pool);
        pool.spawn(async move { sweeping.sweep().await });
        pool
    }

    /// Opens the first line.
    pub(super) async fn prepare(self: &Arc<Self>) -> Result<(), DialError> {
        let line = self.dial().await?;
        self.give(line);
        self.fill();
        Ok(())
    }

    /// A line for a stream; waits for a server that is away.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Line, String> {
        loop {
            let rest = {
                let mut resting = self.resting();
                let rest = resting.lines.pop();
                resting.least = resting.least.min(resting.lines.len());
                rest
            };
            self.fill();
            let Some(rest) = rest else { break };
            if let Some(line) = rest.take().await {
                return Ok(line);
            }
        }
        let due = Instant::now() + AWAY_MAX;
        let mut backoff = Backoff::new(PAUSE, PAUSE_MAX, Jitter::Half);
        loop {
            match self.dial().await {
                Ok(line) => return Ok(line),
                Err(error) if Instant::now() > due => return Err(error.to_string()),
                Err(_) => tokio::time::sleep(backoff.next(random::unit())).await,
            }
        }
    }

    /// Takes a line back that has carried its stream.
    pub(super) fn give(&self, line: Line) {
        let mut resting = self.resting();
        if resting.lines.len() < RESTING_MAX {
            let (rest, keeping) = Rest::new(line);
            self.spawn(keeping);
            resting.lines.push(rest);
        }
    }

    /// Ends every line.
    pub(super) async fn close(&self) {
        self.tasks.close();
        // Sockets that do not close in time are closed with the process.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await;
    }

    /// Runs something until the tunnel ends.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(work).await;
        });
    }

    async fn dial(&self) -> Result<Line, DialError> {
        let _turn = self.dials.acquire().await;
        self.server.line(&self.path).await
    }

    /// Dials what is missing ahead. What fails is tried again when the next line is needed.
    fn fill(self: &Arc<Self>) {
        let missing = {
            let mut resting = self.resting();
            resting.lines.retain(|rest| !rest.is_over());
            let missing = SPARE.saturating_sub(resting.lines.len() + resting.dialling);
            resting.dialling += missing;
            missing
        };
        for _ in 0..missing {
            let pool = Arc::clone(self);
            self.spawn(async move {
                let dialled = pool.dial().await;
                pool.resting().dialling -= 1;
                if let Ok(line) = dialled {
                    pool.give(line);
                }
            });
        }
    }

    async fn sweep(&self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            let mut resting = self.resting();
            resting.lines.retain(|rest| !rest.is_over());
            let spare = resting.least.min(resting.lines.len()).saturating_sub(SPARE).div_ceil(2);
            resting.lines.drain(..spare);
            resting.least = resting.lines.len();
        }
    }

    fn resting(&self) -> MutexGuard<'_, Resting> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
