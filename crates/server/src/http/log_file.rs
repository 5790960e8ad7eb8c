//! An agent's whole log as a text file, read from the store piece by piece.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderValue, header};
use sallyport_protocol::EnvironmentId;
use sallyport_store::{AgentLogEntry, Error, LogFilter};

use crate::app::App;
use crate::http::download::disposition;
use crate::http::extract::{Params, Path};
use crate::http::logs::AgentLines;
use crate::http::problem::Result;
use crate::http::time::rfc3339;
use crate::http::who::Who;

/// Download an agent's log with its wrapper's as text, the oldest line first: time, level, writer, part, message.
#[utoipa::path(get, path = "/agents/{id}/log/download", tag = "agents",
    params(("id" = String, Path, description = "Id or name"), AgentLines),
    responses((status = 200, content_type = "text/plain", body = String, description = "`<name>.log`")))]
pub(crate) async fn download(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    Params(lines): Params<AgentLines>,
) -> Result<Response> {
    let agent = crate::http::agents::find(&app, &who, &id).await?;
    let filter = lines.of(id).filter(&app, &who).await?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CONTENT_DISPOSITION, disposition(&format!("{}.log", agent.name))?);
    let pieces = Pieces { app, environment: who.environment.id, filter };
    let body = unfold(pieces, |mut pieces| async move { Some((pieces.next().await.transpose()?, pieces)) });
    Ok((headers, Body::from_stream(body)).into_response())
}

struct Pieces {
    app: Arc<App>,
    environment: EnvironmentId,
    filter: LogFilter,
}

impl Pieces {
    async fn next(&mut self) -> std::result::Result<Option<Bytes>, Error> {
        let lines = self.app.store.agent_log_after(self.environment, self.filter.clone()).await?;
        let Some(last) = lines.last() else { return Ok(None) };
        self.filter.after = Some(last.seq);
        Ok(Some(lines.iter().map(text).collect::<String>().into()))
    }
}

fn text(line: &AgentLogEntry) -> String {
    // A message of several lines stays one entry: what follows the first is moved in.
    let message = line.message.trim_end().replace('\n', "\n    ");
    format!("{} {:<7} {} {}: {message}\n", rfc3339(line.at), line.level.name(), line.source, line.target)
}
