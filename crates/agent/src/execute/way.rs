//! The way of a step to a target that another agent reaches: each stream is a tunnel line to the server, which joins it
//! to one of that agent.

use std::sync::Arc;
use std::time::Duration;

use sallyport_connectors::{Error, LogSink, Reach, Through};
use sallyport_dataplane::Cancel;
use sallyport_dataplane::tunnel::{self, End, Moved, Near};
use sallyport_protocol::{
    Action, FailureKind, LogLevel, StepOrder, TunnelRefusal, TunnelRefusalCode as Code, TunnelWord,
};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{BoxFuture, OpenError, Remedy, Surroundings};
use crate::tunnel::Pool;

/// Above what the server gives an agent to open a stream.
const OPEN_MAX: Duration = Duration::from_secs(60);

/// Lines that may turn out to be dead before the way counts as broken.
const TRIES: usize = 3;

/// How a step's connector gets to its target.
pub(super) fn reach(order: &StepOrder, surroundings: &Surroundings, log: &LogSink, runtime: &Handle) -> Reach {
    let Some(through) = order.through.clone() else { return Reach::Direct };
    let name = match &order.action {
        Action::Connector { connection: Some(connection), .. } => connection.name.clone(),
        _ => String::new(),
    };
    let (data, ticket) = (Arc::clone(&surroundings.data), through.ticket);
    let dial = move || -> BoxFuture<'static, _> {
        let (data, ticket) = (Arc::clone(&data), ticket.clone());
        Box::pin(async move { data.line(&ticket).await })
    };
    let stop = CancellationToken::new();
    let entered = runtime.enter();
    let pool = Pool::new(0, dial, stop.clone());
    drop(entered);
    let (log, runtime) = (Arc::clone(log), runtime.clone());
    Reach::Through(Arc::new(Way { pool, stop, runtime, name, agents: through.agents.join("` or `"), log }))
}

struct Way {
    pool: Arc<Pool<OpenError>>,
    stop: CancellationToken,
    runtime: Handle,
    /// The connection's.
    name: String,
    agents: String,
    log: LogSink,
}

impl Drop for Way {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Through for Way {
    fn open(&self, cancel: &Cancel) -> Result<Near, Error> {
        self.runtime.block_on(async {
            tokio::select! {
                opened = self.stream() => opened,
                () = cancel.cancelled() => Err(Error::Cancelled),
            }
        })
    }
}

impl Way {
    async fn stream(&self) -> Result<Near, Error> {
        for _ in 0..TRIES {
            let mut line = self.pool.take().await.map_err(|error| self.undialled(&error))?;
            if line.writer.word(&TunnelWord::Begin).await.is_err() {
                continue;
            }
            let (near, far) = tunnel::pipe(self.runtime.clone());
            let (answer, answered) = oneshot::channel();
            self.pool.spawn(carry(Arc::clone(&self.pool), line, far, answer, self.complaint()));
            match tokio::time::timeout(OPEN_MAX, answered).await {
                Ok(Ok(TunnelWord::Opened { address, micros })) => {
                    let Self { name, agents, .. } = self;
                    let text =
                        format!("connection `{name}` is reached at {address} through agent `{agents}` in {micros} µs");
                    (self.log)(LogLevel::Debug, text);
                    return Ok(near);
                }
                Ok(Ok(TunnelWord::Refused { refusal })) => return Err(refused(&self.agents, refusal)),
                // It had died while it waited.
                Ok(Ok(_) | Err(_)) => {}
                Err(_) => break,
            }
        }
        let why = format!("the server opened no stream through agent `{}` in time", self.agents);
        Err(self.unreachable(&why))
    }

    /// What is said when a stream breaks that had been opened.
    fn complaint(&self) -> impl FnOnce(&str) + Send + use<> {
        let (log, name, agents) = (Arc::clone(&self.log), self.name.clone(), self.agents.clone());
        move |why| {
            let text = format!("the stream to connection `{name}` through agent `{agents}` broke: {why}");
            log(LogLevel::Warning, text);
        }
    }

    fn undialled(&self, error: &OpenError) -> Error {
        match error.remedy {
            Remedy::None => Error::permanent(FailureKind::Connector, "unreachable", self.words(&error.message)),
            _ => self.unreachable(&error.message),
        }
    }

    fn unreachable(&self, why: &str) -> Error {
        Error::transient(FailureKind::Connector, "unreachable", self.words(why))
    }

    fn words(&self, why: &str) -> String {
        format!("connection `{}`: the way through agent `{}`: {why}", self.name, self.agents)
    }
}

/// Carries one stream; its answer is the first word about the target.
async fn carry(
    pool: Arc<Pool<OpenError>>,
    line: tunnel::Line,
    far: tunnel::Far,
    answer: oneshot::Sender<TunnelWord>,
    complain: impl FnOnce(&str) + Send,
) {
    let (mut answer, mut opened) = (Some(answer), false);
    let hear = |word| {
        if matches!(word, TunnelWord::Opened { .. } | TunnelWord::Refused { .. })
            && let Some(answer) = answer.take()
        {
            opened = matches!(word, TunnelWord::Opened { .. });
            // A step that was stopped does not wait any more.
            let _ = answer.send(word);
        }
    };
    let (carried, line) = tunnel::carry(line, far, &Moved::default(), std::future::pending(), hear).await;
    if opened && carried.end != End::Done {
        complain(carried.end.words());
    }
    if let Some(line) = line {
        pool.give(line);
    }
}

/// What the other agent, its site or the server says of the target holds here too.
fn refused(agents: &str, TunnelRefusal { code, message }: TunnelRefusal) -> Error {
    let message = format!("through agent `{agents}`: {message}");
    let (code, passes) = match code {
        Code::Policy => ("not_allowed_by_site", false),
        Code::NotAllowed => ("not_allowed", false),
        Code::Name => ("name_not_found", true),
        Code::AgentOffline => ("agent_offline", true),
        Code::Refused | Code::Timeout | Code::Unreachable | Code::Tls | Code::TooMany | Code::Other => {
            ("unreachable", true)
        }
    };
    match passes {
        true => Error::transient(FailureKind::Connector, code, message),
        false => Error::permanent(FailureKind::Connector, code, message),
    }
}
