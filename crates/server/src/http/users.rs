//! The company's people.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sallyport_store::Person;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::extract::Params;
use crate::http::page::{PageView, Paging};
use crate::http::problem::Result;
use crate::http::time::rfc3339;
use crate::http::who::Who;

/// Somebody of the company.
#[derive(Serialize, ToSchema)]
pub(crate) struct PersonView {
    /// `user_...`
    id: String,
    /// Their name.
    name: String,
    /// What they log in with; null until their password is set.
    email: Option<String>,
    /// Inactive people cannot log in.
    active: bool,
    /// When they were made.
    created_at: String,
}

impl From<Person> for PersonView {
    fn from(person: Person) -> Self {
        Self {
            id: person.id.to_string(),
            name: person.name,
            email: person.email,
            active: person.active,
            created_at: rfc3339(person.created_at),
        }
    }
}

/// The people of my company. Sorts: name, email, created_at.
#[utoipa::path(get, path = "/users", tag = "company", params(Paging),
    responses((status = 200, body = PageView<PersonView>)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Who,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<PersonView>>> {
    Ok(Json(app.store.people(who.person.company, paging.into()).await?.map(PersonView::from).into()))
}
