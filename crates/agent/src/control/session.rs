//! One connection's life: the loop that joins core, orders and link.

use std::time::Duration;

use sallyport_dataplane::Cancel;
use sallyport_protocol::{
    AgentMessage, AttemptKey, ConnectionOrder, ConnectionTest, Failure, FailureKind, OrderReport, Preview,
    PreviewOrder, RequestId, ServerToAgent, Stage,
};
use tokio::sync::mpsc::{Permit, error::SendError};
use tokio::task::{Id, JoinError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::core::{Effect, kind};
use super::{Agent, CLOSED, CLOSING_MAX, Link, SessionEnd, written};
use crate::execute::preview;

/// How often progress, heartbeats and overdue answers are looked at.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// How long the server may take to say welcome.
const WELCOME_MAX: Duration = Duration::from_secs(20);

/// How long a test of a connection may take.
const TEST_MAX: Duration = Duration::from_secs(30);

/// How long a source may take to stop once its time is over: what it gave until then is shown.
const PREVIEW_STOP_MAX: Duration = Duration::from_secs(3);

/// Tests of connections and looks at rows at one time.
const TESTS_MAX: usize = 8;

/// What was found out on the side.
pub(super) enum Answer {
    Test(ConnectionTest),
    Preview(Preview),
}

/// A session that ends on purpose: orders are cancelled, outcomes delivered, then it leaves.
struct Closing {
    end: SessionEnd,
    reason: String,
    due: Instant,
    left: bool,
}

enum Turn<'a> {
    Stop,
    Heard(Option<ServerToAgent>),
    OrderEnded(Option<Result<(Id, OrderReport), JoinError>>),
    Tested(Option<Result<(RequestId, Answer), JoinError>>),
    Kept(Vec<AttemptKey>),
    Send(Result<Permit<'a, AgentMessage>, SendError<()>>),
    Tick,
    Lines,
}

impl Agent {
    /// Says hello on the link and serves it until it ends. Orders go on between sessions; their outcomes are delivered
    /// in the next. When `stop` fires, orders are cancelled and reported before the session ends.
    pub async fn session(&mut self, link: Link, stop: &CancellationToken) -> SessionEnd {
        self.core.begin();
        let end = self.serve(link, stop).await;
        self.core.end();
        (self.behaviour.on_online)(false);
        end
    }

    async fn serve(&mut self, link: Link, stop: &CancellationToken) -> SessionEnd {
        let Link { to_server, mut from_server } = link;
        let began = Instant::now();
        let wake = self.core.lines_wake().unwrap_or_default();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut closing: Option<Closing> = None;
        // Taken from the core before there is room, so that the loop knows whether to ask for it.
        let mut next = self.core.next_message(self.since_start());
        loop {
            let writing = self.is_writing();
            let turn = tokio::select! {
                biased;
                () = stop.cancelled(), if closing.is_none() => Turn::Stop,
                message = from_server.recv() => Turn::Heard(message),
                ended = self.orders.join_next_with_id(), if !self.orders.is_empty() => Turn::OrderEnded(ended),
                tested = self.tests.join_next(), if !self.tests.is_empty() => Turn::Tested(tested),
                keys = written(&mut self.journal), if writing => Turn::Kept(keys),
                permit = to_server.reserve(), if next.is_some() => Turn::Send(permit),
                _ = tick.tick() => Turn::Tick,
                () = wake.notified() => Turn::Lines,
            };
            match turn {
                Turn::Stop => closing = Some(self.close(SessionEnd::Stopped, "the agent was stopped")),
                Turn::Heard(None) | Turn::Send(Err(_)) => {
                    return closing.map_or_else(|| self.lost(CLOSED), |closing| closing.end);
                }
                Turn::Heard(Some(message)) => match self.heard(message) {
                    Some(SessionEnd::Restart { reason }) => {
                        let why = format!("the agent was restarted: {reason}");
                        closing = Some(self.close(SessionEnd::Restart { reason }, &why));
                    }
                    Some(end) => return end,
                    None => {}
                },
                Turn::OrderEnded(ended) => self.order_ended(ended),
                Turn::Tested(Some(Ok((request, Answer::Test(test))))) => self.core.tested(request, test),
                Turn::Tested(Some(Ok((request, Answer::Preview(preview))))) => self.core.previewed(request, preview),
                Turn::Tested(_) => {}
                Turn::Kept(keys) => self.core.kept(&keys),
                Turn::Send(Ok(permit)) => {
                    if let Some(message) = next.take() {
                        self.core.passed("sent", kind(&message));
                        permit.send(message);
                    }
                }
                Turn::Lines => self.core.gather_lines(),
                Turn::Tick => {
                    let at = self.since_start();
                    self.core.tick(at);
                    if let Some(why) = self.overdue(at, began) {
                        return closing.map_or_else(|| self.lost(&why), |closing| closing.end);
                    }
                }
            }
            self.write_journal();
            if let Some(closing) = &mut closing {
                if Instant::now() >= closing.due || (closing.left && next.is_none()) {
                    return self.flushed(&to_server, next, closing).await;
                }
                if next.is_none() && !closing.left && self.core.settled() {
                    closing.left = true;
                    self.core.leaving(&closing.reason);
                }
            }
            if next.is_none() {
                next = self.core.next_message(self.since_start());
            }
        }
    }

    /// Gives the last message a moment to be taken.
    async fn flushed(
        &mut self,
        to_server: &tokio::sync::mpsc::Sender<AgentMessage>,
        next: Option<AgentMessage>,
        closing: &Closing,
    ) -> SessionEnd {
        if let Some(message) = next {
            let _ = tokio::time::timeout(TICK, to_server.send(message)).await;
        }
        if !closing.left {
            let leaving = AgentMessage::Leaving { reason: closing.reason.clone() };
            let _ = tokio::time::timeout(TICK, to_server.send(leaving)).await;
        }
        closing.end.clone()
    }

    fn heard(&mut self, message: ServerToAgent) -> Option<SessionEnd> {
        let was_online = self.core.online();
        let effect = self.core.handle(message, self.since_start());
        if self.core.online() && !was_online {
            (self.behaviour.on_online)(true);
        }
        match effect? {
            Effect::Execute(order, execution) => self.begin(*order, execution),
            Effect::SetLevels(levels) => (self.behaviour.on_levels)(levels),
            Effect::Tunnel(ask) => (self.behaviour.on_tunnel)(ask),
            Effect::Test { request, kind, connection } => self.test(request, kind, connection),
            Effect::Preview { request, order } => self.preview(request, *order),
            Effect::Refused(refusal) => return Some(SessionEnd::Refused { refusal }),
            Effect::Restart(reason) => return Some(SessionEnd::Restart { reason }),
            Effect::GoAway(spread_ms) => return Some(SessionEnd::GoAway { spread_ms }),
        }
        None
    }

    fn close(&mut self, end: SessionEnd, reason: &str) -> Closing {
        info!(reason, "leaving the server");
        self.core.cancel_all(reason);
        Closing { end, reason: reason.to_owned(), due: Instant::now() + CLOSING_MAX, left: false }
    }

    fn overdue(&self, at: Duration, began: Instant) -> Option<String> {
        if !self.core.online() {
            return (began.elapsed() > WELCOME_MAX)
                .then(|| format!("the server did not say welcome within {} s", WELCOME_MAX.as_secs()));
        }
        self.core.unanswered(at, self.behaviour.answer_max)
    }

    fn lost(&self, why: &str) -> SessionEnd {
        SessionEnd::Lost { why: why.to_owned(), online: self.core.online() }
    }

    fn since_start(&self) -> Duration {
        self.born.elapsed()
    }

    fn test(&mut self, request: RequestId, kind: String, connection: ConnectionOrder) {
        if self.tests.len() >= TESTS_MAX {
            self.core.tested(request, one_stage("agent", "too many tests at one time; try again in a moment", 0));
            return;
        }
        debug!(connection = %connection.name, kind, "testing a connection");
        let site = std::sync::Arc::clone(&self.surroundings.site);
        self.tests.spawn(async move {
            let cancel = Cancel::new();
            let stop = cancel.clone();
            let name = connection.name.clone();
            let work =
                tokio::task::spawn_blocking(move || sallyport_connectors::test(&kind, &connection, &site, &cancel));
            let test = match tokio::time::timeout(TEST_MAX, work).await {
                Ok(Ok(test)) => test,
                Ok(Err(_)) => one_stage("agent", "the agent met a bug in itself; see its log", 0),
                Err(_) => {
                    stop.cancel();
                    let millis = TEST_MAX.as_millis() as u64;
                    one_stage("agent", &format!("`{name}` did not answer within {} s", TEST_MAX.as_secs()), millis)
                }
            };
            (request, Answer::Test(test))
        });
    }

    fn preview(&mut self, request: RequestId, order: PreviewOrder) {
        if self.tests.len() >= TESTS_MAX {
            let text = "the agent shows and tests too much at one time; try again in a moment";
            self.core.previewed(request, not_seen("busy", text, true));
            return;
        }
        debug!(step = %order.step, kind = %order.kind, "showing the first rows of a step");
        let surroundings = std::sync::Arc::clone(&self.surroundings);
        self.tests.spawn(async move {
            let cancel = Cancel::new();
            let stop = cancel.clone();
            let runtime = tokio::runtime::Handle::current();
            let mut work =
                tokio::task::spawn_blocking(move || preview(request, &order, &surroundings, &runtime, &cancel));
            let seen = match tokio::time::timeout(TEST_MAX, &mut work).await {
                Ok(seen) => seen,
                Err(_) => {
                    stop.cancel();
                    tokio::time::timeout(PREVIEW_STOP_MAX, work).await.unwrap_or_else(|_| {
                        Ok(not_seen("timed_out", "the connector neither gave rows nor stopped in time", true))
                    })
                }
            };
            let seen = seen.unwrap_or_else(|_| not_seen("bug", "the agent met a bug in itself; see its log", false));
            (request, Answer::Preview(seen))
        });
    }
}

fn not_seen(code: &str, text: &str, transient: bool) -> Preview {
    let (code, message) = (code.to_owned(), text.to_owned());
    Preview::failed(Failure { kind: FailureKind::Runtime, code, message, advice: None, transient })
}

fn one_stage(stage: &str, detail: &str, millis: u64) -> ConnectionTest {
    ConnectionTest { stages: vec![Stage { stage: stage.to_owned(), ok: false, detail: detail.to_owned(), millis }] }
}
