//! Variables of the environment: texts that tasks use. They are not secret.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use sallyport_domain::variable::check;
use sallyport_store::Variable;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::http::extract::{Body, Params};
use crate::http::page::{PageView, Paging};
use crate::http::problem::{Code, FieldProblem, Problem, Result};
use crate::http::time::rfc3339;
use crate::http::who::Who;

/// A variable.
#[derive(Serialize, ToSchema)]
pub(crate) struct VariableView {
    /// Unique in the environment; tasks write `variables.NAME`.
    name: String,
    /// Its text. Not secret: everybody of the environment reads it.
    value: String,
    /// Who set it.
    author: String,
    /// When.
    updated_at: String,
}

/// What a variable is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetVariable {
    /// Its text. Not secret: secrets belong into connections.
    value: String,
}

impl From<Variable> for VariableView {
    fn from(variable: Variable) -> Self {
        Self {
            name: variable.name,
            value: variable.value,
            author: variable.author,
            updated_at: rfc3339(variable.updated_at),
        }
    }
}

/// The environment's variables. They are not secret. Sorts: name, updated_at.
#[utoipa::path(get, path = "/variables", tag = "tasks", params(Paging),
    responses((status = 200, body = PageView<VariableView>)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Who,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<VariableView>>> {
    Ok(Json(app.store.variables(who.environment.id, paging.into()).await?.map(VariableView::from).into()))
}

/// Set a variable. Runs that have left the queue keep the value they found.
#[utoipa::path(put, path = "/variables/{name}", tag = "tasks", request_body = SetVariable,
    params(("name" = String, Path, description = "Letters, digits and `_`")),
    responses((status = 200, body = VariableView)))]
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
    Body(set): Body<SetVariable>,
) -> Result<Json<VariableView>> {
    let problems = check(&name, &set.value);
    if let Some(first) = problems.first() {
        let detail = first.message.clone();
        return Err(Problem::new(Code::Invalid, detail).with(problems.into_iter().map(FieldProblem::from).collect()));
    }
    let variable = Variable { name, value: set.value, author: who.name(), updated_at: app.clock.now() };
    app.store.set_variable(who.environment.id, variable.clone()).await?;
    tracing::info!(variable = variable.name, by = %who.person.id, "variable set");
    Ok(Json(variable.into()))
}

/// Remove a variable. Tasks that use it fail when their next run starts.
#[utoipa::path(delete, path = "/variables/{name}", tag = "tasks",
    params(("name" = String, Path, description = "Its name")), responses((status = 204, description = "Removed")))]
pub(crate) async fn delete(State(app): State<Arc<App>>, who: Who, Path(name): Path<String>) -> Result<StatusCode> {
    app.store.delete_variable(who.environment.id, &name).await.map_err(Problem::naming("variable", &name))?;
    tracing::info!(variable = name, by = %who.person.id, "variable removed");
    Ok(StatusCode::NO_CONTENT)
}
