//! Saved views: filters of a list that a person has given a name, in one environment.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use sallyport_store::SavedView;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::http::extract::{Body, Path};
use crate::http::page::PageView;
use crate::http::problem::{Problem, Result};
use crate::http::who::Who;

/// The lists that have views.
const LISTS: [&str; 6] = ["agents", "audit", "connections", "runs", "tasks", "triggers"];

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 60;

/// The longest query, in bytes.
const QUERY_BYTES_MAX: usize = 2000;

/// A named view.
#[derive(Serialize, ToSchema)]
pub(crate) struct ViewView {
    /// The list: agents, audit, connections, runs, tasks, triggers.
    list: String,
    /// Unique in the list, case ignored.
    name: String,
    /// The filters, as in the console's address: `status=offline&sort=name`.
    query: String,
}

/// What a view holds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SaveView {
    /// The filters, as in the console's address.
    query: String,
}

impl From<SavedView> for ViewView {
    fn from(view: SavedView) -> Self {
        Self { list: view.list, name: view.name, query: view.query }
    }
}

/// My views of all lists in this environment, by list and name; at most 200.
#[utoipa::path(get, path = "/views", tag = "login", responses((status = 200, body = PageView<ViewView>)))]
pub(crate) async fn list(State(app): State<Arc<App>>, who: Who) -> Result<Json<PageView<ViewView>>> {
    let views = app.store.saved_views(who.environment.id, who.person.id).await?;
    Ok(Json(PageView::whole(views.into_iter().map(ViewView::from).collect())))
}

/// Save a view of mine; one of the same name is replaced.
#[utoipa::path(put, path = "/views/{list}/{name}", tag = "login", request_body = SaveView,
    params(("list" = String, Path, description = "agents, audit, connections, runs, tasks or triggers"),
        ("name" = String, Path, description = "1 to 60 characters")),
    responses((status = 200, body = ViewView)))]
pub(crate) async fn save(
    State(app): State<Arc<App>>,
    who: Who,
    Path((list, name)): Path<(String, String)>,
    Body(save): Body<SaveView>,
) -> Result<Json<ViewView>> {
    let name = name.trim().to_owned();
    if !LISTS.contains(&list.as_str()) {
        let message = format!("`{list}` has no views: expected one of {}", LISTS.join(", "));
        return Err(Problem::field("/list", "list", message));
    }
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(Problem::field("/name", "name", format!("the name must have 1 to {NAME_CHARS_MAX} characters")));
    }
    if save.query.len() > QUERY_BYTES_MAX {
        return Err(Problem::field("/query", "too_long", format!("`query` is longer than {QUERY_BYTES_MAX} bytes")));
    }
    let view = SavedView { list, name, query: save.query };
    app.store.save_view(who.environment.id, who.person.id, view.clone(), app.clock.now()).await?;
    Ok(Json(view.into()))
}

/// Forget a view of mine.
#[utoipa::path(delete, path = "/views/{list}/{name}", tag = "login",
    params(("list" = String, Path, description = "The list"), ("name" = String, Path, description = "Its name")),
    responses((status = 204, description = "Forgotten")))]
pub(crate) async fn forget(
    State(app): State<Arc<App>>,
    who: Who,
    Path((list, name)): Path<(String, String)>,
) -> Result<StatusCode> {
    let gone = app.store.forget_view(who.environment.id, who.person.id, &list, &name).await;
    gone.map_err(Problem::naming("view", &name))?;
    Ok(StatusCode::NO_CONTENT)
}
