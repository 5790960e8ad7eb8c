//! Streams to and from steps on other agents: opens each and pumps it on a thread of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sallyport_dataplane::stream;
use sallyport_dataplane::{Cancel, Transport, line};
use sallyport_protocol::{AttemptKey, Failure, FailureKind, LogLevel, Ticket, event};
use sallyport_site::backoff::{Backoff, Jitter};
use sallyport_site::random;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::wiring::{Relay, Way};
use super::{Ended, Execution, OpenError, Remedy, Surroundings};
use crate::seal::{self, Sealer, Side, Stream, Worker};

/// How much longer a stream may take to open once the order was stopped.
const OPEN_GRACE: Duration = Duration::from_secs(1);

/// How long a lost data connection may take to be opened again: a server that restarts, a path that changes.
const REOPEN_MAX: Duration = Duration::from_secs(300);

/// How long the last words of a sealed stream may take.
const GOODBYE_MAX: Duration = Duration::from_secs(10);

/// Pauses between two tries.
const REOPEN_PAUSE: Duration = Duration::from_millis(200);
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(5);

/// How one stream ended.
pub(super) struct Relayed {
    /// The local step.
    pub(super) step: usize,
    pub(super) result: Result<(), Broken>,
}

/// Why a stream did not end well; the order was told already.
pub(super) struct Broken;

/// Which side of the step the stream is on, for the failure's kind.
#[derive(Clone, Copy)]
enum Direction {
    Out,
    In,
}

/// Starts the stream's thread; it tells its end exactly once.
pub(super) fn start(
    relay: Relay,
    resumes: bool,
    surroundings: &Surroundings,
    execution: &Execution,
    runtime: &Handle,
    told: mpsc::Sender<Ended>,
) {
    let (surroundings, execution, runtime) = (surroundings.clone(), execution.clone(), runtime.clone());
    let step = relay.step;
    let (tell, stop) = (told.clone(), execution.clone());
    let thread = thread::Builder::new().name("relay".to_owned()).spawn(move || {
        let result = runtime.block_on(run(relay, resumes, &surroundings, &execution));
        // The collector may have given up on this stream.
        let _ = runtime.block_on(told.send(Ended::Stream(Relayed { step, result })));
    });
    if let Err(error) = thread {
        let message = format!("starting a thread for a stream: {error}");
        stop.fail(step, super::failure(FailureKind::Runtime, "thread", message));
        // The channel has a place for every stream.
        let _ = tell.try_send(Ended::Stream(Relayed { step, result: Err(Broken) }));
    }
}

async fn run(relay: Relay, resumes: bool, surroundings: &Surroundings, execution: &Execution) -> Result<(), Broken> {
    let (door, worker) = match Door::new(&relay, surroundings, execution) {
        Ok(made) => made,
        Err(failure) => {
            execution.fail(relay.step, failure);
            return Err(Broken);
        }
    };
    let Some(worker) = worker else { return through(door, relay, resumes, surroundings, execution).await };
    let mut worker = std::pin::pin!(worker.run());
    let mut carrying = std::pin::pin!(through(door, relay, resumes, surroundings, execution));
    tokio::select! {
        result = &mut carrying => {
            // What the stream has said last is still to go out.
            let most = if execution.stopped() { OPEN_GRACE } else { GOODBYE_MAX };
            let _ = timeout(most, &mut worker).await;
            result
        }
        () = &mut worker => carrying.await,
    }
}

async fn through(
    door: Door<'_>,
    relay: Relay,
    resumes: bool,
    surroundings: &Surroundings,
    execution: &Execution,
) -> Result<(), Broken> {
    let Relay { step, peer, way, .. } = relay;
    let (direction, words) = match way {
        Way::Out(_) => (Direction::Out, format!("rows to step `{peer}`")),
        Way::In(_) => (Direction::In, format!("rows from step `{peer}`")),
    };
    let say = |level: LogLevel, event: &'static str, message: String| {
        let name = execution.counts().into_iter().nth(step).map(|(name, _)| name);
        surroundings.log(execution.key(), name.as_deref(), level, Some(event), message);
    };
    say(LogLevel::Debug, event::REQUEST_TUNNEL, format!("opening a data connection for the {words}"));
    let opened = tokio::select! {
        opened = door.open() => opened,
        // A stream that is about to open can still carry the reason to the other side.
        () = cancelled_for(OPEN_GRACE, execution) => return Err(Broken),
    };
    let transport = match opened {
        Ok(transport) => transport,
        Err(error) => {
            let message = format!("opening the data connection for the {words} failed: {}", error.message);
            execution.fail(step, not_opened(error.remedy, direction, message));
            return Err(Broken);
        }
    };
    say(LogLevel::Debug, event::TUNNEL_READY_FOR_USE, format!("the data connection for the {words} is ready"));
    let result = if resumes {
        let delivered = AtomicBool::new(false);
        let lost = Lost { door: &door, words: &words, say: &say, delivered: &delivered };
        match lasting(way, transport, execution, lost).await {
            // It could only have taken everything after everything was sent.
            Err(stream::Error::Lost(_)) if delivered.into_inner() => Ok(()),
            ended => ended,
        }
    } else {
        pump(way, transport, execution).await
    };
    result.map_err(|error| {
        if !matches!(error, stream::Error::Cancelled | stream::Error::Edge(_)) {
            say(LogLevel::Error, event::FORWARD_IN_ERROR, format!("the {words} broke off: {error}"));
        }
        tell(step, &words, direction, &error, execution);
        Broken
    })
}

/// Opens the connections of one stream, sealed where the order says so.
struct Door<'a> {
    surroundings: &'a Surroundings,
    ticket: Ticket,
    sealer: Option<Sealer>,
}

impl<'a> Door<'a> {
    fn new(
        relay: &Relay,
        surroundings: &'a Surroundings,
        execution: &Execution,
    ) -> Result<(Self, Option<Worker>), Failure> {
        let door = |sealer| Self { surroundings, ticket: relay.ticket.clone(), sealer };
        let Some(peer) = relay.sealed.clone() else {
            let way = match relay.way {
                Way::Out(_) => format!("to step `{}`", relay.peer),
                Way::In(_) => format!("from step `{}`", relay.peer),
            };
            let may = surroundings.site.policy.now().may_go_unsealed(&way);
            return may.map(|()| (door(None), None)).map_err(|refused| super::forbidden(&refused));
        };
        let Some(seal) = surroundings.seal.clone() else {
            return Err(super::failure(FailureKind::Runtime, "bad_order", "this agent seals no streams"));
        };
        let own = execution.counts().into_iter().nth(relay.step).map(|(name, _)| name).unwrap_or_default();
        let AttemptKey { run, pipeline, attempt, fence } = execution.key();
        let (side, from, to) = match relay.way {
            Way::Out(_) => (Side::Producer, &own, &relay.peer),
            Way::In(_) => (Side::Consumer, &relay.peer, &own),
        };
        let name = format!("{run}/{pipeline}/{attempt}/{fence}/{from}/{to}");
        let (sealer, worker) = Sealer::new(seal, Stream { peer, side, name });
        Ok((door(Some(sealer)), Some(worker)))
    }

    async fn open(&self) -> Result<Transport, OpenError> {
        let connection = self.surroundings.data.open(&self.ticket).await?;
        let Some(sealer) = &self.sealer else { return Ok(connection) };
        sealer.seal(connection).await.map_err(|error| OpenError {
            remedy: match &error {
                seal::Error::Key(_) => Remedy::Trust,
                seal::Error::Broken(_) => Remedy::Retry,
                seal::Error::Lost(_) => Remedy::Again,
            },
            message: error.to_string(),
        })
    }
}

fn not_opened(remedy: Remedy, direction: Direction, message: String) -> Failure {
    match remedy {
        Remedy::Trust => lost("peer_key_changed", direction, message, false),
        remedy => lost("stream_not_opened", direction, message, remedy != Remedy::None),
    }
}

async fn cancelled_for(grace: Duration, execution: &Execution) {
    execution.cancelled().await;
    tokio::time::sleep(grace).await;
}

/// As [`pump`], over as many connections as it takes.
async fn lasting(way: Way, transport: Transport, execution: &Execution, lost: Lost<'_>) -> Result<(), stream::Error> {
    let (near, far) = Transport::pair();
    let leave = Cancel::new();
    let takes = matches!(way, Way::In(_));
    let pumping = async {
        let result = pump(way, near, execution).await;
        // The last word of a side that took everything must arrive; all others have nothing more to wait for.
        if !takes || result.is_err() {
            leave.cancel();
        }
        result
    };
    let holding = async {
        let mut held = std::pin::pin!(line::hold(far, transport, &leave, |why| lost.reopen(why)));
        tokio::select! {
            () = &mut held => return,
            () = execution.cancelled() => leave.cancel(),
        }
        held.await;
    };
    tokio::join!(pumping, holding).0
}

/// What to do about a lost data connection.
struct Lost<'a> {
    door: &'a Door<'a>,
    words: &'a str,
    say: &'a (dyn Fn(LogLevel, &'static str, String) + Sync),
    /// Set when there is nobody left to connect with, and no need.
    delivered: &'a AtomicBool,
}

impl Lost<'_> {
    /// Opens it again, or says why not.
    async fn reopen(&self, why: String) -> Result<Transport, String> {
        let words = self.words;
        let message = format!("the data connection for the {words} was lost ({why}); opening it again");
        (self.say)(LogLevel::Warning, event::FORWARD_IN_ERROR, message);
        let due = Instant::now() + REOPEN_MAX;
        let mut backoff = Backoff::new(REOPEN_PAUSE, REOPEN_PAUSE_MAX, Jitter::Half);
        let mut last = why.clone();
        while Instant::now() < due {
            tokio::time::sleep(backoff.next(random::unit())).await;
            match timeout_at(due, self.door.open()).await {
                Ok(Ok(transport)) => {
                    let message = format!("the data connection for the {words} is open again; they go on");
                    (self.say)(LogLevel::Info, event::TUNNEL_READY_FOR_USE, message);
                    return Ok(transport);
                }
                Ok(Err(error)) => match error.remedy {
                    Remedy::Again => last = error.message,
                    Remedy::Delivered => {
                        (self.say)(
                            LogLevel::Info,
                            event::TUNNEL_READY_FOR_USE,
                            format!("the {words} have all arrived"),
                        );
                        self.delivered.store(true, Ordering::Release);
                        return Err(error.message);
                    }
                    Remedy::Retry | Remedy::None | Remedy::Trust => {
                        return Err(format!("{why}; it was not opened again: {}", error.message));
                    }
                },
                Err(_) => break,
            }
        }
        Err(format!("{why}; it could not be opened again within {} s: {last}", REOPEN_MAX.as_secs()))
    }
}

async fn pump(way: Way, transport: Transport, execution: &Execution) -> Result<(), stream::Error> {
    let ending = execution.ending();
    match way {
        Way::Out(input) => stream::send(input, transport, &ending).await?,
        Way::In(producer) => stream::receive(producer, transport, &ending).await?,
    };
    Ok(())
}

/// Makes a broken stream the order's reason to stop, if it is one.
fn tell(step: usize, words: &str, direction: Direction, error: &stream::Error, execution: &Execution) {
    match error {
        // The local step or the order's stop says why.
        stream::Error::Cancelled | stream::Error::Edge(_) => {}
        stream::Error::Aborted(why) => execution.ended_elsewhere(why),
        stream::Error::Lost(_) | stream::Error::Garbled(_) => {
            execution.fail(step, lost("stream_lost", direction, format!("the {words} broke off: {error}"), true));
        }
        stream::Error::BatchTooLarge { .. } | stream::Error::Unsupported { .. } | stream::Error::Encode(_) => {
            execution.fail(step, lost(error.code(), direction, error.to_string(), false));
        }
    }
}

fn lost(code: &str, direction: Direction, message: String, transient: bool) -> Failure {
    let kind = match direction {
        Direction::Out => FailureKind::Output,
        Direction::In => FailureKind::Input,
    };
    Failure { kind, code: code.to_owned(), message, advice: None, transient }
}
