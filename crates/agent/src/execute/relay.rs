//! Streams to and from steps on other agents: opens each and pumps it on a thread of its own.

use std::thread;
use std::time::Duration;

use sallyport_dataplane::Transport;
use sallyport_dataplane::stream::{self, Totals};
use sallyport_protocol::{Failure, FailureKind, LogLevel, event};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::wiring::{Relay, Way};
use super::{Ended, Execution, Surroundings};

/// How much longer a stream may take to open once the order was stopped.
const OPEN_GRACE: Duration = Duration::from_secs(1);

/// How one stream ended.
pub(super) struct Relayed {
    /// The local step.
    pub(super) step: usize,
    pub(super) result: Result<Totals, Broken>,
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
    surroundings: &Surroundings,
    execution: &Execution,
    runtime: &Handle,
    told: mpsc::Sender<Ended>,
) {
    let (surroundings, execution, runtime) = (surroundings.clone(), execution.clone(), runtime.clone());
    let step = relay.step;
    let (tell, stop) = (told.clone(), execution.clone());
    let thread = thread::Builder::new().name("relay".to_owned()).spawn(move || {
        let result = runtime.block_on(run(relay, &surroundings, &execution));
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

async fn run(relay: Relay, surroundings: &Surroundings, execution: &Execution) -> Result<Totals, Broken> {
    let Relay { step, ticket, peer, way } = relay;
    let (direction, words) = match way {
        Way::Out(_) => (Direction::Out, format!("rows to step `{peer}`")),
        Way::In(_) => (Direction::In, format!("rows from step `{peer}`")),
    };
    let say = |level, event, message| {
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
            execution.fail(step, lost("stream_not_opened", direction, message, error.transient));
            return Err(Broken);
        }
    };
    say(LogLevel::Debug, event::TUNNEL_READY_FOR_USE, format!("the data connection for the {words} is ready"));
    let result = pump(way, transport, execution).await;
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

async fn pump(way: Way, transport: Transport, execution: &Execution) -> Result<Totals, stream::Error> {
    let ending = execution.ending();
    match way {
        Way::Out(input) => stream::send(input, transport, &ending).await,
        Way::In(producer) => stream::receive(producer, transport, &ending).await,
    }
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
