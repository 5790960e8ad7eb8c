//! What the company has bought, and who was turned away because of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sallyport_protocol::RefusalCode;
use sallyport_store::RefusalCount;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::problem::{Code, Problem, Result};
use crate::http::time::rfc3339;
use crate::http::who::Who;

/// The licence and its use.
#[derive(Serialize, ToSchema)]
pub(crate) struct LicenceView {
    /// trial, standard, premium or enterprise.
    tier: String,
    /// The most remote agents online in parallel; null: no limit.
    agents_max: Option<u32>,
    /// Remote agents that are online now.
    agents_online: u32,
    /// Attempts that were turned away.
    refused: u64,
    /// The agents that were turned away, the latest first.
    refused_agents: Vec<RefusedView>,
}

/// An agent that was turned away.
#[derive(Serialize, ToSchema)]
pub(crate) struct RefusedView {
    /// `agent_...`
    agent_id: String,
    /// Its name.
    agent: String,
    /// How often.
    count: u64,
    /// The last time.
    last_at: String,
    /// What it was told.
    message: String,
    /// Where it came from.
    address: Option<String>,
}

impl From<RefusalCount> for RefusedView {
    fn from(refusal: RefusalCount) -> Self {
        Self {
            agent_id: refusal.agent.to_string(),
            agent: refusal.agent_name,
            count: refusal.count,
            last_at: rfc3339(refusal.last_at),
            message: refusal.message,
            address: refusal.address,
        }
    }
}

/// Tier, maximum and number in use.
#[utoipa::path(get, path = "/licence", tag = "company", responses((status = 200, body = LicenceView)))]
pub(crate) async fn show(State(app): State<Arc<App>>, who: Who) -> Result<Json<LicenceView>> {
    let company = app.store.company(who.person.company).await?;
    let refused = app.store.refusals(company.id, Some(RefusalCode::LicenceFull)).await?;
    Ok(Json(LicenceView {
        tier: company.tier.to_string(),
        agents_max: company.tier.agents_max(),
        agents_online: app.store.licence_in_use(company.id).await?,
        refused: refused.iter().map(|refusal| refusal.count).sum(),
        refused_agents: refused.into_iter().map(RefusedView::from).collect(),
    }))
}

/// Not offered: the operator sets the licence on the server, with `sallyport licence set <tier> --data-dir <folder>`.
#[utoipa::path(put, path = "/licence", tag = "company", responses((status = 403, description = "Always")))]
pub(crate) async fn set(_: Who) -> Problem {
    Problem::new(
        Code::OperatorOnly,
        "the operator sets the licence on the server: `sallyport licence set <tier> --data-dir <folder>`",
    )
}
