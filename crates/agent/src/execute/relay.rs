//! Streams to and from steps on other agents: opens each and pumps it on a thread of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sallyport_dataplane::stream;
use sallyport_dataplane::{Cancel, Transport, line};
use sallyport_protocol::{Failure, FailureKind, LogLevel, Ticket, event};
use sallyport_site::backoff::{Backoff, Jitter};
use sallyport_site::random;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::wiring::{Relay, Way};
use super::{Ended, Execution, Remedy, Surroundings};

/// How much longer a stream may take to open once the order was stopped.
const OPEN_GRACE: Duration = Duration::from_secs(1);

/// How long a lost data connection may take to be opened again: a server that restarts, a path that changes.
const REOPEN_MAX: Duration = Duration::from_secs(300);

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
    let Relay { step, ticket, peer, way } = relay;
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
        opened = surroundings.data.open(&ticket) => opened,
        // A stream that is about to open can still carry the reason to the other side.
        () = cancelled_for(OPEN_GRACE, execution) => return Err(Broken),
    };
    let transport = match opened {
        Ok(transport) => transport,
        Err(error) => {
            let message = format!("opening the data connection for the {words} failed: {}", error.message);
            execution.fail(step, lost("stream_not_opened", direction, message, error.remedy != Remedy::None));
            return Err(Broken);
        }
    };
    say(LogLevel::Debug, event::TUNNEL_READY_FOR_USE, format!("the data connection for the {words} is ready"));
    let result = if resumes {
        let delivered = AtomicBool::new(false);
        let lost = Lost { ticket: &ticket, words: &words, surroundings, say: &say, delivered: &delivered };
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
    ticket: &'a Ticket,
    words: &'a str,
    surroundings: &'a Surroundings,
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
            match timeout_at(due, self.surroundings.data.open(self.ticket)).await {
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
                    Remedy::Retry | Remedy::None => {
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
