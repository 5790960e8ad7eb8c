//! The HTTP side: routes, documents about them, and what every answer has in common.

mod agents;
mod audit;
mod checkpoints;
mod companies;
mod connections;
mod connectors;
mod console;
mod docs;
mod download;
mod extract;
mod follow;
mod health;
mod hooks;
mod licence;
mod limits;
mod log_file;
mod login;
mod logs;
mod notices;
mod page;
pub(crate) mod problem;
mod releases;
mod rerun;
mod retention;
mod rollout;
mod runs;
mod secrets;
mod setup;
mod streams;
mod surround;
mod tasks;
mod time;
mod tokens;
mod triggers;
mod users;
mod variables;
mod via;
mod views;
pub(crate) mod who;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::gateway;
use crate::http::problem::{Code, Problem};
pub(crate) use crate::http::time::{maybe_rfc3339, rfc3339};

/// The largest request body; documents of tasks are the largest.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Everything the server answers.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let (api, _) = api().split_for_parts();
    Router::new()
        .merge(api.layer(from_fn_with_state(Arc::clone(app), audit::keep)))
        .route("/setup", get(setup::page).post(setup::submit))
        .route("/hooks/{token}", post(hooks::call))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/api/openapi.json", get(docs::document))
        .route("/api/docs", get(docs::page))
        .route(sallyport_protocol::path::STREAM, get(streams::open))
        .route(sallyport_protocol::path::RELEASE, get(download::release))
        .route(sallyport_protocol::path::ARCHIVE, get(releases::download))
        .route("/via/{connection}", any(via::by_token))
        .route("/via/{connection}/", any(via::by_token))
        .route("/via/{connection}/{*rest}", any(via::by_token))
        .route("/view/{ticket}/", any(via::by_ticket))
        .route("/view/{ticket}/{*rest}", any(via::by_ticket))
        .fallback(console::serve)
        .method_not_allowed_fallback(async || {
            Problem::new(Code::MethodNotAllowed, "this address does not take this method; see /api/docs")
        })
        .with_state(Arc::clone(app))
        .merge(gateway::routes(app.live.gateway.clone()))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn_with_state(Arc::clone(app), surround::measure))
}

/// The API's description, OpenAPI 3.1, made from the code.
pub fn openapi() -> OpenApi {
    let (_, described) = api().split_for_parts();
    docs::complete(described)
}

fn api() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(docs::Head::openapi()).nest("/api/v1", routes_v1())
}

fn routes_v1() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().merge(routes_of_people()).merge(routes_of_agents()).merge(routes_of_work())
}

/// Who works with the platform, and under which licence.
fn routes_of_people() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(setup::setup))
        .routes(routes!(login::login))
        .routes(routes!(login::logout))
        .routes(routes!(login::me))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(users::list))
        .routes(routes!(views::list))
        .routes(routes!(views::save, views::forget))
        .routes(routes!(audit::list))
        .routes(routes!(companies::companies))
        .routes(routes!(companies::environments))
        .routes(routes!(licence::show, licence::set))
}

/// Agents, their programs and their logs.
fn routes_of_agents() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(agents::list, agents::create))
        .routes(routes!(agents::counts))
        .routes(routes!(agents::show, agents::edit))
        .routes(routes!(agents::history::spans))
        .routes(routes!(agents::history::uses))
        .routes(routes!(agents::health::doctor))
        .routes(routes!(agents::health::bundle))
        .routes(routes!(agents::health::crashes))
        .routes(routes!(agents::health::crash))
        .routes(routes!(agents::change::levels))
        .routes(routes!(agents::change::restart))
        .routes(routes!(agents::change::deactivate))
        .routes(routes!(agents::change::reactivate))
        .routes(routes!(agents::change::rotate))
        .routes(routes!(download::download))
        .routes(routes!(rollout::show_agent, rollout::set_agent))
        .routes(routes!(rollout::retry))
        .routes(routes!(rollout::update))
        .routes(routes!(logs::of_agent))
        .routes(routes!(log_file::download))
        .routes(routes!(releases::list, releases::publish))
        .routes(routes!(releases::archive))
        .routes(routes!(releases::withdraw))
        .routes(routes!(releases::keys, releases::set_keys))
        .routes(routes!(rollout::show, rollout::set))
}

/// Tasks, what they use, what starts them, and what becomes of it.
fn routes_of_work() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(connections::list, connections::create))
        .routes(routes!(connections::show, connections::replace, connections::delete))
        .routes(routes!(connections::test))
        .routes(routes!(via::view))
        .routes(routes!(connections::uses::list))
        .routes(routes!(tasks::list, tasks::create))
        .routes(routes!(tasks::check::validate))
        .routes(routes!(tasks::preview::preview))
        .routes(routes!(tasks::schema))
        .routes(routes!(tasks::show, tasks::replace, tasks::delete))
        .routes(routes!(tasks::versions))
        .routes(routes!(variables::list))
        .routes(routes!(variables::set, variables::delete))
        .routes(routes!(limits::list))
        .routes(routes!(limits::set, limits::delete))
        .routes(routes!(retention::show, retention::set))
        .routes(routes!(checkpoints::list, checkpoints::set, checkpoints::clear))
        .routes(routes!(checkpoints::history))
        .routes(routes!(runs::start))
        .routes(routes!(runs::list))
        .routes(routes!(runs::show))
        .routes(routes!(runs::cancel))
        .routes(routes!(rerun::rerun))
        .routes(routes!(logs::of_run))
        .routes(routes!(follow::run_log))
        .routes(routes!(logs::list))
        .routes(routes!(follow::logs))
        .routes(routes!(triggers::list))
        .routes(routes!(triggers::show))
        .routes(routes!(triggers::change::pause))
        .routes(routes!(triggers::change::resume))
        .routes(routes!(triggers::change::token))
        .routes(routes!(triggers::change::fire))
        .routes(routes!(notices::list, notices::create))
        .routes(routes!(notices::show, notices::replace, notices::delete))
        .routes(routes!(notices::test))
        .routes(routes!(notices::deliveries::list))
        .routes(routes!(connectors::list))
}
