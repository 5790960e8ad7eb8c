//! The first rows that a step would read, of a document that need not be saved.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sallyport_domain::plan::{PlannedStep, Work, plan};
use sallyport_domain::task::parameter::arguments;
use sallyport_domain::task::{self, Task, parse};
use sallyport_domain::template::Values;
use sallyport_protocol::{Descriptor, Failure, Preview, PreviewColumn, PreviewOrder};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::App;
use crate::http::extract::Body;
use crate::http::problem::{Code, FieldProblem, Problem, Result};
use crate::http::who::Who;

/// How many rows are shown.
const ROWS: u32 = 100;

/// What to look at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewBody {
    /// The task's document, YAML or JSON.
    document: String,
    /// The name of a step that reads.
    step: String,
    /// Values for the task's parameters; defaults fill the others.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    parameters: Map<String, Value>,
}

/// What the agent saw.
#[derive(Serialize, ToSchema)]
pub(crate) struct PreviewView {
    /// The agent that looked.
    agent: String,
    /// In the order in which the step gives them.
    columns: Vec<ColumnView>,
    /// Each with a text for every column, null where there is no value. Long texts are cut and end in `…`.
    rows: Vec<Vec<Option<String>>>,
    /// Whether there are more rows than those.
    more: bool,
    /// Columns that were left out because there are too many.
    columns_left: u32,
    /// Why there are no rows, or fewer than there could be.
    failure: Option<String>,
}

/// A column.
#[derive(Serialize, ToSchema)]
pub(crate) struct ColumnView {
    /// Its name.
    name: String,
    /// Its type, such as `bigint`, `numeric(10,2)` or `text[]`.
    #[serde(rename = "type")]
    kind: String,
}

impl From<PreviewColumn> for ColumnView {
    fn from(column: PreviewColumn) -> Self {
        Self { name: column.name, kind: column.kind }
    }
}

/// Show the first 100 rows that a step would read, from its agent. Nothing is written: no run, no checkpoint, no reject
/// file; an incremental step is shown from its start.
#[utoipa::path(post, path = "/tasks/preview", tag = "tasks", request_body = PreviewBody,
    responses((status = 200, body = PreviewView)))]
pub(crate) async fn preview(
    State(app): State<Arc<App>>,
    who: Who,
    Body(body): Body<PreviewBody>,
) -> Result<Json<PreviewView>> {
    let world = app.world(who.environment.id).await?;
    let PreviewBody { document, step, parameters } = body;
    let wanted = step.clone();
    let planned = tokio::task::spawn_blocking(move || {
        let task = parse(&document).map_err(not_right)?;
        let given = arguments(&task.parameters, &parameters).map_err(not_right)?;
        let (index, alone) = alone(task, &wanted)?;
        let planned = plan(&alone, &world).map_err(|problems| {
            let back = |path: String| match path.strip_prefix("/steps/0") {
                Some(rest) => format!("/steps/{index}{rest}"),
                None => path,
            };
            not_right(problems.into_iter().map(|one| task::Problem { path: back(one.path), ..one }).collect())
        })?;
        let values = Values::new("preview", None, None, 1).given(given, world.variables.clone());
        ordered(planned.steps, &values, &world.catalog)
    });
    let (planned, work) = planned.await.map_err(|error| Problem::internal(&error.into()))??;
    let (Some(own), Work::Connector { kind, connection, settings }) = (planned.agent, work) else {
        return Err(no_source(&step));
    };
    // What another agent reaches is looked at from there.
    let nearest = planned.through.into_iter().next().map(|nearest| (nearest.agent, nearest.name));
    let (agent, agent_name) = nearest.unwrap_or((own, planned.agent_name));
    let connection = match connection {
        Some(id) => {
            let found = app.store.connection(who.environment.id, &id.to_string()).await?;
            Some(app.secrets.open_connection(&found)?)
        }
        None => None,
    };
    tracing::info!(%agent, step, kind, by = %who.person.id, "rows of a step looked at");
    let order = PreviewOrder { step: step.clone(), kind, connection, settings, rows: ROWS, who: who.name() };
    let seen = app.live.gateway.preview(agent, order).await.map_err(|error| {
        let detail = format!("step `{step}` is looked at from agent `{agent_name}`: {error}");
        Problem::new(error.into(), detail)
    })?;
    Ok(Json(view(agent_name, seen)))
}

/// The task with nothing but the step, so that what is wrong elsewhere is of no account; and where it stood.
fn alone(mut task: Task, wanted: &str) -> Result<(usize, Task)> {
    let index = task.steps.iter().position(|step| step.name == wanted).unwrap_or_default();
    task.steps.retain(|step| step.name == wanted);
    task.triggers.clear();
    let Some(step) = task.steps.first_mut() else {
        return Err(Problem::field("/step", "unknown_step", format!("the task has no step `{wanted}`")));
    };
    if !step.input.is_empty() || step.transform.is_some() || step.task.is_some() {
        return Err(no_source(wanted));
    }
    (task.active, step.active) = (true, true);
    step.after.clear();
    step.when = None;
    Ok((index, task))
}

/// The step with its expressions evaluated.
fn ordered(steps: Vec<PlannedStep>, values: &Values, catalog: &[Descriptor]) -> Result<(PlannedStep, Work)> {
    let step = steps.into_iter().next().ok_or_else(|| no_source(""))?;
    let work = step
        .evaluated(values, catalog)
        .map_err(|failure| Problem::field("/parameters", &failure.code, words(&failure)))?;
    Ok((step, work))
}

fn not_right(problems: Vec<task::Problem>) -> Problem {
    let detail = match problems.as_slice() {
        [only] => only.message.clone(),
        all => format!("{} things are not right; `problems` names every field", all.len()),
    };
    Problem::new(Code::InvalidTask, detail).with(problems.into_iter().map(FieldProblem::from).collect())
}

fn no_source(step: &str) -> Problem {
    Problem::field("/step", "not_a_source", format!("step `{step}` does not read: only steps without inputs are shown"))
}

fn view(agent: String, seen: Preview) -> PreviewView {
    PreviewView {
        agent,
        columns: seen.columns.into_iter().map(ColumnView::from).collect(),
        rows: seen.rows,
        more: seen.more,
        columns_left: seen.columns_left,
        failure: seen.failure.as_ref().map(words),
    }
}

fn words(failure: &Failure) -> String {
    match &failure.advice {
        Some(advice) => format!("{}; {advice}", failure.message),
        None => failure.message.clone(),
    }
}
