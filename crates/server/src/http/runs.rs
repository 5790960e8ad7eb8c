//! Runs: started, watched, cancelled.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use sallyport_connectors::Promise;
use sallyport_domain::plan::{PlannedStep, Work};
use sallyport_domain::run::{Run as Machine, RunState};
use sallyport_protocol::{Backfill, RunId};
use sallyport_store::{Run, RunFilter, Started, StepRun};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::engine::{CancelError, Reads, StartError, StartRun};
use crate::http::extract::{MaybeBody, Params, Path, located};
use crate::http::page::{PageView, Paging};
use crate::http::problem::{Code, FieldProblem, Problem, Result};
use crate::http::time::{maybe_rfc3339, parse, rfc3339};
use crate::http::who::Who;

/// The longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 200;

/// How to start a run.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartBody {
    /// Instead of the task's own: -100 to 100, higher first.
    priority: Option<i32>,
    /// Values for the task's parameters, by name; text is understood for every type.
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
    /// Clear the task's checkpoints, so that incremental steps read everything again.
    #[serde(default)]
    full_refresh: bool,
    /// Run one incremental step, and those joined to it, for a range; its checkpoint stays.
    backfill: Option<BackfillBody>,
}

/// A range of an incremental step's cursor.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackfillBody {
    /// The reading step.
    step: String,
    /// The first value of the range.
    from: String,
    /// The first value behind the range.
    to: String,
}

/// Why a run is cancelled.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelBody {
    /// For the run's log.
    reason: Option<String>,
}

/// A run.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunView {
    /// `run_...`
    pub(crate) id: String,
    /// The task's name when it was started.
    task: String,
    /// `task_...`
    task_id: String,
    /// `taskver_...`: the version it executes.
    task_version_id: String,
    /// scheduled, waiting_for_agent, running, succeeded, no_data, finished_with_errors, failed, timed_out, cancelled.
    state: String,
    /// Whether nothing more will happen.
    ended: bool,
    /// The part that failed: connector, input, output, runtime, agent_lost, timed_out.
    failure: Option<String>,
    /// Why it stands where it stands.
    reason: Option<String>,
    /// What started it: person, api, schedule, webhook, or task, which is the end of another task's run.
    trigger: String,
    /// Who started it.
    who: String,
    /// The trigger that started it.
    trigger_name: Option<String>,
    /// When that was due.
    due_at: Option<String>,
    /// Whether it is, or was, late.
    late: bool,
    /// Higher first.
    priority: i32,
    /// What the task's parameters are, defaults included.
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
    /// The run that it repeats.
    rerun_of: Option<String>,
    /// When it was asked for.
    queued_at: String,
    /// When it began.
    started_at: Option<String>,
    /// When it ended.
    finished_at: Option<String>,
    /// Whether its log's time is over and its lines were removed.
    log_removed: bool,
    /// From begin to end, or to now.
    duration_ms: Option<u64>,
    /// Every attempt of every step; only when one run is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<StepRunView>>,
}

/// One attempt of a step.
#[derive(Serialize, ToSchema)]
pub(crate) struct StepRunView {
    /// The step's name.
    step: String,
    /// From 1; 0 before the first.
    attempt: u32,
    /// Steps of one pipeline run together.
    pipeline: u32,
    /// scheduled, waiting_for_agent, running, retrying, succeeded, failed, timed_out, cancelled, skipped.
    state: String,
    /// What it does: the connector's kind, `transform`, or `task` where it starts another one.
    does: Option<String>,
    /// The steps whose rows come in.
    inputs: Vec<String>,
    /// The steps that must have ended well before it starts, besides.
    after: Vec<String>,
    /// Where it runs.
    agent: Option<String>,
    /// Rows taken from the inputs.
    rows_in: u64,
    /// Rows given on or written.
    rows_out: u64,
    /// Bytes read from or written to the target.
    bytes: u64,
    /// Rows diverted to the reject file.
    rows_rejected: u64,
    /// Rows a second, over the attempt's time.
    rows_per_second: Option<f64>,
    /// How it failed.
    failure: Option<FailureView>,
    /// Why it stands where it stands.
    reason: Option<String>,
    /// When it began.
    started_at: Option<String>,
    /// When it ended.
    finished_at: Option<String>,
    /// What a writing step promises: exactly once, all or nothing, at least once.
    promise: Option<&'static str>,
    /// How far a writing step has committed an incremental read, in its newest attempt.
    committed: Option<CommittedView>,
}

/// What a step has committed of an incremental read.
#[derive(Serialize, ToSchema)]
pub(crate) struct CommittedView {
    /// Everything up to here is in the target.
    #[schema(value_type = Object)]
    checkpoint: Value,
    /// Counts the commits since a person has changed the checkpoint; 0 where the target keeps no count.
    sequence: u64,
    /// Rows that the attempt has committed.
    rows: u64,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
pub(crate) struct FailureView {
    /// connector, input, output, runtime, agent_lost, timed_out.
    kind: &'static str,
    /// A stable word.
    code: String,
    /// What was attempted and what went wrong.
    message: String,
    /// What to do next.
    advice: Option<String>,
    /// Whether trying again may help.
    transient: bool,
}

/// Which runs to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filters {
    /// Of this task: id or name.
    task: Option<String>,
    /// In this state.
    state: Option<String>,
    /// Open (true) or ended (false) ones only.
    open: Option<bool>,
    /// Asked for at or after this time.
    since: Option<String>,
    /// With a step on this agent: id or name.
    agent: Option<String>,
    /// Part of the task's name.
    search: Option<String>,
    /// Started by: person, api, schedule, webhook, task.
    trigger: Option<String>,
}

impl RunView {
    /// As it stands at `now`.
    pub(crate) fn of(run: &Run, app: &App) -> Self {
        let until = run.finished_at.unwrap_or_else(|| app.clock.now());
        let took = run.started_at.map(|began| until.since(began).as_millis());
        Self {
            id: run.id.to_string(),
            task: run.task_name.clone(),
            task_id: run.task.to_string(),
            task_version_id: run.task_version.to_string(),
            state: run.state.clone(),
            ended: run.finished_at.is_some(),
            failure: run.failure_kind.clone(),
            reason: run.reason.clone(),
            trigger: run.trigger.clone(),
            who: run.who.clone(),
            trigger_name: run.trigger_name.clone(),
            due_at: maybe_rfc3339(run.due_at),
            late: run.late_since.is_some(),
            priority: run.priority,
            parameters: run.parameters.clone(),
            rerun_of: run.rerun_of.map(|run| run.to_string()),
            queued_at: rfc3339(run.queued_at),
            started_at: maybe_rfc3339(run.started_at),
            finished_at: maybe_rfc3339(run.finished_at),
            log_removed: run.log_removed,
            duration_ms: took.map(|millis| u64::try_from(millis).unwrap_or(u64::MAX)),
            steps: None,
        }
    }
}

impl StepRunView {
    fn of(step: StepRun, machine: Option<&Machine>, app: &App) -> Self {
        let promise = machine.and_then(|machine| promise(machine, &step.step));
        let committed = machine.and_then(|machine| committed(machine, &step));
        let planned = machine.and_then(|machine| machine.plan.steps.iter().find(|planned| planned.name == step.step));
        let names = |indices: &[usize]| -> Vec<String> {
            let steps = machine.map(|machine| &machine.plan.steps);
            indices.iter().filter_map(|index| Some(steps?.get(*index)?.name.clone())).collect()
        };
        let until = step.finished_at.unwrap_or_else(|| app.clock.now());
        let seconds = step.started_at.map(|began| until.since(began).as_secs_f64()).filter(|seconds| *seconds > 0.0);
        let rows = step.counts.rows_out.max(step.counts.rows_in);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = seconds.map(|seconds| (rows as f64 / seconds).round());
        Self {
            step: step.step,
            attempt: step.attempt,
            pipeline: step.pipeline,
            state: step.state,
            does: planned.map(does),
            inputs: planned.map(|planned| names(&planned.inputs)).unwrap_or_default(),
            after: planned.map(|planned| names(&planned.after)).unwrap_or_default(),
            agent: step.agent_name,
            rows_in: step.counts.rows_in,
            rows_out: step.counts.rows_out,
            bytes: step.counts.bytes,
            rows_rejected: step.counts.rows_rejected,
            rows_per_second: rate,
            failure: step.failure.map(|failure| FailureView {
                kind: failure.kind.word(),
                code: failure.code,
                message: failure.message,
                advice: failure.advice,
                transient: failure.transient,
            }),
            reason: step.reason,
            started_at: maybe_rfc3339(step.started_at),
            finished_at: maybe_rfc3339(step.finished_at),
            promise,
            committed,
        }
    }
}

fn does(planned: &PlannedStep) -> String {
    match &planned.work {
        Work::Connector { kind, .. } => kind.clone(),
        Work::Transform { .. } => "transform".into(),
        Work::Task { .. } => "task".into(),
    }
}

/// What a writing step promises.
fn promise(machine: &Machine, step: &str) -> Option<&'static str> {
    let planned = machine.plan.steps.iter().find(|planned| planned.name == step)?;
    let Work::Connector { kind, settings, .. } = &planned.work else { return None };
    Some(Promise::of(kind, settings).filter(|_| !planned.inputs.is_empty())?.words())
}

/// What the newest attempt of a step has committed.
fn committed(machine: &Machine, step: &StepRun) -> Option<CommittedView> {
    let index = machine.plan.steps.iter().position(|planned| planned.name == step.step)?;
    let newest = machine.steps.get(index).filter(|newest| newest.attempt == step.attempt)?;
    let committed = newest.committed.clone()?;
    Some(CommittedView { checkpoint: committed.checkpoint.0, sequence: committed.sequence, rows: committed.rows })
}

/// Start a run of a task. With an `Idempotency-Key` a repeat finds the run that the first has started.
#[utoipa::path(post, path = "/tasks/{id}/runs", tag = "runs", request_body = Option<StartBody>,
    params(("id" = String, Path, description = "Id or name of the task"),
        ("Idempotency-Key" = Option<String>, Header, description = "Chosen by you, at most 200 bytes")),
    responses((status = 201, body = RunView), (status = 200, body = RunView, description = "Started before by this key")))]
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    headers: HeaderMap,
    MaybeBody(mut start): MaybeBody<StartBody>,
) -> Result<Response> {
    let task = app.live.engine.task(who.environment.id, &id).await.map_err(Problem::naming("task", &id))?;
    if start.priority.is_some_and(|priority| !(-100..=100).contains(&priority)) {
        return Err(Problem::field("/priority", "range", "expected -100 to 100"));
    }
    let key = idempotency_key(&headers)?;
    let order = StartRun {
        environment: who.environment.id,
        task,
        trigger: who.trigger().to_owned(),
        who: who.name(),
        // One caller's keys for one task are no other's.
        key: key.map(|key| format!("key:{task}:{key}")),
        priority: start.priority,
        parameters: std::mem::take(&mut start.parameters),
        rerun: None,
        fired: None,
        reads: reads(start)?,
        caller: None,
    };
    let run = app.live.engine.start_run(order).await.map_err(|error| not_started(error, &id))?;
    Ok(started(&run, &app))
}

/// The answer to a start.
pub(crate) fn started(started: &Started, app: &App) -> Response {
    let headers = located(HeaderMap::new(), &format!("/api/v1/runs/{}", started.run.id));
    let status = if started.created { StatusCode::CREATED } else { StatusCode::OK };
    (status, headers, Json(RunView::of(&started.run, app))).into_response()
}

/// Why a task was not started, as a problem.
pub(crate) fn not_started(error: StartError, task: &str) -> Problem {
    match error {
        StartError::NotFound => Problem::new(Code::NotFound, format!("there is no task `{task}` in this environment")),
        StartError::Inactive(name) => {
            Problem::new(Code::TaskInactive, format!("task `{name}` is inactive; set `active: true` in its document"))
        }
        StartError::Parameters(problems) => {
            let said: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
            Problem::new(Code::Invalid, said.join("; ")).with(problems.into_iter().map(FieldProblem::from).collect())
        }
        StartError::NotIncremental(step) => {
            let message = format!("no active step `{step}` of task `{task}` reads incrementally");
            Problem::field("/backfill/step", "not_incremental", message)
        }
        error @ StartError::Circle(_) => Problem::new(Code::Invalid, error.to_string()),
        StartError::Store(error) => error.into(),
        StartError::Stopped => Problem::new(Code::Unavailable, "the server stops; try again"),
    }
}

/// The runs. Sorts: queued_at, started_at, finished_at, task, state, priority.
#[utoipa::path(get, path = "/runs", tag = "runs", params(Filters, Paging),
    responses((status = 200, body = PageView<RunView>)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    who: Who,
    Params(filters): Params<Filters>,
    Params(paging): Params<Paging>,
) -> Result<Json<PageView<RunView>>> {
    let task = match &filters.task {
        Some(task) => Some(crate::http::tasks::find(&app, &who, task).await?.id),
        None => None,
    };
    if let Some(state) = &filters.state
        && !RunState::ALL.iter().any(|known| known.word() == state)
    {
        let known: Vec<_> = RunState::ALL.iter().map(|state| state.word()).collect();
        let message = format!("`state` is `{state}`: expected one of {}", known.join(", "));
        return Err(Problem::field("/state", "state", message));
    }
    let agent = match &filters.agent {
        Some(agent) => Some(crate::http::agents::find(&app, &who, agent).await?.id),
        None => None,
    };
    let since = filters.since.as_deref().map(|since| parse("since", since)).transpose()?;
    let Filters { state, open, search, trigger, .. } = filters;
    let filter = RunFilter { task, state, open, since, agent, search, trigger };
    let page = app.store.runs(who.environment.id, filter, paging.into()).await?;
    let mut why = why(&app, &page.items).await;
    let view = |run: Run| RunView { reason: why.remove(&run.id).or(run.reason.clone()), ..RunView::of(&run, &app) };
    Ok(Json(page.map(view).into()))
}

/// One run with its steps; figures of running steps are at most a second old.
#[utoipa::path(get, path = "/runs/{id}", tag = "runs", params(("id" = String, Path, description = "The run's id")),
    responses((status = 200, body = RunView)))]
pub(crate) async fn show(State(app): State<Arc<App>>, who: Who, Path(id): Path<String>) -> Result<Json<RunView>> {
    let run = find(&app, &who, &id).await?;
    let steps = app.store.step_runs(who.environment.id, run.id).await?;
    // One that a later build has stored is shown without.
    let machine: Option<Machine> = serde_json::from_str(&run.machine).ok();
    let steps = steps.into_iter().map(|step| StepRunView::of(step, machine.as_ref(), &app)).collect();
    let reason = why(&app, std::slice::from_ref(&run)).await.remove(&run.id).or(run.reason.clone());
    Ok(Json(RunView { steps: Some(steps), reason, ..RunView::of(&run, &app) }))
}

/// Why those of the runs that wait in the queue do so, as things stand now.
async fn why(app: &App, runs: &[Run]) -> BTreeMap<RunId, String> {
    let queued = runs.iter().filter(|run| run.state == RunState::Scheduled.word());
    app.live.engine.why(queued.map(|run| run.id).collect()).await
}

/// Cancel a run: every step on every agent stops and removes what it has half written.
#[utoipa::path(post, path = "/runs/{id}/cancel", tag = "runs", request_body = Option<CancelBody>,
    params(("id" = String, Path, description = "The run's id")), responses((status = 202, body = RunView)))]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    MaybeBody(cancel): MaybeBody<CancelBody>,
) -> Result<(StatusCode, Json<RunView>)> {
    let run = find(&app, &who, &id).await?;
    let cancelled = app.live.engine.cancel(who.environment.id, run.id, &who.name(), cancel.reason.as_deref()).await;
    cancelled.map_err(|error| match error {
        CancelError::NotFound => no_run(&id),
        CancelError::Ended => Problem::new(Code::RunEnded, format!("run `{id}` has ended: {}", run.state)),
        CancelError::Store(error) => error.into(),
        CancelError::Stopped => Problem::new(Code::Unavailable, "the server stops; try again"),
    })?;
    tracing::info!(run = %run.id, by = %who.person.id, "run cancelled");
    let run = find(&app, &who, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(RunView::of(&run, &app))))
}

fn reads(start: StartBody) -> Result<Reads> {
    match (start.full_refresh, start.backfill) {
        (true, Some(_)) => {
            let message = "a run either reads everything or a range; leave one of `full_refresh` and `backfill` out";
            Err(Problem::field("/backfill", "contradiction", message))
        }
        (true, None) => Ok(Reads::Everything),
        (false, Some(BackfillBody { step, from, to })) => Ok(Reads::Range(Backfill { step, from, to })),
        (false, None) => Ok(Reads::New),
    }
}

/// A run of the asker's environment.
pub(crate) async fn find(app: &App, who: &Who, id: &str) -> Result<Run> {
    let run: RunId = id.parse().map_err(|_| no_run(id))?;
    app.store.run(who.environment.id, run).await.map_err(Problem::naming("run", id))
}

/// The caller's key for a start that may be repeated.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap_or_default().to_owned());
    if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > KEY_BYTES_MAX) {
        return Err(Problem::new(Code::BadRequest, format!("`Idempotency-Key` must have 1 to {KEY_BYTES_MAX} bytes")));
    }
    Ok(key)
}

fn no_run(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no run `{id}` in this environment"))
}
