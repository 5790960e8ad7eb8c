//! The catalogue of connectors.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use crate::app::App;
use crate::http::problem::{Problem, Result};
use crate::http::who::Who;

/// Every connector with the JSON Schemas of its connections and steps.
#[utoipa::path(get, path = "/connectors", tag = "tasks",
    responses((status = 200, body = Object, description = "`items`: kind, title, summary, origin, reach, secrets, schemas")))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Who) -> Result<Json<Value>> {
    let items = serde_json::to_value(&*app.catalog).map_err(|error| Problem::internal(&error.into()))?;
    let total = app.catalog.len();
    Ok(Json(serde_json::json!({ "items": items, "next_cursor": null, "total": total })))
}
