//! Runs a work order: all its steps at once, each on a thread of its own, joined by edges in the process and by streams
//! through the relay.
//!
//! Invariant: knows no socket and no server. The agent, the server's own agent and `sallyport run` share it.

mod execution;
mod metered;
mod preview;
mod relay;
mod rest;
mod scratch;
mod step;
#[cfg(test)]
mod tests;
mod verdict;
mod way;
mod wiring;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sallyport_connectors::Site;
use sallyport_dataplane::Transport;
use sallyport_dataplane::tunnel::Line;
use sallyport_protocol::{
    AttemptKey, Clock, Failure, FailureKind, LINE_BYTES_MAX, LogLevel, LogLine, OrderReport, RefusalCode, RunRef,
    StepOrder, Ticket, WorkOrder, shorten,
};
use sallyport_site::policy::Refused;
use tokio::sync::mpsc;
use tokio::time::Instant;

pub use execution::Execution;
pub(crate) use preview::preview;
use relay::Relayed;
pub use scratch::clear_scratch;
use step::End;
pub(crate) use step::words as panic_words;
use wiring::Wiring;

use crate::egress::Egress;
use crate::seal::Seal;

/// How long steps may take to stop once they were told to; the promise to people is 5 s.
const STOP_MAX: Duration = Duration::from_millis(4500);

/// A boxed future, so that surroundings can be shared as trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Takes the lines of steps' logs.
pub type RunLog = Arc<dyn Fn(LogLine) + Send + Sync>;

/// A stream that could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OpenError {
    /// What was tried, what happened and what to do.
    pub message: String,
    /// What may help.
    pub remedy: Remedy,
}

/// What helps when a stream could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The same ticket, a little later.
    Again,
    /// Another attempt of the order.
    Retry,
    /// Nothing.
    None,
    /// A person who looks at the keys of the agents.
    Trust,
    /// It needs none: the other side has taken every row and is gone.
    Delivered,
}

impl From<RefusalCode> for Remedy {
    fn from(code: RefusalCode) -> Self {
        match code {
            RefusalCode::Unavailable => Self::Again,
            RefusalCode::Delivered => Self::Delivered,
            _ => Self::Retry,
        }
    }
}

/// Opens streams to steps on other agents, and to what those reach.
pub trait OpenData: Send + Sync {
    /// Opens this side's end of the stream; returns once both ends are attached.
    fn open<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<Transport, OpenError>>;

    /// Opens a tunnel line to a connection that another agent reaches.
    fn line<'a>(&'a self, ticket: &'a Ticket) -> BoxFuture<'a, Result<Line, OpenError>>;
}

/// For a process that has no server: every step runs here.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRelay;

impl OpenData for NoRelay {
    fn open<'a>(&'a self, _ticket: &'a Ticket) -> BoxFuture<'a, Result<Transport, OpenError>> {
        let message = "there is no server to relay rows to another agent; run all steps in one place".to_owned();
        Box::pin(async { Err(OpenError { message, remedy: Remedy::None }) })
    }

    fn line<'a>(&'a self, _ticket: &'a Ticket) -> BoxFuture<'a, Result<Line, OpenError>> {
        let message = "there is no server to reach another agent's connections through".to_owned();
        Box::pin(async { Err(OpenError { message, remedy: Remedy::None }) })
    }
}

/// The machine and process that orders run in.
#[derive(Clone)]
pub struct Surroundings {
    /// What the site's administrator has set up.
    pub site: Arc<Site>,
    /// Scratch folders of attempts are made below it and removed at their end.
    pub scratch_root: PathBuf,
    /// Opens streams to other agents.
    pub data: Arc<dyn OpenData>,
    /// Takes the steps' log lines.
    pub log: RunLog,
    /// Bytes that one transform may hold in memory before it spills to its scratch folder.
    pub transform_memory: usize,
    /// For the time of log lines.
    pub clock: Clock,
    /// The platform's own agent: refuses third-party connectors and those that reach other hosts.
    pub background: bool,
    /// Counts and keeps what connections move.
    pub egress: Arc<Egress>,
    /// Seals streams to other agents, where this one can.
    pub seal: Option<Arc<Seal>>,
}

impl Surroundings {
    fn log(&self, key: AttemptKey, step: Option<&str>, level: LogLevel, event: Option<&str>, mut message: String) {
        shorten(&mut message, LINE_BYTES_MAX);
        (self.log)(LogLine {
            at: self.clock.now(),
            level,
            target: "sallyport_agent::execute".to_owned(),
            event: event.map(ToOwned::to_owned),
            message,
            run: Some(RunRef { run: key.run, step: step.map(ToOwned::to_owned), attempt: Some(key.attempt) }),
        });
    }
}

/// What ended: one step's thread or one stream.
enum Ended {
    Step(usize, End),
    Stream(Relayed),
}

/// Runs every step of the order to its end. Needs a runtime with time and, for streams, I/O; blocks none of its threads.
pub async fn execute(order: WorkOrder, surroundings: &Surroundings, execution: &Execution) -> OrderReport {
    let _work = rest::Work::begin(tokio::runtime::Handle::current());
    let key = order.key;
    let wiring = match Wiring::of(&order) {
        Ok(wiring) => wiring,
        Err((step, why)) => {
            execution.fail(step, failure(FailureKind::Runtime, "bad_order", why));
            return verdict::report(&order, execution, &[], &[]);
        }
    };
    let scratch = match scratch::Folder::create(&surroundings.scratch_root, key) {
        Ok(scratch) => scratch,
        Err(why) => {
            execution.fail(0, failure(FailureKind::Runtime, "scratch_folder", why));
            return verdict::report(&order, execution, &[], &[]);
        }
    };
    let (told, mut ended) = mpsc::channel(order.steps.len() + wiring.streams() + 1);
    let awaited = order.steps.len() + wiring.streams();
    start(&order, wiring, surroundings, execution, &scratch, &told);
    drop(told);
    let (ends, streams) = tokio::select! {
        collected = collect(&order, execution, awaited, &mut ended) => collected,
        never = metered::watch(execution) => match never {},
    };
    let report = verdict::report(&order, execution, &ends, &streams);
    for (step, end) in order.steps.iter().zip(&ends) {
        if end.is_none() {
            let message = format!("the step did not stop within {STOP_MAX:?} and was left behind");
            surroundings.log(key, Some(&step.name), LogLevel::Error, None, message);
        }
    }
    verdict::log(&report, surroundings);
    let removed = tokio::task::spawn_blocking(move || scratch.remove()).await;
    if let Ok(Err(why)) = removed {
        surroundings.log(key, None, LogLevel::Warning, None, why);
    }
    report
}

/// Starts streams, then steps.
fn start(
    order: &WorkOrder,
    wiring: Wiring,
    surroundings: &Surroundings,
    execution: &Execution,
    scratch: &scratch::Folder,
    told: &mpsc::Sender<Ended>,
) {
    let runtime = tokio::runtime::Handle::current();
    for stream in wiring.relays {
        relay::start(stream, order.resumes, surroundings, execution, &runtime, told.clone());
    }
    for (index, (step, ends)) in order.steps.iter().zip(wiring.steps).enumerate() {
        step::start(step::Job {
            index,
            order: step.clone(),
            key: order.key,
            ends,
            surroundings: surroundings.clone(),
            execution: execution.clone(),
            scratch: scratch.step(&step.name),
            runtime: runtime.clone(),
            told: told.clone(),
        });
    }
}

/// Waits for all ends; after a stop, only so long.
async fn collect(
    order: &WorkOrder,
    execution: &Execution,
    awaited: usize,
    ended: &mut mpsc::Receiver<Ended>,
) -> (Vec<Option<End>>, Vec<Relayed>) {
    let began = Instant::now();
    let mut ends: Vec<Option<End>> = order.steps.iter().map(|_| None).collect();
    let mut streams = Vec::new();
    let mut stop_by: Option<Instant> = None;
    for _ in 0..awaited {
        let got = loop {
            if stop_by.is_none() && execution.stopped() {
                stop_by = Some(Instant::now() + STOP_MAX);
            }
            let due = stop_by.or_else(|| next_timeout(order, &ends, began).map(|(_, at)| at));
            let turn = tokio::select! {
                got = ended.recv() => Some(got),
                () = sleep_until(due) => None,
                () = execution.cancelled(), if stop_by.is_none() => continue,
            };
            match turn {
                Some(got) => break got,
                None if stop_by.is_some() => break None,
                None => time_out(order, execution, next_timeout(order, &ends, began)),
            }
        };
        match got {
            Some(Ended::Step(index, end)) => ends[index] = Some(end),
            Some(Ended::Stream(stream)) => streams.push(stream),
            None => break,
        }
    }
    (ends, streams)
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The unfinished step whose time is over first.
fn next_timeout(order: &WorkOrder, ends: &[Option<End>], began: Instant) -> Option<(usize, Instant)> {
    let open = order.steps.iter().enumerate().zip(ends).filter(|(_, end)| end.is_none());
    open.filter_map(|((index, step), _)| Some((index, began + Duration::from_millis(step.timeout_ms?))))
        .min_by_key(|(_, at)| *at)
}

fn time_out(order: &WorkOrder, execution: &Execution, over: Option<(usize, Instant)>) {
    let Some((index, step)) = over.and_then(|(index, _)| Some((index, order.steps.get(index)?))) else { return };
    execution.fail(index, timed_out(step));
}

fn timed_out(step: &StepOrder) -> Failure {
    let limit = Duration::from_millis(step.timeout_ms.unwrap_or_default());
    let mut failure = failure(
        FailureKind::TimedOut,
        "timeout",
        format!("step `{}` took longer than its timeout of {limit:?}", step.name),
    );
    failure.advice = Some("raise the step's `timeout`, or make it read less at a time".to_owned());
    failure
}

/// The site does not allow it.
fn forbidden(refused: &Refused) -> Failure {
    let failure = failure(FailureKind::Runtime, "not_allowed_by_site", refused.to_string());
    Failure { advice: Some(refused.advice.clone()), ..failure }
}

fn failure(kind: FailureKind, code: &str, message: impl Into<String>) -> Failure {
    Failure { kind, code: code.to_owned(), message: message.into(), advice: None, transient: false }
}
