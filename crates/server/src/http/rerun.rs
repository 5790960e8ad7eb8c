//! A run again: the same version of the task with the same parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use sallyport_domain::run;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::engine::{Reads, Rerun, StartRun};
use crate::http::extract::MaybeBody;
use crate::http::problem::{Code, Problem, Result};
use crate::http::runs;
use crate::http::who::Who;

/// How to run again.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RerunBody {
    /// Do not do again what succeeded: the results of pipelines that ended well are taken over.
    #[serde(default)]
    from_failed: bool,
}

/// Run again what a run did: the same version of its task with the same parameters.
#[utoipa::path(post, path = "/runs/{id}/rerun", tag = "runs", request_body = Option<RerunBody>,
    params(("id" = String, Path, description = "The run's id")),
    responses((status = 201, body = runs::RunView, description = "The new run; `rerun_of` names the old one")))]
pub(crate) async fn rerun(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    MaybeBody(body): MaybeBody<RerunBody>,
) -> Result<Response> {
    let old = runs::find(&app, &who, &id).await?;
    if old.finished_at.is_none() {
        return Err(Problem::new(Code::RunOpen, format!("run `{id}` goes on; wait for its end or cancel it first")));
    }
    let taken = if body.from_failed {
        let machine: run::Run = serde_json::from_str(&old.machine).map_err(|error| Problem::internal(&error.into()))?;
        let (steps, taken) = (&machine.plan.steps, machine.results());
        if !steps.is_empty() && steps.iter().all(|step| taken.contains_key(&step.name)) {
            let detail = format!("nothing of run `{id}` failed; run all of it again without `from_failed`");
            return Err(Problem::new(Code::NothingFailed, detail));
        }
        taken
    } else {
        BTreeMap::new()
    };
    let order = StartRun {
        environment: who.environment.id,
        task: old.task,
        trigger: who.trigger().to_owned(),
        who: who.name(),
        key: None,
        priority: Some(old.priority),
        parameters: old.parameters,
        fired: None,
        reads: Reads::New,
        caller: None,
        rerun: Some(Rerun { of: old.id, task_version: old.task_version, taken }),
    };
    let started = app.live.engine.start_run(order).await.map_err(|error| runs::not_started(error, &old.task_name))?;
    Ok(runs::started(&started, &app))
}
