//! Whether the server lives, is ready, and its figures.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use crate::app::App;
use crate::http::problem::Problem;

/// A database that takes longer is not ready.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// The process answers.
pub(crate) async fn livez() -> &'static str {
    "ok\n"
}

/// The database can be read and written, runs go on, and the server does not stop.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, String) {
    if app.stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".into());
    }
    if !app.live.engine.is_running() {
        return (StatusCode::SERVICE_UNAVAILABLE, "engine: it has ended\n".into());
    }
    match tokio::time::timeout(READY_WITHIN, app.store.ping()).await {
        Ok(Ok(())) => (StatusCode::OK, "ok\n".into()),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("database: {error}\n")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "database: no answer in time\n".into()),
    }
}

/// Figures without names of people, agents or tasks, so that they need no login.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    match app.metrics.text(&app.live) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(error) => Problem::internal(&error.into()).into_response(),
    }
}
