//! The company and its environments.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sallyport_store::{Company, Environment};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::extract::Params;
use crate::http::page::{PageView, Paging};
use crate::http::problem::Result;
use crate::http::time::rfc3339;
use crate::http::who::Who;

/// A company.
#[derive(Serialize, ToSchema)]
pub(crate) struct CompanyView {
    /// `company_...`
    id: String,
    /// Its name.
    name: String,
    /// What it has bought: trial, standard, premium or enterprise.
    tier: String,
    /// When it was made.
    created_at: String,
}

/// An environment.
#[derive(Serialize, ToSchema)]
pub(crate) struct EnvironmentView {
    /// `env_...`
    id: String,
    /// Unique in the company.
    name: String,
    /// Whose it is.
    company_id: String,
    /// When it was made.
    created_at: String,
}

impl From<Company> for CompanyView {
    fn from(company: Company) -> Self {
        Self {
            id: company.id.to_string(),
            name: company.name,
            tier: company.tier.to_string(),
            created_at: rfc3339(company.created_at),
        }
    }
}

impl From<Environment> for EnvironmentView {
    fn from(environment: Environment) -> Self {
        Self {
            id: environment.id.to_string(),
            name: environment.name,
            company_id: environment.company.to_string(),
            created_at: rfc3339(environment.created_at),
        }
    }
}

/// My company. Sorts: name, created_at.
#[utoipa::path(get, path = "/companies", tag = "company", params(Paging),
    responses((status = 200, body = PageView<CompanyView>)))]
pub(crate) async fn companies(
    State(app): State<Arc<App>>,
    who: Who,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<CompanyView>>> {
    Ok(Json(app.store.companies(who.person.company, paging.into()).await?.map(CompanyView::from).into()))
}

/// My company's environments; name one in the header `Sallyport-Environment` to work in it. Sorts: name, created_at.
#[utoipa::path(get, path = "/environments", tag = "company", params(Paging),
    responses((status = 200, body = PageView<EnvironmentView>)))]
pub(crate) async fn environments(
    State(app): State<Arc<App>>,
    who: Who,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<EnvironmentView>>> {
    Ok(Json(app.store.environments(who.person.company, paging.into()).await?.map(EnvironmentView::from).into()))
}
