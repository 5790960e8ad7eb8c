//! What is on its way through channels, and what has become of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sallyport_store::{Notice, NoticeFilter, NoticeState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::find;
use crate::app::App;
use crate::http::extract::Params;
use crate::http::page::{PageView, Paging};
use crate::http::problem::{Problem, Result};
use crate::http::time::{maybe_rfc3339, rfc3339};
use crate::http::who::Who;

/// A notice to one channel.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    /// `notice_...`; receivers see it too.
    id: String,
    /// The channel's name.
    channel: String,
    /// failure, recovery, late or summary.
    event: &'static str,
    /// The task.
    task: Option<String>,
    /// The run.
    run_id: Option<String>,
    /// waiting, sent, failed (given up), held (one too many in an hour) or summed (a summary has named it).
    state: &'static str,
    /// How often it was tried.
    attempts: u32,
    /// When it is tried next.
    next_at: Option<String>,
    /// Why the last try failed.
    problem: Option<String>,
    /// When there was something to tell.
    created_at: String,
    /// When it was sent, summed up or given up.
    ended_at: Option<String>,
}

/// Which notices to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filters {
    /// Through this channel: id or name.
    channel: Option<String>,
    /// Standing so: waiting, sent, failed, held or summed.
    state: Option<String>,
}

impl From<Notice> for DeliveryView {
    fn from(notice: Notice) -> Self {
        Self {
            id: notice.id.to_string(),
            channel: notice.channel_name,
            event: notice.event.map_or("summary", |event| event.word()),
            task: notice.task_name,
            run_id: notice.run.map(|run| run.to_string()),
            state: notice.state.word(),
            attempts: notice.attempts,
            next_at: maybe_rfc3339(notice.due_at),
            problem: notice.problem,
            created_at: rfc3339(notice.created_at),
            ended_at: maybe_rfc3339(notice.ended_at),
        }
    }
}

/// What was told or is to be told, the newest first. Sorts: seq.
#[utoipa::path(get, path = "/notifications/deliveries", tag = "notifications", params(Filters, Paging),
    responses((status = 200, body = PageView<DeliveryView>)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Who,
    Params(filters): Params<Filters>,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<DeliveryView>>> {
    let channel = match &filters.channel {
        Some(channel) => Some(find(&app, &who, channel).await?.id),
        None => None,
    };
    let state = filters.state.as_deref().map(|state| {
        state.parse::<NoticeState>().map_err(|error| Problem::field("/state", "state", format!("`state`: {error}")))
    });
    let filter = NoticeFilter { channel, state: state.transpose()? };
    let page = app.store.notices(who.environment.id, filter, paging.into()).await?;
    Ok(Json(page.map(DeliveryView::from).into()))
}
