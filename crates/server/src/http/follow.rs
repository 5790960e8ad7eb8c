//! Logs as they are written, as server-sent events. The event's id is the line's `seq`: a client that comes back with
//! `Last-Event-ID` misses nothing and sees nothing twice.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::Stream;
use futures_util::stream::unfold;
use http::HeaderMap;
use sallyport_protocol::{EnvironmentId, RunId};
use sallyport_store::{ListRequest, LogFilter};
use serde::Serialize;

use crate::app::App;
use crate::engine;
use crate::http::extract::{Params, Path};
use crate::http::logs::{AgentLines, LineView, RunLineView};
use crate::http::problem::Result;
use crate::http::runs::RunView;
use crate::http::who::Who;

/// Without a hint the log is read again after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Proxies end connections that are silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

type Events = std::result::Result<Event, Infallible>;

/// Follow a run's log. Ends with an event `end` that carries the run, once it has ended and every line was sent.
#[utoipa::path(get, path = "/runs/{id}/log/stream", tag = "runs",
    params(("id" = String, Path, description = "The run's id"), crate::http::logs::RunLines,
        ("Last-Event-ID" = Option<i64>, Header, description = "The last line that was seen")),
    responses((status = 200, content_type = "text/event-stream", body = String,
        description = "Events `line` (as in `/runs/{id}/log`) and `end`")))]
pub(crate) async fn run_log(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Params(lines): Params<crate::http::logs::RunLines>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Events>>> {
    let run = crate::http::runs::find(&app, &who, &id).await?;
    let filter = since(lines.filter()?, &headers);
    let hints = app.live.engine.live(run.id);
    let follow = RunFollower {
        app,
        environment: who.environment.id,
        run: run.id,
        filter,
        hints,
        ready: VecDeque::new(),
        over: false,
    };
    let events = unfold(follow, |mut follow| async move { Some((Ok(follow.next().await?), follow)) });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Follow the logs of agents and wrappers, from now on or from `Last-Event-ID`.
#[utoipa::path(get, path = "/logs/stream", tag = "logs",
    params(AgentLines, ("Last-Event-ID" = Option<i64>, Header, description = "The last line that was seen")),
    responses((status = 200, content_type = "text/event-stream", body = String, description = "Events `line` (as in `/logs`)")))]
pub(crate) async fn logs(
    State(app): State<Arc<App>>,
    who: Who,
    Params(lines): Params<AgentLines>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Events>>> {
    let mut filter = since(lines.filter(&app, &who).await?, &headers);
    if filter.after.is_none() {
        let newest = ListRequest { limit: 1, cursor: None, sort: Some("-seq".into()) };
        let page = app.store.agent_log(who.environment.id, LogFilter::default(), newest).await?;
        filter.after = Some(page.items.first().map_or(0, |line| line.seq));
    }
    let follow = LogFollower { app, environment: who.environment.id, filter, ready: VecDeque::new() };
    let events = unfold(follow, |mut follow| async move { Some((Ok(follow.next().await?), follow)) });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct RunFollower {
    app: Arc<App>,
    environment: EnvironmentId,
    run: RunId,
    filter: LogFilter,
    hints: engine::Live,
    ready: VecDeque<Event>,
    over: bool,
}

impl RunFollower {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over || self.app.stop.is_cancelled() {
                return None;
            }
            // The state is read before the lines: what was written before the end is then among them.
            let run = self.app.store.run(self.environment, self.run).await.ok()?;
            let lines = self.app.store.run_log_after(self.environment, self.run, self.filter.clone()).await.ok()?;
            if lines.is_empty() && run.finished_at.is_some() {
                self.over = true;
                self.ready.push_back(event("end", None, &RunView::of(&run, &self.app)));
                continue;
            }
            if lines.is_empty() {
                tokio::select! {
                    () = self.hints.changed() => {}
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                    () = self.app.stop.cancelled() => {}
                }
                continue;
            }
            for line in lines {
                self.filter.after = Some(line.seq);
                let view = RunLineView::from(line);
                self.ready.push_back(event("line", Some(view.seq), &view));
            }
        }
    }
}

struct LogFollower {
    app: Arc<App>,
    environment: EnvironmentId,
    filter: LogFilter,
    ready: VecDeque<Event>,
}

impl LogFollower {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.app.stop.is_cancelled() {
                return None;
            }
            let lines = self.app.store.agent_log_after(self.environment, self.filter.clone()).await.ok()?;
            if lines.is_empty() {
                tokio::select! {
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                    () = self.app.stop.cancelled() => {}
                }
                continue;
            }
            for line in lines {
                self.filter.after = Some(line.seq);
                let view = LineView::from(line);
                self.ready.push_back(event("line", Some(view.seq), &view));
            }
        }
    }
}

fn since(mut filter: LogFilter, headers: &HeaderMap) -> LogFilter {
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    filter.after = seen.or(filter.after);
    filter
}

fn event(name: &str, id: Option<i64>, data: &impl Serialize) -> Event {
    let event = Event::default().event(name);
    let event = match id {
        Some(id) => event.id(id.to_string()),
        None => event,
    };
    // Views of ours are always JSON.
    event.json_data(data).unwrap_or_else(|_| Event::default().event("error"))
}
